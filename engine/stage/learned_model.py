"""Between a model file and the functions that predict with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import parse
from engine.config.learned import FlowConfig, LearnedModelConfig
from engine.errors import DataError
from engine.io.checkpoint import flatten, unflatten
from engine.io.labels import LabelledSet
from engine.io.learned import LearnedFile, read_learned
from engine.learned.graph import molecule_graph, to_blocks
from engine.learned.loss import Samples, make_samples
from engine.learned.model import Model, Trained, make_model
from engine.learned.novelty import novelty
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scale, Scales


def samples_of(model: Model, labels: LabelledSet) -> Samples:
    """Returns a labelled set as the network sees it."""
    return make_samples(
        model,
        labels.symbols,
        labels.positions,
        labels.fock,
        labels.overlap,
        labels.guess,
        labels.occupied,
    )


def basis_of(sets: Sequence[LabelledSet]) -> OrbitalBasis:
    """Returns the orbitals of all elements of some labelled sets.

    Raises:
        DataError: One element with different shells.
    """
    shells: dict[str, tuple[int, ...]] = {}
    for labels in sets:
        for symbol, own in labels.shells.items():
            if shells.setdefault(symbol, tuple(own)) != tuple(own):
                raise DataError(
                    f"element {symbol} has shells {shells[symbol]} and {tuple(own)}",
                    where="labels",
                    expected="one basis for all molecules",
                    remedy="make the labels again with one mean_field.basis",
                )
    return OrbitalBasis.of(shells)


def as_file(trained: Trained) -> LearnedFile:
    """Returns what is stored of a model."""
    scales = flatten(trained.scales)
    shells = {symbol: list(own) for symbol, own in trained.model.basis.shells}
    return LearnedFile(trained.params, scales, {**trained.facts, "shells": shells})


def load(path: Path) -> Trained:
    """Returns the model of a file.

    Raises:
        DataError: It cannot be read, or is of another schema.
    """
    file = read_learned(path)
    basis = OrbitalBasis.of(file.facts["shells"])
    model = make_model(
        basis,
        parse(LearnedModelConfig, file.facts["model"], where=str(path)),
        parse(FlowConfig, file.facts["flow"], where=str(path)),
    )
    params = jax.tree.map(jnp.asarray, file.params)
    scales = unflatten(_blank(basis), file.scales, where=str(path))
    return Trained(model, params, scales, {**file.facts, "fingerprint": file.fingerprint})


def _blank(basis: OrbitalBasis) -> Scales:
    """Returns scales of the right shapes."""
    e, c = len(basis.shells), len(basis.coupling())

    def scale() -> Scale:
        one, two = np.zeros((e, c)), np.zeros((e, e, c))
        return Scale(*(jnp.asarray(x) for x in (one, one, two, two)))

    return Scales(scale(), scale(), jnp.zeros(()))


def novelty_of(trained: Trained, symbols: Sequence[str], positions: Any, guess: Any) -> float:
    """Returns how far a geometry is from the training set, in units of its farthest one."""
    basis = trained.model.basis
    graph = molecule_graph(basis, symbols, positions)
    found = novelty(trained.scales, graph, to_blocks(basis, symbols, guess))
    return found / trained.facts["novelty_reference"]

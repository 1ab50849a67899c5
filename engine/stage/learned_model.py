"""Between a model file and the functions that predict with it."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import MeanFieldConfig, parse
from engine.config.learned import FlowConfig, LearnedModelConfig, alike, shared_keys
from engine.errors import DataError
from engine.io import hdf5
from engine.io.checkpoint import flatten, unflatten
from engine.io.crystal_labels import CrystalSet, read_crystal_labels
from engine.io.labels import LabelledSet, read_labels
from engine.io.learned import LearnedFile, read_learned
from engine.learned.crystal import (
    check_reach,
    crystal_blocks,
    crystal_graph,
    make_crystal_samples,
    pairs_of,
)
from engine.learned.graph import Blocks, Graph, molecule_graph, to_blocks
from engine.learned.loss import Samples, make_samples
from engine.learned.model import Model, Trained, make_model, shapes
from engine.learned.novelty import beyond, novelty, unseen
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scale, Scales

Labels = LabelledSet | CrystalSet
"""What a model is trained on."""


def read_any(path: str | Path) -> Labels:
    """Reads the labelled set of a molecule or of a crystal."""
    if hdf5.kind(path) == "crystal_labels":
        return read_crystal_labels(path)
    return read_labels(path)


def samples_of(model: Model, labels: Labels) -> Samples:
    """Returns a labelled set as the network sees it.

    Raises:
        ConfigError: The mesh of a crystal is too small for the cutoff of the model.
    """
    if isinstance(labels, CrystalSet):
        return crystal_samples(model, labels)
    return make_samples(
        model,
        labels.symbols,
        labels.positions,
        labels.fock,
        labels.overlap,
        labels.guess,
        labels.occupied,
    )


def crystal_samples(model: Model, labels: CrystalSet) -> Samples:
    """Returns a labelled set of a crystal as the network sees it."""
    smallest = labels.lattice[np.argmin(np.abs(np.linalg.det(labels.lattice)))]
    where = f"labels of {labels.facts['material']}"
    check_reach(smallest, labels.mesh, model.options.cutoff_bohr, where)
    return make_crystal_samples(
        model,
        labels.symbols,
        labels.lattice,
        labels.positions,
        labels.kpoints,
        labels.mesh,
        labels.fock,
        labels.overlap,
        labels.guess,
        labels.occupied,
    )


def basis_of(sets: Sequence[Labels]) -> OrbitalBasis:
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
    _check_shapes(params, shapes(model), path)
    scales = unflatten(_blank(basis), file.scales, where=str(path))
    return Trained(model, params, scales, {**file.facts, "fingerprint": file.fingerprint})


def _check_shapes(params: Any, expected: Any, path: Path) -> None:
    """Refuses parameters that are not those of the network."""
    found, wanted = (
        {jax.tree_util.keystr(place): leaf.shape for place, leaf in leaves}
        for leaves in map(
            operator.itemgetter(0), map(jax.tree_util.tree_flatten_with_path, (params, expected))
        )
    )
    wrong = sorted(
        name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
    )
    if wrong:
        raise DataError(
            f"parameter {wrong[0]} of shape {found.get(wrong[0])}",
            where=str(path),
            expected=f"shape {wanted.get(wrong[0])} in this version of the network",
            remedy="train it again: delete the file and run the rule learn",
        )


def check_mean_field(
    theirs: Mapping[str, Any] | None,
    options: MeanFieldConfig,
    path: Path,
    *,
    start_only: bool = False,
) -> None:
    """Refuses a Hamiltonian of another method, functional or basis.

    Args:
        theirs: The section `mean_field` it was made with; None in files of before.
        options: That of the material.
        path: Its file.
        start_only: Whether iterations only start from it: then the basis alone matters.
    """
    if theirs is None:
        raise DataError(
            "does not say which mean field it is of",
            where=str(path),
            expected="a file of this version",
            remedy="delete it and run again",
        )
    made = parse(MeanFieldConfig, theirs, where=str(path))
    for name in shared_keys(options, start_only=start_only):
        if not alike(made, options, name):
            raise DataError(
                f"the model is of {name} '{getattr(made, name)}'",
                where=str(path),
                expected=f"{name} '{getattr(options, name)}' as in the material's mean_field",
                remedy="train a model for this mean field, or use reference: scf",
            )


def error_of(trained: Trained) -> float:
    """Returns the typical error of an element of a predicted matrix, hartree."""
    facts = trained.facts
    return facts.get("error_ha", facts["validation_ha"])  # models of before have the second


def _blank(basis: OrbitalBasis) -> Scales:
    """Returns scales of the right shapes."""
    e, c = len(basis.shells), len(basis.coupling())

    def scale() -> Scale:
        one, two = np.zeros((e, c)), np.zeros((e, e, c))
        return Scale(*(jnp.asarray(x) for x in (one, one, two, two)))

    return Scales(scale(), scale(), jnp.zeros(()))


def novelty_of(trained: Trained, symbols: Sequence[str], positions: Any, guess: Any) -> float:
    """Returns how far a geometry is from the training set, in units of its farthest one.

    Infinite with an element or a pair of elements the training set does not have.
    """
    basis = trained.model.basis
    graph = molecule_graph(basis, symbols, positions)
    return _novelty(trained, graph, to_blocks(basis, symbols, guess))


def _novelty(trained: Trained, graph: Graph, guess: Blocks) -> float:
    found = novelty(trained.scales, graph, guess) / trained.facts["novelty_reference"]
    known = trained.facts.get("distances", {})  # models of before have none
    return max(found, beyond(known, trained.model.basis.elements, graph))


def never_seen(trained: Trained, graph: Graph) -> list[str]:
    """Returns the elements ("C") and pairs ("C-O") of a graph that were in no training geometry."""
    names = trained.model.basis.elements
    return ["-".join(names[z] for z in where) for where in unseen(trained.scales, graph)]


def crystal_novelty(
    trained: Trained,
    symbols: Sequence[str],
    lattice: np.ndarray,
    positions: np.ndarray,
    mesh: np.ndarray,
    guess: np.ndarray,
) -> tuple[float, list[str]]:
    """Returns novelty and `never_seen` of a crystal; `guess` is H0(R), one per class of a mesh."""
    basis, cutoff = trained.model.basis, trained.model.options.cutoff_bohr
    pairs = pairs_of(lattice, positions, cutoff)
    graph = crystal_graph(basis, symbols, lattice, positions, pairs, cutoff)
    inside = np.linalg.norm(graph.vectors, axis=-1) < cutoff
    blocks = crystal_blocks(basis, symbols, guess, mesh, pairs, inside)
    return _novelty(trained, graph, blocks), never_seen(trained, graph)


def check_shells(trained: Trained, own: Mapping[str, Sequence[int]], path: Path) -> None:
    """Refuses elements whose shells are not those of the model."""
    known = dict(trained.model.basis.shells)
    for symbol, shells in own.items():
        if tuple(shells) != known[symbol]:
            raise DataError(
                f"shells {tuple(shells)} of {symbol}, and the model has {known[symbol]}",
                where=str(path),
                expected="the basis set the model was trained with",
                remedy="train it again with this version of PySCF",
            )

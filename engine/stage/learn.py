"""Stage `learn`: labelled sets -> a trained Hamiltonian."""

from __future__ import annotations

import logging
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import __version__, keys
from engine.config import MeanFieldConfig, fingerprint, parse
from engine.config.learned import (
    FlowConfig,
    LearnConfig,
    LearnedModelConfig,
    alike,
    shared_keys,
)
from engine.errors import DataError
from engine.io import hdf5
from engine.io.crystal_labels import CrystalSet
from engine.io.learned import write_learned
from engine.io.trace import write_trace
from engine.learned.crystal import make_predict_crystal, real_blocks
from engine.learned.lattice import reach, to_kpoints
from engine.learned.loss import Samples, fit_scales
from engine.learned.model import Model, Trained, init, make_model
from engine.learned.novelty import novelty, ranges
from engine.learned.scales import Scales
from engine.learned.training import Training, draw, make_training
from engine.stage import loop, runtime
from engine.stage.checks import check_finite
from engine.stage.job import run_facts
from engine.stage.learned_model import (
    Labels,
    as_file,
    basis_of,
    read_any,
    samples_of,
)

log = logging.getLogger(__name__)

VALIDATED = ("validation_ha", "validation_score")
"""Columns of the trace that say what the last validation found."""


def learn(
    sections: dict[str, Any],
    *,
    labels: Sequence[Path],
    model: Path,
    trace: Path,
    state_dir: Path,
) -> Trained:
    """Trains a network on labelled sets and writes the parameters with the least error.

    Args:
        sections: "name", "mean_field", "guess", "model", "flow" and "learn".
        labels: Inputs, kind "labels", one per molecule.
        model: Output, kind "learned_hamiltonian".
        trace: Output, kind "trace": one row per step.
        state_dir: Scratch for saved states.

    Raises:
        DataError: Labels of another mean field or initial guess than the sections say.
    """
    runtime.configure()
    options = parse(LearnConfig, sections["learn"], where="learn")
    sets = [read_any(path) for path in labels]
    for path, labelled in zip(labels, sets, strict=True):
        check_labels(sections, labelled, path)
    network = _model(sections, sets)
    known = [s.part("train").first(options.train_limit) for s in sets]
    training_sets = [samples_of(network, s) for s in known]
    validation_sets = [samples_of(network, s.part("validation")) for s in sets]
    scales = fit_scales(network, training_sets)
    training = make_training(network, options)
    inputs = [hdf5.content(path) for path in labels]
    mark = fingerprint({"stage": "learn", "engine": __version__, **sections}, inputs)
    key = keys.root(options.seed, "learn", sections["name"])
    advance = make_advance(training, options, scales, training_sets, validation_sets, key)
    plan = loop.Plan(
        f"learn {sections['name']}",
        options.steps,
        options.checkpoint_steps,
        state_dir,
        mark,
        prepare=lambda state: state,
        advance=advance,
        check=lambda columns, step: check_finite(columns["loss"][-loop.FLUSH :], "the loss"),
        finished=lambda columns, step: exhausted(columns, options),
        show="loss",
    )
    params = init(network, keys.stream(key, "params"))
    log.info("%d parameters", sum(x.size for x in jax.tree.leaves(params)))
    state, columns = loop.run(plan, training.init(params))
    facts = _facts(sections, known, state, columns, scales, training_sets)
    trained = Trained(network, state.best, scales, facts)
    facts["error_ha"] = typical_error(trained, [s.part("validation") for s in sets])
    write_trace(trace, columns, fingerprint=mark, attributes=run_facts(state_dir))
    write_learned(model, as_file(trained), mark)
    log.info(
        "validation error %.1f microhartree, of whole matrices %.1f",
        *(1e6 * facts[name] for name in ("validation_ha", "error_ha")),
    )
    return trained


def check_labels(sections: dict[str, Any], labels: Labels, path: Path) -> None:
    """Refuses a labelled set of another method, functional, basis or initial guess."""
    where = f"{path}, its mean field"
    theirs = parse(MeanFieldConfig, labels.facts["mean_field"], where=where)
    wanted = parse(MeanFieldConfig, sections["mean_field"], where="mean_field")
    differ = [name for name in shared_keys(wanted) if not alike(theirs, wanted, name)]
    if labels.facts["guess"] != sections["guess"]:
        found, expected = f"guess '{labels.facts['guess']}'", f"'{sections['guess']}'"
    elif differ:
        found, expected = (
            ", ".join(f"{name} '{getattr(options, name)}'" for name in differ)
            for options in (theirs, wanted)
        )
    else:
        return
    raise DataError(
        f"labels of {found}",
        where=str(path),
        expected=f"{expected}, as the model's file in learned/ says",
        remedy="delete the labels, or change that file",
    )


def _model(sections: dict[str, Any], sets: Sequence[Labels]) -> Model:
    return make_model(
        basis_of(sets),
        parse(LearnedModelConfig, sections["model"], where="model"),
        parse(FlowConfig, sections["flow"], where="flow"),
    )


def make_advance(
    training: Training,
    options: LearnConfig,
    scales: Scales,
    training_sets: Sequence[Samples],
    validation_sets: Sequence[Samples],
    key: jax.Array,
):
    """Builds (state, step) -> (state, row): a step, and a validation before every saving."""

    def advance(state, step: int):
        batch = draw(training_sets, options.batch, options.seed, step)
        noise = keys.stream(key, "noise", step)
        state, row = training.step(state, scales, batch, noise, jnp.asarray(step))
        if (step + 1) % options.checkpoint_steps == 0 or step + 1 == options.steps:
            state = training.validate(state, scales, validation_sets, step)
            row = row | {name: getattr(state, name) for name in VALIDATED}
        return state, row

    return advance


def exhausted(columns: dict[str, np.ndarray], options: LearnConfig) -> str:
    """Returns why training ends, "" for going on: `patience` validations without a better one.

    In fine-tuning, which has another score, only its own validations count.
    """
    every = options.checkpoint_steps
    scores = columns["validation_score"][every - 1 :: every]
    before = max(options.steps - options.fine_tune_steps, 0) // every
    scores = scores[before:] if len(scores) > before else scores
    if not options.patience or len(scores) <= options.patience:
        return ""
    ends = len(scores) - 1 - int(np.argmin(scores)) >= options.patience
    return f"no better validation among the last {options.patience}" if ends else ""


def _reach(labels: CrystalSet) -> float:
    """Returns half of the shortest supercell vector of a set's meshes, bohr."""
    return min(reach(lattice, labels.mesh) for lattice in labels.lattice)


def pseudopotentials_of(sets: Sequence[Labels]) -> dict[str, str]:
    """Returns element -> pseudopotential of all labelled sets."""
    return {
        symbol: name for s in sets for symbol, name in s.facts.get("pseudopotentials", {}).items()
    }


def typical_error(trained: Trained, sets: Sequence[Labels]) -> float:
    """Returns the mean absolute error of an element of H, or H(k), on validation sets, hartree.

    Unlike `validation_ha`, which is of the blocks within the cutoff, it has what lies beyond.
    """
    crystals = [s for s in sets if isinstance(s, CrystalSet)]
    if not crystals:
        return trained.facts["validation_ha"]
    return float(np.mean([_crystal_error(trained, s) for s in crystals]))


def _crystal_error(trained: Trained, labels: CrystalSet) -> float:
    predict, key = make_predict_crystal(trained.model), keys.root(0, "learned-error")
    errors = []
    for g, (k, a, r) in enumerate(
        zip(labels.kpoints, labels.lattice, labels.positions, strict=True)
    ):
        own = real_blocks(labels.guess[g], k, labels.mesh, a)
        matrices, cells = predict(
            trained.params, trained.scales, labels.symbols, a, r, labels.mesh, own, key
        )
        found = to_kpoints(matrices, k, cells @ a)
        errors.append(np.mean(abs(found - (labels.fock[g] - labels.guess[g]))))
    return float(np.mean(errors))


def _facts(
    sections: dict[str, Any],
    sets: Sequence[Labels],
    state: Any,
    columns: dict[str, np.ndarray],
    scales: Scales,
    training_sets: Sequence[Samples],
) -> dict[str, Any]:
    geometries = [
        jax.tree.map(operator.itemgetter(g), (s.graph, s.guess))
        for s in training_sets
        for g in range(len(s.occupied))
    ]
    farthest = max(novelty(scales, *geometry) for geometry in geometries)
    return {
        "name": sections["name"],
        "mean_field": sections["mean_field"],
        "guess": sections["guess"],
        "model": sections["model"],
        "flow": sections["flow"],
        "learn": sections["learn"],
        "pseudopotentials": pseudopotentials_of(sets),
        "reach_bohr": min((_reach(s) for s in sets if isinstance(s, CrystalSet)), default=0.0),
        "mesh": [list(map(int, s.mesh)) if isinstance(s, CrystalSet) else None for s in sets],
        "molecules": [s.facts["material"] for s in sets],
        "geometries": [len(s.split) for s in sets],
        "parameters": int(sum(x.size for x in jax.tree.leaves(state.best))),
        "steps": len(columns["loss"]),
        "validation_ha": float(state.best_ha),
        "novelty_reference": float(farthest),
        "distances": ranges(basis_of(sets).elements, (graph for graph, _ in geometries)),
        "pyscf_version": sets[0].facts["pyscf_version"],
        "commit": runtime.commit(),
    }

"""Evaluation: parameters frozen, walkers equilibrated, sampled until the error bar is reached.

Only these numbers are results.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from engine import __version__, devices, keys
from engine.config import EvaluateConfig, TrainingConfig, parse
from engine.estimator import make_estimators
from engine.estimator.statistics import stream_count
from engine.io import hdf5, observables
from engine.io.trace import write_trace
from engine.stage import loop, runtime
from engine.stage.checks import check_energy
from engine.stage.convergence import measured, sampled_energy, steps_needed
from engine.stage.job import Job, load, read_start, restored, run_facts
from engine.stage.programs import make_measure
from engine.types import Estimator

log = logging.getLogger(__name__)

TRUSTED_TAUS = 50
"""Fewer autocorrelation times than this do not make a trustworthy error bar."""


def evaluate(
    sections: dict[str, Any],
    *,
    system: Path,
    mean_field: Path,
    checkpoint: Path,
    result: Path,
    blocks: Path,
    state_dir: Path,
) -> None:
    """Measures the energy of a fixed wavefunction.

    Args:
        sections: Resolved configuration.
        system: Input system.h5.
        mean_field: Input mean-field file of the twist.
        checkpoint: Input checkpoint of the vmc stage.
        result: Output, kind "energy": scalars with errors, hartree per simulation cell, and the
            observables asked for.
        blocks: Output, kind "blocks": numbers of every step.
        state_dir: Scratch for saved states.
    """
    before = read_start(checkpoint)
    job = load("evaluate", sections, system=system, mean_field=mean_field, start=checkpoint)
    options = parse(EvaluateConfig, sections["evaluate"], where="evaluate")
    estimators = make_estimators(options, job.wavefunction, job.system)
    advance, prepare = make_measurement(job, estimators)
    target_ha = options.target_error_ha_per_cell * job.n_cells
    plan = loop.Plan(
        job.name,
        options.max_steps,
        options.checkpoint_steps,
        state_dir,
        job.fingerprint,
        prepare,
        advance,
        check=lambda columns, step: check_energy(
            columns,
            job.mean_field_ha,
            job.system.n_particles,
            sections.get("runaway_ha_per_particle", TrainingConfig.runaway_ha_per_particle),
        ),
        finished=lambda columns, step: measured(columns, step, options.min_steps, target_ha),
        expected=lambda columns, step: steps_needed(columns, step, options.min_steps, target_ha),
    )
    empty = devices.copied({name: estimator.init() for name, estimator in estimators.items()})
    state, columns = loop.run(plan, (*restored(job, before, checkpoint), empty))
    accumulated = devices.fetch(state[-1])
    if devices.is_main():
        found = observed(estimators, accumulated, job)
        facts = summarise(job, columns, target_ha) | run_facts(state_dir)
        facts["stopped"] = loop.ended(plan, columns)
        _write(job, columns, facts, found, result=result, blocks=blocks)
    devices.wait("the outputs are written")


def _write(
    job: Job,
    columns: dict[str, np.ndarray],
    facts: dict[str, Any],
    found: tuple[dict[str, Any], dict[str, str]],
    *,
    result: Path,
    blocks: Path,
) -> None:
    data, units = found
    _warn(job, facts)
    write_trace(blocks, columns, fingerprint=job.fingerprint, kind="blocks")
    hdf5.write(
        result,
        "energy",
        data | {"energy_ha": facts["energy_ha"], "error_ha": facts["error_ha"]},
        units=units | {"energy_ha": "hartree", "error_ha": "hartree"},
        fingerprint=job.fingerprint,
        attributes=facts,
    )
    log.info(
        "%s: %.6f +- %.6f Ha per simulation cell, tau %.1f steps",
        job.name,
        facts["energy_ha"],
        facts["error_ha"],
        facts["tau_steps"],
    )


def make_measurement(job: Job, estimators: Mapping[str, Estimator]):
    """Builds (advance, prepare) over states (params, sampler state, estimators' states)."""
    equilibrate, measure = make_measure(job, "evaluate")
    updates = {name: jax.jit(estimator.update) for name, estimator in estimators.items()}
    streams = stream_count(job.walkers)

    def prepare(state):
        params, sampler, accumulated = state
        return params, equilibrate(params, sampler), accumulated

    def advance(state, step):
        params, sampler, accumulated = state
        sampler, energy, row = measure(params, sampler, step, 0.0)
        accumulated = {
            name: update(
                accumulated[name],
                params,
                sampler.walkers,
                energy.real,
                job.system,
                job.reference,
                keys.stream(job.key, f"evaluate-{name}", step),
            )
            for name, update in updates.items()
        }
        return (params, sampler, accumulated), row | {
            "streams_ha": energy.real.reshape(streams, -1).mean(axis=1)
        }

    return advance, prepare


def observed(
    estimators: Mapping[str, Estimator], states: Mapping[str, Any], job: Job
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the datasets of all observables and their units."""
    found: dict[str, observables.Observable] = {}
    for name, estimator in estimators.items():
        found |= estimator.finish(states[name], job.system)
    return observables.pack(found)


def summarise(job: Job, columns: dict[str, np.ndarray], target_ha: float) -> dict[str, Any]:
    """Returns the scalars of the result file; energies in hartree per simulation cell."""
    seconds = float(columns["seconds"].sum())
    parts = {
        name: float(values.mean())
        for name, values in columns.items()
        if name.startswith("potential")
    }
    return {
        **sampled_energy(columns, job.walkers, target_ha),
        "potential_ha": sum(parts.values()),
        **parts,
        "target_error_ha": target_ha,
        "mean_field_ha": job.mean_field_ha,
        "mean_field_zone_ha": job.mean_field_zone_ha,
        "volume_bohr3": float(job.system.cell.volume) if job.system.cell.periodic else None,
        "n_cells": job.n_cells,
        "twist": [float(x) for x in np.asarray(job.system.twist)],
        "seed": job.sections["seed"],
        "seconds": seconds,
        "hours": seconds / 3600,
        "engine_version": __version__,
        "commit": runtime.commit(),
    }


def _warn(job: Job, facts: dict[str, Any]) -> None:
    """Says in the log what makes an error bar larger than asked for, or doubtful."""
    if not facts["converged"]:
        log.warning(
            "%s: error %.2g Ha after %d steps, %.2g Ha asked for: raise evaluate.max_steps or "
            "train longer (a lower variance needs fewer samples)",
            job.name,
            facts["error_ha"],
            facts["steps"],
            facts["target_error_ha"],
        )
    if facts["steps"] < TRUSTED_TAUS * facts["tau_steps"]:
        log.warning(
            "%s: %d steps are only %.0f autocorrelation times: raise evaluate.min_steps or "
            "sampler.moves",
            job.name,
            facts["steps"],
            facts["steps"] / facts["tau_steps"],
        )

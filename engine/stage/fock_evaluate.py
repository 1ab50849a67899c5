"""Stage `evaluate` in the Fock space: energies of the frozen network, each under its own name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jax import Array

from engine import __version__
from engine.config import parse
from engine.config.fock import FEW_SLICES, FockEvaluateConfig
from engine.errors import NumericalError
from engine.fock.estimators import CoreEnergies, core_energies
from engine.fock.extrapolation import extrapolated, filled, nested_cores, uncertainty
from engine.fock.functional import make_amplitudes
from engine.io import hdf5
from engine.io.trace import write_trace
from engine.stage import runtime
from engine.stage.fock_job import FockJob, load_fock
from engine.stage.fock_sampling import sample, summarise
from engine.stage.job import read_start, run_facts
from engine.stage.ledger import Ledger, Numbers, ledger_of

log = logging.getLogger(__name__)


def fock_evaluate(
    sections: dict[str, Any],
    *,
    integrals: Path,
    checkpoint: Path,
    result: Path,
    blocks: Path,
    state_dir: Path,
) -> None:
    """Measures the energies of a fixed network.

    Args:
        sections: Resolved configuration.
        integrals: Input integrals.h5 of the twist.
        checkpoint: Input checkpoint of the vmc stage.
        result: Output, kind "energy"; `energy_ha` is that of `evaluate.estimator`.
        blocks: Output, kind "blocks": numbers of every sampling step, if there are any.
        state_dir: Scratch for saved states; that of sampling and that of the lists are apart.

    Raises:
        Interrupted: A stop signal arrived or the job is about to end; the next start resumes.
    """
    before = read_start(checkpoint)
    job = load_fock("evaluate", sections, integrals=integrals, start=checkpoint)
    options = parse(FockEvaluateConfig, sections["evaluate"], where="evaluate")
    params, selected = job.restored(before, checkpoint)
    trained = filled(selected.core)
    few = options.estimator in ("projected", "mcmc")  # second order is extra
    limits = {
        "slices": FEW_SLICES if few else np.inf,
        "asymmetric_slices": np.inf if options.estimator == "asymmetric" else 1,
    }
    extrapolating = options.estimator == "extrapolated"
    target_ha = options.target_error_ha_per_cell * job.integrals.n_cells
    sampled = options.estimator == "mcmc"
    columns = sample(job, params, selected, options, target_ha, state_dir) if sampled else {}
    folder = state_dir / "lists" if sampled else state_dir
    with ledger_of(folder, job.name, job.fingerprint) as ledger:
        named = _core(job, params, trained, ledger, **limits)
        line = _extrapolated(job, params, trained, named, ledger) if extrapolating else None
    facts = {
        **(
            summarise(job, columns, target_ha)
            if sampled
            else _exact(options.estimator, named, line, target_ha)
        ),
        **_names(named),
        "extrapolated_ha": line,
        **_origin(job, columns, target_ha, ledger.seconds),
        **run_facts(state_dir, *([folder] if sampled else [])),
        "estimator": options.estimator,
    }
    write_trace(blocks, columns, fingerprint=job.fingerprint, kind="blocks")
    hdf5.write(
        result,
        "energy",
        {"energy_ha": facts["energy_ha"], "error_ha": facts["error_ha"]},
        units={"energy_ha": "hartree", "error_ha": "hartree"},
        fingerprint=job.fingerprint,
        attributes=facts,
    )
    _report(job, facts, named)


def _extrapolated(
    job: FockJob, params: Any, trained: Array, largest: CoreEnergies, ledger: Ledger
) -> float:
    """Returns the energy at zero correction, over the determinants and their halves."""
    amplitudes = make_amplitudes(job.model.wavefunction, is_complex=job.is_complex)
    cores = nested_cores(trained, amplitudes(params, trained, job.reference))
    halves = (_core(job, params, smaller, ledger, asymmetric_slices=0) for smaller in cores[1:])
    found = [largest, *halves]
    for smaller, energies in zip(cores, found, strict=True):
        log.info(
            "%s: %d determinants: projected %.6f, correction %.6f Ha",
            *(job.name, len(smaller), energies.projected, energies.pt2),
        )
    return extrapolated([e.projected for e in found], [e.pt2 for e in found])


def _core(job: FockJob, params: Any, core: Array, ledger: Ledger, **limits: float) -> CoreEnergies:
    options = job.selection_options

    def once(part: str, compute: Callable[[], Numbers], left: int) -> Numbers:
        return ledger.once(f"{len(core)} determinants, {part}", compute, left)

    return core_energies(
        job.model.wavefunction,
        job.space,
        params,
        job.reference,
        core,
        job.hamiltonian,
        job.kinetic,
        is_complex=job.is_complex,
        chunk=options.chunk,
        buffer=options.buffer,
        once=once,
        **limits,
    )


def _exact(
    estimator: str, named: CoreEnergies, line: float | None, target_ha: float
) -> dict[str, Any]:
    """Returns the columns of an energy without statistical error.

    Kinetic and potential energy are those of the projected state, and of no other energy.
    The error of an extrapolated one is an estimate of what the line misses.
    """
    energy = {
        "projected": named.projected,
        "projected-pt2": named.projected + named.pt2,
        "extrapolated": line,
        "asymmetric": named.asymmetric,
    }[estimator]
    if not np.isfinite(energy):
        raise NumericalError(
            f"the energy '{estimator}' is {energy}",
            where="evaluate, key 'estimator'",
            expected="determinants outside the core that lie above its energy",
            remedy="train longer, enlarge selection.core, or set estimator: projected",
        )
    bound = estimator == "projected"
    error = 0.0 if line is None else uncertainty(line, named.projected, named.pt2)
    return {
        "energy_ha": energy,
        "error_ha": error,
        "error_blocking_ha": 0.0,
        "tau_steps": 0.0,
        "variance_ha2": named.variance,
        "imag_ha": 0.0,
        "kinetic_ha": named.kinetic if bound else None,
        "kinetic_error_ha": 0.0 if bound else None,
        "potential_ha": energy - named.kinetic if bound else None,
        "acceptance": None,
        "steps": 0,
        "walkers": 0,
        "samples": named.connected,
        "converged": bool(error <= target_ha and (bound or named.complete)),
    }


def _names(named: CoreEnergies) -> dict[str, Any]:
    return {
        "projected_ha": named.projected,
        "selected_ci_ha": named.selected_ci,
        "projected_pt2_ha": named.projected + named.pt2,
        "asymmetric_ha": named.asymmetric if np.isfinite(named.asymmetric) else None,
        "spin_squared": named.spin_squared,
        "pt2_complete": named.complete,
    }


def _origin(
    job: FockJob, columns: dict[str, np.ndarray], target_ha: float, parts_s: float
) -> dict[str, Any]:
    seconds = float(np.sum(columns.get("seconds", 0.0))) + parts_s
    return {
        "target_error_ha": target_ha,
        "mean_field_ha": job.integrals.mean_field,
        "n_cells": job.integrals.n_cells,
        "twist": [float(x) for x in job.integrals.twist],
        "seed": job.sections["seed"],
        "seconds": seconds,
        "hours": seconds / 3600,
        "engine_version": __version__,
        "commit": runtime.commit(),
    }


def _report(job: FockJob, facts: dict[str, Any], named: CoreEnergies) -> None:
    log.info(
        "%s: projected %.6f (selected CI %.6f), with second order %.6f Ha; <S^2> %.4f",
        job.name,
        named.projected,
        named.selected_ci,
        named.projected + named.pt2,
        named.spin_squared,
    )
    log.info(
        "%s: %s %.6f +- %.6f Ha per simulation cell",
        *(job.name, facts["estimator"], facts["energy_ha"], facts["error_ha"]),
    )
    if not named.complete:
        log.warning(
            "%s: what lies outside did not fit into selection.buffer: second order is truncated",
            job.name,
        )
    if facts["error_ha"] > facts["target_error_ha"]:
        log.warning(
            "%s: error %.2g Ha, %.2g Ha asked for: raise %s",
            *(job.name, facts["error_ha"], facts["target_error_ha"]),
            "evaluate.max_steps" if facts["steps"] else "selection.core",
        )

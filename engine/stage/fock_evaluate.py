"""Stage `evaluate` in the Fock space: energies of the frozen network, each under its own name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import __version__, keys
from engine.config import parse
from engine.config.fock import FockEvaluateConfig, FockSamplerConfig
from engine.estimator.statistics import estimate
from engine.fock.estimators import CoreEnergies, core_energies
from engine.fock.markov import FockWalkers, make_chain, make_fock_local_energy
from engine.fock.selection import Selected
from engine.io import hdf5
from engine.io.trace import write_trace
from engine.stage import loop, runtime
from engine.stage.checks import check_finite
from engine.stage.fock_job import FockJob, load_fock
from engine.stage.job import read_start

log = logging.getLogger(__name__)

MAX_STREAMS = 64
"""Walkers are averaged into at most this many independent streams for the autocorrelation."""


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
        state_dir: Scratch for saved states.
    """
    before = read_start(checkpoint)
    job = load_fock("evaluate", sections, integrals=integrals, start=checkpoint)
    options = parse(FockEvaluateConfig, sections["evaluate"], where="evaluate")
    params, selected = job.restored(before, checkpoint)
    named = _core(job, params, selected)
    target_ha = options.target_error_ha_per_cell * job.integrals.n_cells
    sampled = options.estimator == "mcmc"
    columns = _sample(job, params, selected, options, target_ha, state_dir) if sampled else {}
    facts = {
        **(_sampled(job, columns, target_ha) if sampled else _exact(options.estimator, named)),
        **_names(named),
        **_origin(job, columns, target_ha),
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


def _core(job: FockJob, params: Any, selected: Selected) -> CoreEnergies:
    options = job.selection_options
    return core_energies(
        job.model.wavefunction,
        job.space,
        params,
        job.reference,
        selected.core,
        job.hamiltonian,
        job.kinetic,
        is_complex=job.is_complex,
        chunk=options.chunk,
        buffer=options.buffer,
    )


def _exact(estimator: str, named: CoreEnergies) -> dict[str, Any]:
    """Returns the columns of an energy without statistical error."""
    energy = {
        "projected": named.projected,
        "projected-pt2": named.projected + named.pt2,
        "asymmetric": named.asymmetric,
    }[estimator]
    return {
        "energy_ha": energy,
        "error_ha": 0.0,
        "error_blocking_ha": 0.0,
        "tau_steps": 0.0,
        "variance_ha2": named.variance,
        "imag_ha": 0.0,
        "kinetic_ha": named.kinetic,
        "kinetic_error_ha": 0.0,
        "potential_ha": energy - named.kinetic,
        "acceptance": None,
        "steps": 0,
        "walkers": 0,
        "samples": named.connected,
        "converged": True,
    }


def _names(named: CoreEnergies) -> dict[str, Any]:
    return {
        "projected_ha": named.projected,
        "projected_pt2_ha": named.projected + named.pt2,
        "asymmetric_ha": named.asymmetric,
        "spin_squared": named.spin_squared,
        "pt2_complete": named.complete,
    }


def _sample(
    job: FockJob,
    params: Any,
    selected: Selected,
    options: FockEvaluateConfig,
    target_ha: float,
    state_dir: Path,
) -> dict[str, np.ndarray]:
    sampler = parse(FockSamplerConfig, job.sections["sampler"], where="sampler")
    advance, prepare, initial = _chain(job, params, selected, sampler)
    plan = loop.Plan(
        job.name,
        options.max_steps,
        options.checkpoint_steps,
        state_dir,
        job.fingerprint,
        prepare,
        advance,
        check=lambda columns, step: check_finite(columns["energy_ha"], "the local energy"),
        finished=lambda columns, step: (
            step >= options.min_steps and estimate(columns["streams_ha"]).error <= target_ha
        ),
    )
    return loop.run(plan, initial)[1]


def _chain(job: FockJob, params: Any, selected: Selected, sampler: FockSamplerConfig):
    chain = make_chain(job.model.wavefunction, job.space, sampler.moves)
    local = make_fock_local_energy(job.model.wavefunction, job.space, is_complex=job.is_complex)
    count = sampler.walkers
    streams = max(s for s in range(1, min(MAX_STREAMS, count) + 1) if count % s == 0)

    def prepare(walkers):
        for step in range(sampler.equilibration):
            key = keys.stream(job.key, "evaluate-equilibration", step)
            walkers, _ = chain(params, walkers, job.reference, key)
        return walkers

    def advance(walkers, step):
        key = keys.stream(job.key, "evaluate-sampler", step)
        walkers, acceptance = chain(params, walkers, job.reference, key)
        energy, kinetic = local(params, walkers.words, job.reference, job.hamiltonian, job.kinetic)
        return walkers, {
            "energy_ha": jnp.mean(energy.real),
            "error_ha": jnp.std(energy.real) / count**0.5,
            "variance_ha2": jnp.var(energy.real),
            "imag_ha": jnp.mean(energy.imag),
            "kinetic_ha": jnp.mean(kinetic.real),
            "acceptance": acceptance,
            "streams_ha": energy.real.reshape(streams, -1).mean(axis=1),
        }

    first = jnp.broadcast_to(selected.core[0], (count, *selected.core.shape[1:]))
    return advance, prepare, FockWalkers(first, jnp.zeros(count, job.sections["precision"]))


def _sampled(job: FockJob, columns: dict[str, np.ndarray], target_ha: float) -> dict[str, Any]:
    energy, kinetic = estimate(columns["streams_ha"]), estimate(columns["kinetic_ha"])
    steps, walkers = len(columns["energy_ha"]), job.sections["sampler"]["walkers"]
    return {
        "energy_ha": energy.mean,
        "error_ha": energy.error,
        "error_blocking_ha": energy.error_blocking,
        "tau_steps": energy.tau,
        "variance_ha2": float(columns["variance_ha2"].mean()),
        "imag_ha": float(columns["imag_ha"].mean()),
        "kinetic_ha": kinetic.mean,
        "kinetic_error_ha": kinetic.error,
        "potential_ha": energy.mean - kinetic.mean,
        "acceptance": float(columns["acceptance"].mean()),
        "steps": steps,
        "walkers": walkers,
        "samples": steps * walkers,
        "converged": bool(energy.error <= target_ha),
    }


def _origin(job: FockJob, columns: dict[str, np.ndarray], target_ha: float) -> dict[str, Any]:
    seconds = float(np.sum(columns.get("seconds", 0.0)))
    return {
        "target_error_ha": target_ha,
        "mean_field_ha": job.integrals.mean_field,
        "n_cells": job.integrals.n_cells,
        "twist": [float(x) for x in job.integrals.twist],
        "seed": job.sections["seed"],
        "seconds": seconds,
        "hours": seconds / 3600,
        **runtime.compilation(),
        "device": jax.devices()[0].device_kind,
        "engine_version": __version__,
        "commit": runtime.commit(),
    }


def _report(job: FockJob, facts: dict[str, Any], named: CoreEnergies) -> None:
    log.info(
        "%s: projected %.6f, with second order %.6f, asymmetric %.6f Ha; <S^2> %.4f",
        job.name,
        named.projected,
        named.projected + named.pt2,
        named.asymmetric,
        named.spin_squared,
    )
    log.info(
        "%s: %s %.6f +- %.6f Ha per simulation cell",
        *(job.name, facts["estimator"], facts["energy_ha"], facts["error_ha"]),
    )
    if not named.complete:
        log.warning(
            "%s: not all connections fitted into selection.buffer: second order is truncated",
            job.name,
        )
    if not facts["converged"]:
        log.warning(
            "%s: error %.2g Ha, %.2g Ha asked for: raise evaluate.max_steps",
            *(job.name, facts["error_ha"], facts["target_error_ha"]),
        )

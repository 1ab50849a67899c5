"""Sampling in the Fock space: walkers drawn from |psi|^2 and their local energies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from engine import keys
from engine.config import parse
from engine.config.fock import FockEvaluateConfig, FockSamplerConfig
from engine.estimator.statistics import stream_count
from engine.fock.markov import FockWalkers, make_chain, make_fock_local_energy
from engine.fock.selection import Selected
from engine.stage import loop
from engine.stage.checks import check_finite
from engine.stage.convergence import measured, sampled_energy, steps_needed
from engine.stage.fock_job import FockJob


def sample(
    job: FockJob,
    params: Any,
    selected: Selected,
    options: FockEvaluateConfig,
    target_ha: float,
    state_dir: Path,
) -> dict[str, np.ndarray]:
    """Returns the columns of all sampling steps, up to the error that was asked for."""
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
        finished=lambda columns, step: measured(columns, step, options.min_steps, target_ha),
        expected=lambda columns, step: steps_needed(columns, step, options.min_steps, target_ha),
    )
    return loop.run(plan, initial)[1]


def _chain(job: FockJob, params: Any, selected: Selected, sampler: FockSamplerConfig):
    chain = make_chain(job.model.wavefunction, job.space, sampler.moves)
    local = make_fock_local_energy(job.model.wavefunction, job.space, is_complex=job.is_complex)
    count = sampler.walkers
    streams = stream_count(count)

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


def summarise(job: FockJob, columns: dict[str, np.ndarray], target_ha: float) -> dict[str, Any]:
    """Returns the scalars of a sampled energy, hartree per simulation cell."""
    found = sampled_energy(columns, job.sections["sampler"]["walkers"], target_ha)
    return found | {"potential_ha": found["energy_ha"] - found["kinetic_ha"]}

"""Variational Monte Carlo: sample, measure, move the parameters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from engine import keys
from engine.config import HamiltonianConfig, OptimizerConfig, VmcConfig, parse
from engine.hamiltonian import make_hamiltonian
from engine.io import hdf5
from engine.io.trace import write_trace
from engine.optimizer import make_optimizer
from engine.optimizer.objective import clipped_weights
from engine.stage import loop, runtime
from engine.stage.checks import check_energy
from engine.stage.job import Job, checkpoint_data, load, read_start, restored
from engine.stage.programs import equilibrate, make_local_energy, make_sample, summary
from engine.types import VmcState

log = logging.getLogger(__name__)


def vmc(
    sections: dict[str, Any],
    *,
    system: Path,
    mean_field: Path,
    start: Path,
    checkpoint: Path,
    trace: Path,
    state_dir: Path,
) -> None:
    """Minimises the variational energy from a pretrained start.

    Args:
        sections: Resolved configuration.
        system: Input system.h5.
        mean_field: Input mean-field file of the twist.
        start: Input checkpoint of the pretrain stage.
        checkpoint: Output, kind "checkpoint": params, sampler, optimizer, step.
        trace: Output, kind "trace": one row per step. These are training numbers, not results.
        state_dir: Scratch for saved states.
    """
    before = read_start(start)
    job = load("vmc", sections, system=system, mean_field=mean_field, start=start)
    options = parse(VmcConfig, sections["vmc"], where="vmc")
    params, sampler = restored(job, before, start)
    advance, initial, prepare = make_iteration(job, params, sampler, options.steps)
    plan = loop.Plan(
        job.name,
        options.steps,
        options.checkpoint_steps,
        state_dir,
        job.fingerprint,
        prepare,
        advance,
        check=lambda columns, step: check_energy(
            columns, job.mean_field_ha, job.system.n_particles, options.runaway_ha_per_particle
        ),
    )
    state, columns = loop.run(plan, initial)
    attributes = {"stage": "vmc", "device": runtime.device(), **runtime.compilation()}
    write_trace(trace, columns, fingerprint=job.fingerprint, attributes=attributes)
    data = checkpoint_data(params=state.params, sampler=state.sampler, optimizer=state.optimizer)
    hdf5.write(
        checkpoint,
        "checkpoint",
        data | {"step": options.steps},
        fingerprint=job.fingerprint,
        attributes=attributes,
    )
    log.info("%s: %.1f s of compilation", job.name, runtime.compile_seconds())


def make_iteration(job: Job, params: Any, sampler: Any, steps: int):
    """Builds (advance, initial state, prepare) of the optimisation.

    Without steps (an ansatz without parameters) no optimizer is made.
    """
    hamiltonian_options = parse(HamiltonianConfig, job.sections["hamiltonian"], where="hamiltonian")
    optimizer_options = parse(OptimizerConfig, job.sections["optimizer"], where="optimizer")
    hamiltonian = make_hamiltonian(job.system, hamiltonian_options)
    sample = make_sample(job)
    local_energy = make_local_energy(job.wavefunction, hamiltonian, hamiltonian_options.chunk)
    optimizer = (
        make_optimizer(
            job.wavefunction, optimizer_options, is_complex=job.sections["number"] == "complex"
        )
        if steps
        else None
    )

    def batch(walkers, weights):
        return (walkers, *(w.astype(job.dtype) for w in weights), job.system, job.reference)

    def prepare(state: VmcState) -> VmcState:
        equilibration = job.sections["sampler"]["equilibration"]
        walkers = equilibrate(
            job, sample, state.params, state.sampler, equilibration, "vmc-equilibration"
        )
        return state._replace(sampler=walkers)

    def advance(state: VmcState, step: int):
        params, sampler, opt_state, _ = state
        sampler, info = sample(
            params,
            sampler,
            job.system,
            job.reference,
            keys.stream(job.key, "vmc-sampler", step),
            1.0,
        )
        energy = local_energy(
            params,
            sampler.walkers,
            job.system,
            job.reference,
            keys.stream(job.key, "vmc-energy", step),
        )
        weights = clipped_weights(energy.real, energy.imag, optimizer_options.clip)
        params, opt_state, moved = optimizer.step(
            params,
            opt_state,
            keys.stream(job.key, "vmc-optimizer", step),
            batch(sampler.walkers, weights),
        )
        return VmcState(params, sampler, opt_state, step + 1), {**summary(energy), **info, **moved}

    zeros = jnp.zeros(job.walkers)
    opt_state = (
        optimizer.init(
            params, keys.stream(job.key, "optimizer-init"), batch(sampler.walkers, (zeros, zeros))
        )
        if steps
        else ()
    )
    return advance, VmcState(params, sampler, opt_state, 0), prepare

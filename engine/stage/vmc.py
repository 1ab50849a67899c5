"""Variational Monte Carlo: sample, measure, move the parameters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from engine import keys
from engine.config import OptimizerConfig, VmcConfig, parse
from engine.optimizer import make_optimizer
from engine.optimizer.objective import clipped_weights
from engine.stage import loop, runtime
from engine.stage.checks import check_energy
from engine.stage.convergence import trained
from engine.stage.job import Job, load, read_start, restored, write_training
from engine.stage.programs import make_measure
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
    accuracy_ha = options.accuracy_ha_per_cell * job.n_cells
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
        finished=lambda columns, step: trained(columns, step, options.min_steps, accuracy_ha),
    )
    state, columns = loop.run(plan, initial)
    write_training(
        job,
        columns,
        steps=int(state.step),
        stopped=loop.ended(plan, columns),
        checkpoint=checkpoint,
        trace=trace,
        state_dir=state_dir,
        params=state.params,
        sampler=state.sampler,
        optimizer=state.optimizer,
    )
    log.info("%s: %.1f s of compilation", job.name, runtime.compile_seconds())


def make_iteration(job: Job, params: Any, sampler: Any, steps: int):
    """Builds (advance, initial state, prepare) of the optimisation.

    Without steps (an ansatz without parameters) no optimizer is made.
    """
    optimizer_options = parse(OptimizerConfig, job.sections["optimizer"], where="optimizer")
    equilibrate, measure = make_measure(job, "vmc")
    optimizer = (
        make_optimizer(
            job.wavefunction, optimizer_options, is_complex=job.sections["number"] == "complex"
        )
        if steps
        else None
    )

    unit = float(job.system.frequency)

    def batch(walkers, weights):
        weights = ((w / unit).astype(job.dtype) for w in weights)
        return (walkers, *weights, job.system, job.reference)

    def prepare(state: VmcState) -> VmcState:
        walkers = equilibrate(state.params, state.sampler)
        return state._replace(sampler=walkers)

    def advance(state: VmcState, step: int):
        params, sampler, opt_state, _ = state
        sampler, energy, row = measure(params, sampler, step, 1.0)
        weights = clipped_weights(energy.real, energy.imag, optimizer_options.clip)
        params, opt_state, moved = optimizer.step(
            params,
            opt_state,
            keys.stream(job.key, "vmc-optimizer", step),
            batch(sampler.walkers, weights),
        )
        return VmcState(params, sampler, opt_state, step + 1), row | moved

    zeros = jnp.zeros(job.walkers)
    opt_state = (
        optimizer.init(
            params, keys.stream(job.key, "optimizer-init"), batch(sampler.walkers, (zeros, zeros))
        )
        if steps
        else ()
    )
    return advance, VmcState(params, sampler, opt_state, 0), prepare

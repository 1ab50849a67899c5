"""Variational Monte Carlo: sample, measure, move the parameters."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from engine import keys
from engine.config import OptimizerConfig, TrainingConfig, parse
from engine.io import hdf5
from engine.io.trace import read_trace
from engine.optimizer import make_optimizer
from engine.optimizer.objective import clipped_weights
from engine.stage import loop, runtime
from engine.stage.checks import check_energy
from engine.stage.convergence import gained, trained
from engine.stage.job import Job, load, read_start, restored, run_facts, write_training
from engine.stage.joint import rows_of
from engine.stage.programs import batch_of, make_measure
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
    joint_trace: Path | None = None,
) -> None:
    """Minimises the variational energy from a pretrained start, or from a group's network.

    Args:
        sections: Resolved configuration.
        system: Input system.h5.
        mean_field: Input mean-field file of the twist.
        start: Input checkpoint of the pretrain stage; of a member of a group that of the group.
        checkpoint: Output, kind "checkpoint": params, sampler, optimizer, step.
        trace: Output, kind "trace": one row per step. These are training numbers, not results.
        state_dir: Scratch for saved states.
        joint_trace: Input trace of the group.
    """
    before = read_start(start)
    member = sections["joint"]["member"] if "joint" in sections else None
    job = load("vmc", sections, system=system, mean_field=mean_field, start=start)
    options = parse(TrainingConfig, sections["vmc"], where="vmc")
    params, sampler = restored(job, before, start, member)
    advance, initial, prepare = make_iteration(job, params, sampler, options.steps)
    accuracy_ha = options.accuracy_ha_per_cell * job.n_cells
    plan = loop.Plan(
        job.name,
        options.steps,
        options.checkpoint_steps,
        state_dir,
        job.fingerprint,
        prepare if member is None else lambda state: state,
        advance,
        check=lambda columns, step: check_energy(
            columns, job.mean_field_ha, job.system.n_particles, options.runaway_ha_per_particle
        ),
        finished=lambda columns, step: trained(columns, step, options.min_steps, accuracy_ha),
    )
    state, columns = loop.run(plan, initial)
    stopped, facts = loop.ended(plan, columns), {}
    if member is not None:
        columns, facts = with_group(joint_trace, member, columns, state_dir)
    write_training(
        job,
        columns,
        steps=len(columns["energy_ha"]) if member is not None else int(state.step),
        stopped=stopped,
        facts=facts | gained(columns.get("energy_ha", ())),
        checkpoint=checkpoint,
        trace=trace,
        state_dir=state_dir,
        params=state.params,
        sampler=state.sampler,
        optimizer=state.optimizer,
    )
    log.info("%s: %.1f s of compilation", job.name, runtime.compile_seconds())


def with_group(
    path: Path, member: int, columns: dict[str, Any], state_dir: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns a member's steps in its group with its own after them, and what they have cost.

    Device hours of the group are shared among its members as its steps' seconds are.
    """
    common = read_trace(path)
    del common["step"]
    rows = rows_of(common, member)
    mine = {name: x for name, x in rows.items() if name in columns or not columns}
    joined = {name: np.concatenate([x, columns.get(name, x[:0])]) for name, x in mine.items()}
    share = float(mine["seconds"].sum() / common["seconds"].sum())
    group, own = hdf5.read(path, "trace").attributes, run_facts(state_dir)
    words = {
        name: " ".join(dict.fromkeys(f"{group[name]} {own[name]}".split()))
        for name in ("job_ids", "hosts")
    }
    hours = own["device_hours"] + share * group["device_hours"]
    return joined, {**words, "device_hours": hours, "group_share": share}


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
            batch_of(job, sampler.walkers, weights),
        )
        return VmcState(params, sampler, opt_state, step + 1), row | moved

    zeros = jnp.zeros(job.walkers)
    opt_state = (
        optimizer.init(
            params,
            keys.stream(job.key, "optimizer-init"),
            batch_of(job, sampler.walkers, (zeros, zeros)),
        )
        if steps
        else ()
    )
    return advance, VmcState(params, sampler, opt_state, 0), prepare

"""Pretraining: network orbitals are fitted to the mean-field orbitals.

Walkers are drawn partly from the mean-field density and partly from the network's, so that
the fit is good where either of them puts electrons.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from engine import keys
from engine.config import PretrainConfig, parse
from engine.io.checkpoint import flatten, under, unflatten
from engine.io.hdf5 import Record
from engine.mean_field.reference import evaluate_orbitals
from engine.optimizer.first_order import adam
from engine.stage import loop
from engine.stage.checks import check_finite
from engine.stage.job import Job, load, read_start, restored, write_training
from engine.stage.programs import batch_log_density

log = logging.getLogger(__name__)

EXCHANGE = "exchange"
"""The parameter that only orbitals of broken spin symmetry have: it starts anew where the network
that a run starts from has none."""


def pretrain(
    sections: dict[str, Any],
    *,
    system: Path,
    mean_field: Path,
    checkpoint: Path,
    trace: Path,
    state_dir: Path,
    start: Path | None = None,
) -> None:
    """Fits the ansatz to the mean field and writes parameters and walkers of both densities.

    Without steps they are the initial ones: the next stage equilibrates walkers of psi alone.
    What starts from a trained network fits nothing: a twist from that of another twist, walkers
    included, or from that of another geometry or cell, with walkers of its own.

    Args:
        sections: Resolved configuration.
        system: Input system.h5.
        mean_field: Input mean-field file of the twist.
        checkpoint: Output, kind "checkpoint": params, sampler.
        trace: Output, kind "trace": loss per step.
        state_dir: Scratch for saved states.
        start: Input checkpoint of the vmc stage of another twist or material.
    """
    before = read_start(start) if start else None
    job = load("pretrain", sections, system=system, mean_field=mean_field, start=start)
    options = parse(PretrainConfig, sections["pretrain"], where="pretrain")
    params, sampler = _begin(job, before, start)
    steps = options.steps if job.wavefunction.orbitals and not start else 0
    optimizer = adam(make_fit(job), options.learning_rate)
    sample = make_mixed_sample(job, 0.0 if start else options.reference_fraction)

    def prepare(state):
        params, sampler, opt_state = state
        for step in range(job.sections["sampler"]["equilibration"] if steps else 0):
            key = keys.stream(job.key, "pretrain-equilibration", step)
            sampler, _ = sample(params, sampler, job.system, job.reference, key)
        return params, sampler, opt_state

    def advance(state, step):
        params, sampler, opt_state = state
        sampler, info = sample(
            params,
            sampler,
            job.system,
            job.reference,
            keys.stream(job.key, "pretrain-sampler", step),
        )
        batch = (sampler.walkers, job.system, job.reference)
        params, opt_state, fit = optimizer.step(params, opt_state, None, batch)
        return (params, sampler, opt_state), {"loss": fit["value"], **info}

    plan = loop.Plan(
        job.name,
        steps,
        options.checkpoint_steps,
        state_dir,
        job.fingerprint,
        prepare,
        advance,
        check=lambda columns, step: check_finite(columns["loss"][-loop.FLUSH :], "the loss"),
        show="loss",
    )
    initial = (params, sampler, optimizer.init(params, None, None))
    (params, sampler, _), columns = loop.run(plan, initial)
    write_training(
        job,
        columns,
        steps=steps,
        checkpoint=checkpoint,
        trace=trace,
        state_dir=state_dir,
        params=params,
        sampler=sampler,
    )


def _begin(job: Job, before: Record | None, start: Path | None) -> tuple[Any, Any]:
    """Returns (params, sampler state) to begin with."""
    if before is None:
        return job.fresh()
    if "transfer_from" in job.sections:
        params, walkers = job.fresh()
        own = {name: x for name, x in flatten(params).items() if name.endswith(EXCHANGE)}
        known = own | under("params", before.data)
        return unflatten(params, known, where=str(start)), walkers
    return restored(job, before, start)


def make_fit(job: Job):
    """Builds (params, key, batch) -> ((loss, aux), gradient), batch = (walkers, system, reference).

    loss = mean over walkers, determinants and particles of |orbital - target|^2, the target
    being block-diagonal in the species.
    """
    block = jnp.asarray(_same_species(job))

    def loss(params, batch):
        walkers, system, reference = batch

        def one(walker):
            target = jnp.concatenate(evaluate_orbitals(reference, walker, system), axis=1) * block
            difference = job.wavefunction.orbitals(params, walker, system, reference) - target
            return jnp.mean(jnp.sum(jnp.abs(difference) ** 2, axis=-1))

        return jnp.mean(jax.vmap(one)(walkers)), {}

    return lambda params, key, batch: jax.value_and_grad(loss, has_aux=True)(params, batch)


def _same_species(job: Job):
    kind = jnp.repeat(jnp.arange(len(job.system.counts)), jnp.asarray(job.system.counts))
    return (kind[:, None] == kind[None, :]).astype(job.dtype)


def make_mixed_sample(job: Job, reference_fraction: float):
    """Builds a compiled sampling step in which the first walkers follow the mean-field density."""
    network, slater = batch_log_density(job.wavefunction), batch_log_density(job.slater)
    cut = round(min(reference_fraction, 1.0) * job.walkers)

    @jax.jit
    def sample(params, state, system, reference, key):
        def log_density(walkers):
            parts = [slater({}, walkers[:cut], system, reference)] if cut else []
            parts += (
                [network(params, walkers[cut:], system, reference)] if cut < len(walkers) else []
            )
            return jnp.concatenate(parts)

        return job.sampler.step(key, log_density, state, system, 1.0)

    return sample

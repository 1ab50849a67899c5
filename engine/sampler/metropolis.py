"""Metropolis sampling with Gaussian moves of all particles and an adaptive width."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.config import SamplerConfig
from engine.types import Sampler

ADAPTATION_RATE = 0.5
"""d log(width) per step and unit of excess acceptance."""


class MetropolisState(NamedTuple):
    """What the next step needs.

    Attributes:
        walkers: (W, n, 3) positions, bohr, inside the cell.
        width: () standard deviation of the proposal for unit mass, bohr.
    """

    walkers: Array
    width: Array


def make_metropolis(options: SamplerConfig) -> Sampler:
    """Builds a sampler that makes `options.moves` moves of all particles per step.

    A proposal displaces every coordinate by a Gaussian of standard deviation
    width / sqrt(mass). After a step the width moves so that the acceptance approaches
    `options.acceptance` (only where `adapt` is 1), and walkers are wrapped into the cell. In an
    electron gas the initial width is in units of rs. The width stays below the size of a periodic
    cell, where a flat density accepts everything.
    """

    def init(walkers, system):
        width = jnp.asarray(options.width_bohr * system.spacing, walkers.dtype)
        return MetropolisState(system.settle(walkers), width)

    def step(key, log_density, state, system, adapt):
        walkers, width = state
        scale = jnp.asarray(1 / system.particle_masses**0.5, walkers.dtype)[:, None]

        def move(i, carry):
            walkers, log_old, accepted = carry
            key_move, key_accept = jax.random.split(jax.random.fold_in(key, i))
            noise = jax.random.normal(key_move, walkers.shape, walkers.dtype)
            proposal = walkers + width * scale * noise
            log_new = log_density(proposal)
            uniform = jax.random.uniform(key_accept, log_old.shape, log_old.dtype, minval=1e-30)
            accept = jnp.log(uniform) < log_new - log_old
            walkers = jnp.where(accept[:, None, None], proposal, walkers)
            return walkers, jnp.where(accept, log_new, log_old), accepted + accept

        start = (walkers, log_density(walkers), jnp.zeros(len(walkers), jnp.float64))
        walkers, _, accepted = jax.lax.fori_loop(0, options.moves, move, start)
        acceptance = accepted.mean() / options.moves
        factor = jnp.exp(ADAPTATION_RATE * adapt * (acceptance - options.acceptance))
        wider = jnp.minimum(width * factor, system.cell.extent)
        new = MetropolisState(system.settle(walkers), wider.astype(width.dtype))
        return new, {"acceptance": acceptance, "width_bohr": width}

    return Sampler(init, step)

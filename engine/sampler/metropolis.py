"""Metropolis sampling with Gaussian moves, of all particles of one charge at a time."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.config import SamplerConfig
from engine.system.system import System
from engine.types import Sampler

ADAPTATION_RATE = 0.5
"""d log(width) per step and unit of excess acceptance."""


class MetropolisState(NamedTuple):
    """What the next step needs.

    Attributes:
        walkers: (W, n, 3) positions, bohr, inside the cell.
        width: (kinds,) standard deviation of the proposal for unit mass where `room` is one, bohr;
            electrons first where there are any, then positrons.
    """

    walkers: Array
    width: Array


def make_metropolis(options: SamplerConfig) -> Sampler:
    """Builds a sampler that makes `options.moves` moves of every particle per step.

    A proposal displaces every coordinate by a Gaussian of standard deviation width / sqrt(mass), of
    electrons and of positrons in turn: a positron outside of an atom is as free as the electrons of
    its core are not. Moves of electrons are also proportional to the distance from the nearest
    nucleus (`room`), so that valence electrons do not go at the pace of the core; the acceptance
    has the ratio of the densities of a move and of the move back.

    After a step the width of each moves so that its acceptance approaches `options.acceptance`
    (only where `adapt` is 1), and walkers are wrapped into the cell. In an electron gas the initial
    width is in units of rs. A walker whose density is zero or not a number takes the first move to
    where it is neither. The width stays below the size of a periodic cell: without nuclei, a
    flat density accepts everything.
    """

    def init(walkers, system):
        width = jnp.asarray(options.width_bohr * system.spacing, walkers.dtype)
        width = jnp.broadcast_to(width, (len(system.kinds),))
        return MetropolisState(system.settle(walkers), width)

    def step(key, log_density, state, system, adapt):
        walkers, width = state
        kinds = len(system.kinds)
        moved = [system.particle_charges == charge for charge in system.kinds.values()]
        scales = jnp.asarray(moved / system.particle_masses**0.5, walkers.dtype)

        def move(i, carry):
            walkers, here, log_old, accepted = carry
            kind = i % kinds
            key_move, key_accept = jax.random.split(jax.random.fold_in(key, jnp.maximum(i, 0)))
            noise = jax.random.normal(key_move, walkers.shape, walkers.dtype)
            reach = jnp.where(i < 0, 0, width[kind] * scales[kind])
            proposal = walkers + (reach * here)[..., None] * noise
            there = room(proposal, system)
            back = log_way_back(noise, here / there)
            log_new = log_density(proposal)
            uniform = jax.random.uniform(key_accept, log_old.shape, log_old.dtype, minval=1e-30)
            accept = jnp.log(uniform) < log_new - log_old + back
            walkers = jnp.where(accept[:, None, None], proposal, walkers)
            here = jnp.where(accept[:, None], there, here)
            accepted = accepted.at[:, kind].add(accept & (i >= 0))
            return walkers, here, jnp.where(accept, log_new, log_old), accepted

        # The move before the first goes nowhere: log_density is compiled once, in the loop.
        nothing = jnp.full(len(walkers), -jnp.inf, jax.eval_shape(log_density, walkers).dtype)
        counts = jnp.zeros((len(walkers), kinds), jnp.float64)
        start = (walkers, room(walkers, system), nothing, counts)
        walkers, *_, counts = jax.lax.fori_loop(-1, kinds * options.moves, move, start)
        acceptance = counts.mean(axis=0) / options.moves
        factor = jnp.exp(ADAPTATION_RATE * adapt * (acceptance - options.acceptance))
        wider = jnp.minimum(width * factor, system.cell.extent)
        new = MetropolisState(system.settle(walkers), wider.astype(width.dtype))
        info = {"acceptance": acceptance.mean(), "width_bohr": width[0]}
        others = zip(list(system.kinds)[1:], width[1:], strict=True)
        return new, info | {f"width_{name}_bohr": value for name, value in others}

    return Sampler(init, step)


def room(walkers: Array, system: System) -> Array:
    """Returns the (..., n) lengths that moves are measured in at walkers (..., n, 3), bohr.

    That of an electron is 1 / Z at the nearest nucleus and grows with the distance from it; that of
    others is one.
    """
    if not len(system.charges):
        return jnp.ones(walkers.shape[:-1], walkers.dtype)
    d = system.cell.nearest_image(walkers[..., None, :] - system.positions.astype(walkers.dtype))
    distance = jnp.sqrt(jnp.sum(d * d, axis=-1))
    shell = 1 / jnp.maximum(system.charges, 1).astype(walkers.dtype)
    electron = jnp.asarray(system.particle_charges < 0)
    return jnp.where(electron, jnp.min(shell + distance, axis=-1), 1).astype(walkers.dtype)


def log_way_back(noise: Array, ratio: Array) -> Array:
    """Returns log of the density of the move back over that of the move, (W,).

    Args:
        noise: (W, n, 3) of the move, standard normal.
        ratio: (W, n) length of the move over that of the move back; one where nothing moves.
    """
    squared = jnp.sum(noise * noise, axis=-1)
    return jnp.sum(3 * jnp.log(ratio) - 0.5 * squared * (ratio * ratio - 1), axis=-1)

"""Metropolis sampling: Gaussian or Langevin moves, of all particles of one charge at a time."""

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
LIMIT = 0.25
"""Of the drift: parameter a of Umrigar, Nightingale and Runge."""


class MetropolisState(NamedTuple):
    """What the next step needs.

    Attributes:
        walkers: (W, n, 3) positions, bohr, inside the cell.
        width: (kinds,) standard deviation of the proposal for unit mass where `room` is one, bohr;
            electrons first where there are any, then positrons.
    """

    walkers: Array
    width: Array


class Here(NamedTuple):
    """What a move needs to know of where walkers are.

    Attributes:
        log: (W,) log density.
        room: (W, n) lengths that moves are measured in, bohr.
        slope: (W, n, 3) gradient of log |psi|, 1/bohr; None where moves are Gaussian.
    """

    log: Array
    room: Array
    slope: Array | None


def make_metropolis(options: SamplerConfig) -> Sampler:
    """Builds a sampler that makes `options.moves` moves of every particle per step.

    A proposal displaces every coordinate by a Gaussian of standard deviation width / sqrt(mass), of
    electrons and of positrons in turn: a positron outside of an atom is as free as the electrons of
    its core are not. Moves of electrons are also proportional to the distance from the nearest
    nucleus (`room`), so that valence electrons do not go at the pace of the core. A Langevin move
    of standard deviation s goes by s^2 grad log |psi| besides, limited where that is large
    (`drift`). The acceptance has the ratio of the densities of a move and of the move back.

    After a step the width of each moves so that its acceptance approaches `options.acceptance`
    (only where `adapt` is 1), and walkers are wrapped into the cell. In an electron gas the initial
    width is in units of rs. A walker whose density is zero or not a number takes the first move to
    where it is neither. The width stays below the size of a periodic cell: without nuclei, a
    flat density accepts everything.

    Langevin moves: P. J. Rossky, J. D. Doll and H. L. Friedman, J. Chem. Phys. 69, 4628 (1978).
    """

    def init(walkers, system):
        width = jnp.asarray(options.width_bohr * system.spacing, walkers.dtype)
        width = jnp.broadcast_to(width, (len(system.kinds),))
        return MetropolisState(system.settle(walkers), width)

    def look(walkers, log_density, system):
        lengths = room(walkers, system)
        if options.proposal == "gaussian":
            return Here(log_density(walkers), lengths, None)
        log, pull = jax.vjp(log_density, walkers)
        (slope,) = pull(jnp.full_like(log, 0.5))
        return Here(log, lengths, jnp.where(jnp.isfinite(slope), slope, 0))

    def step(key, log_density, state, system, adapt):
        walkers, width = state
        kinds = len(system.kinds)
        moved = [system.particle_charges == charge for charge in system.kinds.values()]
        scales = jnp.asarray(moved / system.particle_masses**0.5, walkers.dtype)

        def move(i, carry):
            walkers, here, accepted = carry
            kind = i % kinds
            key_move, key_accept = jax.random.split(jax.random.fold_in(key, jnp.maximum(i, 0)))
            noise = jax.random.normal(key_move, walkers.shape, walkers.dtype)
            reach = jnp.where(i < 0, 0, width[kind] * scales[kind])
            way = noise + drift(here, reach)
            proposal = walkers + (reach * here.room)[..., None] * way
            there = look(proposal, log_density, system)
            ratio = here.room / there.room
            back = ratio[..., None] * way + drift(there, reach)
            uniform = jax.random.uniform(key_accept, here.log.shape, here.log.dtype, minval=1e-30)
            gain = there.log - here.log + log_way_back(noise, back, ratio)
            accept = jnp.log(uniform) < gain
            here, walkers = (
                jax.tree.map(lambda new, old: jnp.where(_like(accept, new), new, old), *pair)
                for pair in ((there, here), (proposal, walkers))
            )
            accepted = accepted.at[:, kind].add(accept & (i >= 0))
            return walkers, here, accepted

        # The move before the first goes nowhere: log_density is compiled once, in the loop.
        nothing = jnp.full(len(walkers), -jnp.inf, jax.eval_shape(log_density, walkers).dtype)
        counts = jnp.zeros((len(walkers), kinds), jnp.float64)
        still = None if options.proposal == "gaussian" else jnp.zeros_like(walkers)
        start = Here(nothing, room(walkers, system), still)
        begin = (walkers, start, counts)
        walkers, _, counts = jax.lax.fori_loop(-1, kinds * options.moves, move, begin)
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


def drift(here: Here, reach: Array) -> Array | float:
    """Returns the way along the gradient in units of a move's standard deviation, (W, n, 3).

    s v, v the gradient of log |psi|, limited to 2 s v / (1 + sqrt(1 + 2 a s^2 v^2)): near nodes and
    nuclei v is large and changes within a move. After C. J. Umrigar, M. P. Nightingale and
    K. J. Runge, J. Chem. Phys. 99, 2865 (1993).

    Args:
        here: Where.
        reach: (n,) standard deviation of the move where `room` is one, bohr; 0 where none moves.
    """
    if here.slope is None:
        return 0.0
    way = (reach * here.room)[..., None] * here.slope
    squared = jnp.sum(way * way, axis=-1, keepdims=True)
    return 2 * way / (1 + jnp.sqrt(1 + 2 * LIMIT * squared))


def log_way_back(noise: Array, back: Array, ratio: Array) -> Array:
    """Returns log of the density of the move back over that of the move, (W,).

    Args:
        noise: (W, n, 3) of the move, standard normal.
        back: Minus that of the move back.
        ratio: (W, n) length of the move over that of the move back; one where nothing moves.
    """
    squares = jnp.sum(noise * noise - back * back, axis=-1)
    return jnp.sum(3 * jnp.log(ratio) + 0.5 * squares, axis=-1)


def _like(accept: Array, x: Array) -> Array:
    """Returns accept (W,) with as many axes as x (W, ...)."""
    return accept.reshape(-1, *(1,) * (x.ndim - 1))

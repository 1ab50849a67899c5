"""The probability that two charges meet, without a histogram and without extrapolation.

A particle is put from where it is, at a distance d, onto another one or a nucleus, which stays
where it is. The walker then counts

    W = h(d) |psi(d = 0)|^2 / mean_g |psi(g d)|^2,    int h d^3d = 1,    <W> = <delta(d)>,

the mean over six rotations and reflections g of d, under which the walkers' distribution times W
does not change; it keeps W finite at the nodes of psi. No derivative enters.

Zero variance: h falls as |psi|^2 does near an attractive cusp, exp(2 gamma r); W is constant for a
hydrogen-like pair.

Zero bias: psi is not exact, and its <delta> is off by as much as psi is. To second order it is
that of H + lambda delta at lambda = 0, where psi answers with Q psi,

    Q = -(mu / 2 pi) sum int_r w / s^2 ds,    <delta> + 2 <(E_L - E) Q>,

w = 1 - 2 gamma r + 2 gamma^2 r^2, cut off smoothly, which is the answer of a hydrogen-like pair.
The error is of second order where Q is right: at short range, where networks are worst.
Source of the idea: R. Assaraf and M. Caffarel, J. Chem. Phys. 119, 10536 (2003); R. Assaraf, M.
Caffarel and A. Scemama, Phys. Rev. E 75, 035701 (2007).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.system import System

CUTOFF = 5.0
"""Where w ends in an open cell, in units of 1 / |gamma|."""
REPULSIVE = 2.0
"""The same where charges repel each other: w grows there while |psi|^2 does not fall."""


class Meetings(NamedTuple):
    """Which particles meet what: M pairs, or one of them.

    Attributes:
        mover: (M,) index of the particle that is moved.
        partner: (M,) index of the particle it meets, or of a nucleus.
        gamma: (M,) d log psi / dr where they meet, spherical average.
        reduced: (M,) their reduced mass.
    """

    mover: Array
    partner: Array
    gamma: Array
    reduced: Array


def of_particles(system: System, movers: Sequence[int], partners: Sequence[int]) -> Meetings:
    """Returns the meetings of each mover with each partner, distinguishable particles."""
    i, j = np.array(list(itertools.product(movers, partners)), int).reshape(-1, 2).T
    charge, mass = system.particle_charges, system.particle_masses
    reduced = mass[i] * mass[j] / (mass[i] + mass[j])
    return Meetings(*map(jnp.asarray, (i, j, charge[i] * charge[j] * reduced, reduced)))


def with_nuclei(system: System, movers: Sequence[int]) -> Meetings:
    """Returns the meetings of each mover with each nucleus, which does not move."""
    i, a = np.array(list(itertools.product(movers, range(len(system.symbols)))), int).T
    charge, mass = system.particle_charges[i], system.particle_masses[i]
    gamma = charge * mass * np.asarray(system.charges)[a]
    return Meetings(*map(jnp.asarray, (i, a, gamma, mass)))


def reach(gamma: Array, system: System) -> Array:
    """Returns where w ends, bohr: in a periodic cell where nearest images are no longer unique."""
    free = jnp.where(gamma < 0, CUTOFF, REPULSIVE) / jnp.abs(gamma)
    return jnp.minimum(free, nearest(system)) if system.cell.periodic else free


def nearest(system: System) -> Array:
    """Returns the radius of the sphere inside a periodic cell, bohr."""
    heights = 1 / jnp.linalg.norm(jnp.linalg.inv(system.cell.lattice), axis=0)
    return 0.5 * heights.min()


def together(
    log_psi: Callable[[Array], Array], walker: Array, who: Meetings, partner: Array, system: System
) -> tuple[Array, Array]:
    """Returns W of one pair at one walker, 1/bohr^3, and the walker in which they have met.

    Args:
        log_psi: log|psi| of a walker.
        walker: (n, 3), bohr.
        who: One meeting.
        partner: (3,) position of whom it meets.
        system: Gives the cell.
    """
    partner = partner.astype(walker.dtype)
    d = system.cell.nearest_image(walker[who.mover] - partner)
    turned = jnp.stack([sign * jnp.roll(d, k) for sign in (1, -1) for k in range(3)])
    around = jax.vmap(lambda x: log_psi(walker.at[who.mover].set(partner + x)))(turned)
    mean = jax.nn.logsumexp(2 * around.astype(jnp.float64)) - np.log(len(turned))
    met = walker.at[who.mover].set(partner)
    h = _law(jnp.linalg.norm(d.astype(jnp.float64)), who.gamma, system)
    return h * jnp.exp(2 * log_psi(met).astype(jnp.float64) - mean), met


def _law(r: Array, gamma: Array, system: System) -> Array:
    """Returns h(r) ~ exp(-2 |gamma| r), in a cell within the sphere of nearest images."""
    k = 2 * jnp.abs(gamma)
    h = k**3 * jnp.exp(-k * r) / (8 * np.pi)
    if not system.cell.periodic:
        return h
    end = nearest(system)
    x = k * end
    inside = 1 - jnp.exp(-x) * (1 + x + x**2 / 2)
    return jnp.where(r < end, h / inside, 0.0)


def response(walker: Array, who: Meetings, partner: Array, system: System) -> Array:
    """Returns Q of one pair at one walker, 1/(hartree bohr^3)."""
    d = system.cell.nearest_image(walker[who.mover] - partner).astype(jnp.float64)
    r, end = jnp.linalg.norm(d), reach(who.gamma, system)
    powers = _coefficients(who.gamma, end)
    r = jnp.minimum(r, end)
    value = powers[0] * (1 / r - 1 / end) + powers[1] * jnp.log(end / r)
    value += sum(
        a * (end ** (k - 1) - r ** (k - 1)) / (k - 1) for k, a in enumerate(powers) if k > 1
    )
    return -who.reduced / (2 * np.pi) * value


def _coefficients(gamma: Array, end: Array) -> list:
    """Returns those of w as a polynomial in r below `end`: times (1 - (r / end)^3)^2."""
    start = (1.0, -2 * gamma, 2 * gamma**2)
    found = [0.0] * 9
    for k, cut in ((0, 1.0), (3, -2 / end**3), (6, 1 / end**6)):
        for j, a in enumerate(start):
            found[k + j] = found[k + j] + a * cut
    return found

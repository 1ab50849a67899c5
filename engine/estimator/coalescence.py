"""The probability that two charges meet, without a histogram and without extrapolation.

A particle at distance r from another charge, or from a nucleus, which stays where it is:

    delta(r) = div(w r / r^3) / (4 pi) - w'(r) / (4 pi r^2),    w(0) = 1,

so that, after one integration by parts,

    <delta(r)> = -(1 / 4 pi) < [w d log|psi|^2/dr + w'] / r^2 >.

Zero variance: w = 1 - 2 gamma r + 2 gamma^2 r^2, gamma the cusp of psi, makes the bracket
constant where |psi|^2 = exp(2 gamma r) (hydrogen, positronium); it is cut off smoothly. Terms odd
in r are cancelled by the average over r and -r, weighted with |psi|^2 of both.

Zero bias: psi is not exact, and its <delta> is off by as much as psi is. To second order it is
that of H + lambda delta at lambda = 0, where psi answers with Q psi,

    Q = -(mu / 2 pi) sum int_r w / s^2 ds,    <delta> + 2 <(E_L - E) Q>,

which has an error of second order where Q is right: at short range, where networks are worst.
Source: R. Assaraf and M. Caffarel, J. Chem. Phys. 119, 10536 (2003); R. Assaraf, M. Caffarel and
A. Scemama, Phys. Rev. E 75, 035701 (2007).
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
    if not system.cell.periodic:
        return free
    heights = 1 / jnp.linalg.norm(jnp.linalg.inv(system.cell.lattice), axis=0)
    return jnp.minimum(free, 0.5 * heights.min())


def contact(
    log_psi: Callable[[Array], Array], walker: Array, who: Meetings, partner: Array, system: System
) -> Array:
    """Returns the estimator of <delta(r_mover - r_partner)> at one walker, 1/bohr^3.

    Args:
        log_psi: log|psi| of a walker.
        walker: (n, 3), bohr.
        who: One meeting.
        partner: (3,) position of whom it meets.
        system: Gives the cell.
    """
    d = system.cell.nearest_image(walker[who.mover] - partner).astype(walker.dtype)
    mirrored = walker.at[who.mover].add(-2 * d)
    both = jnp.stack([log_psi(walker), log_psi(mirrored)]).astype(jnp.float64)
    share = jax.nn.softmax(2 * both)
    here = _one_sided(log_psi, walker, who, d, system)
    there = _one_sided(log_psi, mirrored, who, -d, system)
    return share[0] * here + share[1] * there


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


def _one_sided(log_psi, walker: Array, who: Meetings, d: Array, system: System) -> Array:
    gradient = jax.grad(log_psi)(walker)[who.mover].astype(jnp.float64)
    d = d.astype(jnp.float64)
    r = jnp.linalg.norm(d)
    along = 2 * jnp.vdot(d, gradient) / r  # d log|psi|^2 / dr
    w, slope = jax.value_and_grad(_weight)(r, who.gamma, reach(who.gamma, system))
    return -(w * along + slope) / (4 * jnp.pi * r**2)


def _weight(r: Array, gamma: Array, end: Array) -> Array:
    """Returns w(r) of the module's text, zero beyond `end` together with its first derivative."""
    inside = jnp.clip(1 - (r / end) ** 3, 0, 1) ** 2
    return (1 - 2 * gamma * r + 2 * gamma**2 * r**2) * inside


def _coefficients(gamma: Array, end: Array) -> list:
    """Returns those of w as a polynomial in r, below `end`."""
    start = (1.0, -2 * gamma, 2 * gamma**2)
    found = [0.0] * 9
    for k, cut in ((0, 1.0), (3, -2 / end**3), (6, 1 / end**6)):
        for j, a in enumerate(start):
            found[k + j] = found[k + j] + a * cut
    return found

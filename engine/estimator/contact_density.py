"""Contact density of positrons and electrons, and their two-photon annihilation rate.

With r the separation of a pair at fixed midpoint, and w(0) = 1,

    delta(r) = div(w r / r^3) / (4 pi) - w'(r) / (4 pi r^2),

so that, after one integration by parts,

    <delta(r)> = -(1 / 4 pi) < [w d log|psi|^2/dr + w'] / r^2 >,

no histogram and nothing extrapolated, as long as w |psi|^2 decays. w'(0) = -2 gamma, gamma the
cusp of psi, cancels 1/r^2 up to terms that are odd in r; half the sum with the pair exchanged,
weighted with |psi|^2, cancels those. What is left goes as 1/r, of finite variance.
Source: R. Assaraf, M. Caffarel and A. Scemama, Phys. Rev. E 75, 035701 (2007), for such estimators.

The rate is pi alpha^3 <sum delta> per atomic time: an average over the spins of the pair.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction
from engine.units import ATOMIC_TIME_NS, FINE_STRUCTURE

RATE_NS = np.pi * FINE_STRUCTURE**3 / ATOMIC_TIME_NS
"""Annihilations per nanosecond and unit of contact density, bohr^3 / ns."""


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; two gradients of psi per electron-positron pair."""
    del options
    charge, mass = system.particle_charges, system.particle_masses
    pairs = [
        (i, j)
        for i, j in itertools.product(range(system.n_particles), repeat=2)
        if charge[i] < 0 < charge[j]
    ]
    gamma = [charge[i] * charge[j] * mass[i] * mass[j] / (mass[i] + mass[j]) for i, j in pairs]

    def measure(params, walker, system, reference, key):
        log_psi = lambda r: wavefunction.apply(params, r, system, reference).log  # noqa: E731
        one = lambda ij, c: _contact(log_psi, walker, ij, c, system)  # noqa: E731
        return {"contact": jnp.sum(jax.vmap(one)(jnp.array(pairs), jnp.array(gamma)))}

    def describe(state, system):
        value, error = (f(state["contact"]) for f in (blocks.mean, blocks.error))
        return {
            "contact_density": Observable(value, error, "1/bohr^3"),
            "annihilation_rate": Observable(RATE_NS * value, RATE_NS * error, "1/ns"),
        }

    return averaged(measure, {"contact": ()}, describe)


def _contact(log_psi, walker, ij, gamma, system: System):
    """Returns the estimator of one pair: half the sum over it and its exchange."""
    i, j = ij
    d = system.cell.nearest_image(walker[i] - walker[j])
    exchanged = walker.at[i].add(-d).at[j].add(d)
    here = _one_sided(log_psi, walker, ij, d, gamma, system)
    there = _one_sided(log_psi, exchanged, ij, -d, gamma, system)
    weight = jnp.exp(2 * (log_psi(exchanged) - log_psi(walker)).astype(jnp.float64))
    return 0.5 * (here + weight * there)


def _one_sided(log_psi, walker, ij, d, gamma, system: System):
    gradient = jax.grad(log_psi)(walker)
    d, gradient = d.astype(jnp.float64), gradient.astype(jnp.float64)
    r = jnp.linalg.norm(d)
    along = jnp.vdot(d, gradient[ij[0]] - gradient[ij[1]]) / r  # d log|psi|^2 / dr
    w, slope = jax.value_and_grad(_weight)(r, gamma, _reach(system))
    return -(w * along + slope) / (4 * jnp.pi * r**2)


def _weight(r, gamma, reach):
    """Returns w(r) = 1 - 2 gamma r, smoothly cut off at `reach`."""
    inside = jnp.clip(1 - (r / reach) ** 2, 0, 1) ** 2  # 1 where the reach is infinite
    return (1 - 2 * gamma * r) * inside


def _reach(system: System):
    """Returns half the smallest height of a periodic cell, bohr: nearest images are unique."""
    if not system.cell.periodic:
        return np.inf
    heights = 1 / jnp.linalg.norm(jnp.linalg.inv(system.cell.lattice), axis=0)
    return 0.5 * heights.min()

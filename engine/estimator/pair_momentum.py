"""Momentum density of annihilating pairs: what the two photons carry away.

    rho(p) = sum_{e, p} int dX | int dr exp(-i p.r) psi(r_e = r, r_p = r, X) |^2

with X all other particles. Two steps lead there from walkers of |psi|^2.

The positron is put onto an electron. A walker in which they are d apart then counts

    W = h(d) |psi(d = 0)|^2 / mean_g |psi(g d)|^2,    int h = 1,

the mean over six rotations and reflections g of d, which keeps W finite at the nodes of psi. The
average of W is the contact density, by another route than `contact_density`; h is the square of
the pair's cusp function, so that W is constant for positronium.

The pair is then moved together by s: the overlap of psi before and after is rho in real space,
F(s), and its Fourier transform is rho(p). In an open cell directions are averaged,

    Gamma(p) = R / (2 pi)^3 int 4 pi s^2 j_0(p s) F ds,    int Gamma(p) d^3p = rate,
    Gamma(p_z) = R / pi int_0 cos(p_z s) F ds,             int Gamma(p_z) dp_z = rate,

p in 1/bohr, R the rate per contact density. p_z / 2 times hbar c is the Doppler shift of a photon,
p_z / (m c) the angle between the two. In a periodic cell p = G + 2 twist and s is uniform.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config import EvaluateConfig
from engine.estimator import blocks, shifts
from engine.estimator.averages import averaged
from engine.estimator.contact_density import RATE_NS
from engine.estimator.ratios import overlap
from engine.estimator.waves import vectors, wave_integers
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction


class Transform(NamedTuple):
    """From F(s) to momenta.

    Attributes:
        draw: (key, system) -> (shift (3,), name -> kernel of a momentum over the shift's density).
        describe: (blocks, system) -> observables.
        shapes: Name -> shape of the kernel.
    """

    draw: Callable
    describe: Callable
    shapes: dict[str, tuple[int, ...]]


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; it costs eight wavefunctions per walker and pair."""
    charge, mass = system.particle_charges, system.particle_masses
    electrons, positrons = np.flatnonzero(charge < 0), np.flatnonzero(charge > 0)
    pairs = np.array(list(itertools.product(electrons, positrons)))
    i, j = pairs.T
    steep = jnp.asarray(2 * np.abs(charge[i] * charge[j]) * mass[i] * mass[j] / (mass[i] + mass[j]))
    transform = _waves(options, system) if system.cell.periodic else _radial(options)

    def measure(params, walker, system, reference, key):
        psi = lambda r: wavefunction.apply(params, r, system, reference)  # noqa: E731
        shift, kernel = transform.draw(key, system)
        met = lambda ij, k: _weighted(psi, walker, ij, k, shift, system)  # noqa: E731
        moved, here = jax.vmap(met)(jnp.asarray(pairs), steep)
        found = {name: jnp.real(jnp.sum(moved) * k) for name, k in kernel.items()}
        return found | {"contact": jnp.sum(here)}

    def describe(state, system):
        rate = Observable(*_rates(state["contact"]), "1/ns")
        return transform.describe(state, system) | {"annihilation_rate_by_pairs": rate}

    return averaged(measure, transform.shapes | {"contact": ()}, describe)


def _weighted(psi, walker: Array, ij: Array, steep: Array, shift: Array, system: System):
    """Returns W times the overlap of psi with the pair moved, complex, and W, of one pair."""
    i, j = ij
    shift = shift.astype(walker.dtype)
    d = system.cell.nearest_image(walker[j] - walker[i])
    turned = jnp.stack([sign * jnp.roll(d, k) for sign in (1, -1) for k in range(3)])
    around = jax.vmap(lambda x: psi(walker.at[j].set(walker[i] + x)).log)(turned)
    mean = jax.nn.logsumexp(2 * around.astype(jnp.float64)) - np.log(len(turned))
    met = walker.at[j].set(walker[i])
    a, b = psi(met), psi(met.at[i].add(shift).at[j].add(shift))
    h = _pair_density(jnp.linalg.norm(d.astype(jnp.float64)), steep, system)
    weight = h * jnp.exp(2 * a.log.astype(jnp.float64) - mean)
    return weight * overlap(a, b), weight


def _pair_density(r: Array, k: Array, system: System) -> Array:
    """Returns h(r) = k^3 exp(-k r) / (8 pi), in a cell within the sphere of nearest images."""
    h = k**3 * jnp.exp(-k * r) / (8 * np.pi)
    if not system.cell.periodic:
        return h
    heights = 1 / jnp.linalg.norm(jnp.linalg.inv(system.cell.lattice), axis=0)
    end = 0.5 * heights.min()
    x = k * end
    inside = 1 - jnp.exp(-x) * (1 + x + x**2 / 2)
    return jnp.where(r < end, h / inside, 0.0)


def _radial(options: EvaluateConfig) -> Transform:
    """Returns the transform of an open cell: p and p_z on a line."""
    p = shifts.momenta(options.bins)
    names = {"density": "pair_momentum_density", "profile": "doppler_profile"}
    units = {"density": "bohr^3/ns", "profile": "bohr/ns"}

    def describe(state, system: System) -> dict[str, Observable]:
        axes = {"momentum": (p, "1/bohr")}
        return {
            names[part]: Observable(*_rates(state[part]), units[part], axes)
            for part in shifts.PARTS
        }

    draw = lambda key, system: shifts.draw(key, p)  # noqa: E731
    return Transform(draw, describe, dict.fromkeys(shifts.PARTS, p.shape))


def _waves(options: EvaluateConfig, system: System) -> Transform:
    """Returns the transform of a periodic cell: rates at each momentum, whose sum is the rate."""
    waves, name = wave_integers(system, options.wave_shells), "pair_momentum_distribution"

    def draw(key, system: System):
        frac = jax.random.uniform(key, (3,), jnp.float64)
        phase = 2 * jnp.pi * (waves + 2 * system.twist) @ frac
        return frac @ system.cell.lattice.astype(jnp.float64), {name: jnp.exp(-1j * phase)}

    def describe(state, system: System) -> dict[str, Observable]:
        p = vectors(waves + 2 * np.asarray(system.twist, float), system)
        return {name: Observable(*_rates(state[name]), "1/ns", {"wavevector": (p, "1/bohr")})}

    return Transform(draw, describe, {name: (len(waves),)})


def _rates(found: blocks.Blocks) -> tuple[np.ndarray, np.ndarray]:
    return RATE_NS * blocks.mean(found), RATE_NS * blocks.error(found)

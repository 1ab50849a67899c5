"""Momentum density of annihilating pairs: what the two photons carry away.

    rho(p) = sum_{e, p} int dX | int dr exp(-i p.r) psi(r_e = r, r_p = r, X) |^2

with X all other particles. Two steps lead there from walkers of |psi|^2. The positron is put onto
an electron, and the walker counts with the weight W of `coalescence`, whose average is the contact
density.

The pair is then moved together by s: the overlap of psi before and after is rho in real space,
F(s), and its Fourier transform is rho(p). In an open cell directions are averaged,

    Gamma(p) = R / (2 pi)^3 int 4 pi s^2 j_0(p s) F ds,    int Gamma(p) d^3p = rate,
    Gamma(p_z) = R / pi int_0 cos(p_z s) F ds,             int Gamma(p_z) dp_z = rate,

p in 1/bohr, R the rate per contact density. p_z / 2 times hbar c is the Doppler shift of a photon,
p_z / (m c) the angle between the two. In a periodic cell p = G + 2 twist and s is uniform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config import EvaluateConfig
from engine.estimator import blocks, shifts
from engine.estimator.averages import averaged
from engine.estimator.coalescence import Meetings, of_particles, together
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
    charge = system.particle_charges
    pairs = of_particles(system, np.flatnonzero(charge > 0), np.flatnonzero(charge < 0))
    transform = _waves(options, system) if system.cell.periodic else _radial(options)

    def measure(params, walker, system, reference, key):
        psi = lambda r: wavefunction.apply(params, r, system, reference)  # noqa: E731
        shift, kernel = transform.draw(key, system)
        met = lambda who: _moved(psi, walker, who, shift, system)  # noqa: E731
        moved, here = jax.vmap(met)(pairs)
        found = {name: jnp.real(jnp.sum(moved) * k) for name, k in kernel.items()}
        return found | {"contact": jnp.sum(here)}

    def describe(state, system):
        rate = Observable(*_rates(state["contact"]), "1/ns")
        return transform.describe(state, system) | {"annihilation_rate_of_psi": rate}

    return averaged(measure, transform.shapes | {"contact": ()}, describe)


def _moved(psi, walker: Array, who: Meetings, shift: Array, system: System):
    """Returns W times the overlap of psi with the pair moved, complex, and W, of one pair."""
    partner = walker[who.partner]
    weight, met = together(lambda r: psi(r).log, walker, who, partner, system)
    shift = shift.astype(walker.dtype)
    gone = met.at[who.mover].add(shift).at[who.partner].add(shift)
    return weight * overlap(psi(met), psi(gone)), weight


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

"""Isotropic harmonic confinement, for quantum dots and exactly solvable tests."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from engine.system.system import System
from engine.types import Walker


def make_harmonic(omega: float):
    """Returns the potential sum_i m_i omega^2 r_i^2 / 2, centred at the origin.

    Args:
        omega: Frequency in hartree.
    """

    def energy(walker: Walker, system: System) -> dict[str, Array]:
        r2 = jnp.sum(walker.astype(jnp.float64) ** 2, axis=-1)
        return {"potential_external": 0.5 * omega**2 * jnp.sum(system.particle_masses * r2)}

    return energy

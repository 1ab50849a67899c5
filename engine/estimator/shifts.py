"""Random displacements whose average is a Fourier transform over them, in open space.

For F(s) of a displacement s, averaged over directions,

    density  (2 pi)^-3 int exp(-i p.s) F d^3s       per volume of momentum,
    profile  (2 pi)^-1 int exp(-i p_z s) F ds       per component of it, the others integrated out,

are averages of F(s) times kernels in p over s drawn from a fixed law.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

LARGEST = 3.0
"""Largest momentum, 1/bohr."""
DECAY_BOHR = 4.0
"""Lengths have the mean of exp(-s/b)/b and s^2 exp(-s/b)/(2 b^3) as density.

Where F falls as exp(-k s), b = 2/k has the least variance, and b < 1/k an infinite one.
"""
PARTS = ("density", "profile")


def momenta(count: int) -> np.ndarray:
    """Returns the momenta (count,), 1/bohr."""
    return np.linspace(0, LARGEST, count)


def draw(key: Array, p: np.ndarray) -> tuple[Array, dict[str, Array]]:
    """Returns a displacement (3,), bohr, and the kernels of `PARTS` at momenta p."""
    coin, length, where = jax.random.split(key, 3)
    steps = jax.random.exponential(length, (3,), jnp.float64)
    x = jnp.where(jax.random.bernoulli(coin), steps.sum(), steps[0])
    s, direction = DECAY_BOHR * x, jax.random.normal(where, (3,), jnp.float64)
    law = jnp.exp(-x) * (0.5 + 0.25 * x**2) / DECAY_BOHR
    kernels = (
        s**2 * jnp.sinc(p * s / np.pi) / (2 * np.pi**2) / law,
        jnp.cos(p * s) / np.pi / law,
    )
    return s * direction / jnp.linalg.norm(direction), dict(zip(PARTS, kernels, strict=True))

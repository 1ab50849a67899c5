"""Real spherical harmonics, z the polar axis, components m = -l..l (l = 1: y, z, x)."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import Array


def harmonics(degree: int, r: Array | np.ndarray) -> Array | np.ndarray:
    """Returns the regular solid harmonics of one degree, sum of squares |r|^(2 l).

    S_lm = sqrt((2 - delta_m0) (l - m)! / (l + m)!) Pi_lm(z, r^2) Re (x + i y)^m for m >= 0, and
    with Im and |m| for m < 0; Pi_lm is the Legendre recursion of T. Helgaker, P. Jorgensen,
    J. Olsen, Molecular Electronic-Structure Theory (2000), chapter 6.

    Args:
        degree: l.
        r: (..., 3) vectors; a numpy array gives one back.

    Returns:
        (..., 2 l + 1).
    """
    xp = np if isinstance(r, np.ndarray) else jnp  # constants are made outside of any trace
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    square = x * x + y * y + z * z
    cosine, sine = [xp.ones_like(x)], [xp.zeros_like(x)]
    for _ in range(degree):
        cosine, sine = (
            [*cosine, x * cosine[-1] - y * sine[-1]],
            [*sine, x * sine[-1] + y * cosine[-1]],
        )
    columns = {}
    for m in range(degree + 1):
        radial = _norm(degree, m) * _legendre(degree, m, z, square)
        columns[-m], columns[m] = radial * sine[m], radial * cosine[m]
    return xp.stack([columns[m] for m in range(-degree, degree + 1)], axis=-1)


def _norm(degree: int, m: int) -> float:
    ratio = math.factorial(degree - m) / math.factorial(degree + m)
    return math.sqrt((2.0 if m else 1.0) * ratio)


def _legendre(degree: int, m: int, z: Array, square: Array) -> Array:
    """Returns Pi_lm: l rises from m, where it is (2 m - 1)!!."""
    before, now = 0 * z, 0 * z + math.prod(range(1, 2 * m, 2))
    for l in range(m + 1, degree + 1):
        before, now = now, ((2 * l - 1) * z * now - (l + m - 1) * square * before) / (l - m)
    return now


def from_pyscf(l: int) -> np.ndarray:
    """Returns where each component m = -l..l stands in PySCF's order (x, y, z; else m = -l..l)."""
    return np.array([1, 2, 0]) if l == 1 else np.arange(2 * l + 1)


def to_pyscf(l: int) -> np.ndarray:
    """Returns where each of PySCF's components stands among m = -l..l."""
    return np.argsort(from_pyscf(l))

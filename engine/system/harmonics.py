"""Real solid harmonics r^l Y_lm in JAX, in the order of PySCF."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array, lax


def solid_harmonics(l: int, d: Array, squared: Array, axis: int = -1) -> Array:
    """Returns the real solid harmonics r^l Y_lm, normalised on the unit sphere.

    With (x + i y)^m = A_m + i B_m and the Legendre recursion in z and r^2,
    r^l Y_lm = N_lm Q_lm(z, r^2) A_m for m >= 0 and B_|m| for m < 0
    (Helgaker, Jorgensen, Olsen, Molecular Electronic-Structure Theory, section 6.4).

    Args:
        l: Angular momentum.
        d: (..., 3) displacement.
        squared: (...) its square.
        axis: Which one of d has its components; that of the 2l+1 values in the result.

    Returns:
        (..., 2l+1), m = -l..l; l = 1 as x, y, z.
    """
    x, y, z = (lax.index_in_dim(d, k, axis, keepdims=False) for k in range(3))
    cosine, sine = [jnp.ones_like(x)], [jnp.zeros_like(x)]
    for _ in range(l):
        cosine, sine = (
            cosine + [x * cosine[-1] - y * sine[-1]],
            sine + [x * sine[-1] + y * cosine[-1]],
        )
    values = {}
    for m in range(l + 1):
        q = _norm(l, m) * _legendre(l, m, z, squared)
        values[m] = q * cosine[m]
        values[-m] = q * (sine[m] if m else cosine[0])
    order = (1, -1, 0) if l == 1 else range(-l, l + 1)
    return jnp.stack([values[m] for m in order], axis=axis)


def _norm(l: int, m: int) -> float:
    ratio = math.factorial(l - m) / math.factorial(l + m)
    return math.sqrt((2 * l + 1) / (4 * math.pi) * ratio * (2 if m else 1))


def _legendre(l: int, m: int, z: Array, squared: Array) -> Array:
    """Returns r^(l-m) times the m-th derivative of the Legendre polynomial P_l at z/r."""
    before, value = 0.0, math.prod(range(1, 2 * m, 2)) * jnp.ones_like(z)
    for n in range(m + 1, l + 1):
        before, value = value, ((2 * n - 1) * z * value - (n + m - 1) * squared * before) / (n - m)
    return value

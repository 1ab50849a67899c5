"""Contracted spherical Gaussians in JAX, in PySCF's normalisation and order.

Shells of equal shape are evaluated together, so that the size of the compiled program does not
grow with the number of atoms.
"""

from __future__ import annotations

import math
from collections import defaultdict

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.types import Basis


def evaluate(basis: Basis, r: Array, positions: Array) -> Array:
    """Returns all basis functions at one point.

    Args:
        basis: The Gaussians.
        r: (3,) point, bohr.
        positions: (A, 3) nuclei, bohr.

    Returns:
        (ao,) values in bohr^(-3/2), in the dtype of `r`.
    """
    return evaluate_displacements(basis, r - positions.astype(r.dtype))


def evaluate_displacements(basis: Basis, d: Array) -> Array:
    """Returns all basis functions, given each atom's displacement to the point.

    Args:
        basis: The Gaussians.
        d: (..., A, 3) electron minus nucleus, bohr; leading axes are batched.

    Returns:
        (..., ao) values in the dtype of `d`.
    """
    columns, blocks = [], []
    for shells, where in _groups(basis):
        blocks.append(_block(basis, shells, d))
        columns.extend(where)
    values = jnp.concatenate(blocks, axis=-1)
    if columns == sorted(columns):
        return values
    return values[..., np.argsort(columns)]


def _groups(basis: Basis) -> list[tuple[list[int], list[int]]]:
    """Returns shells that share l and shape, each group with its columns among the functions."""
    shapes, start = defaultdict(lambda: ([], [])), 0
    for i, (angular, block) in enumerate(zip(basis.angular, basis.coefficients, strict=True)):
        width = (2 * angular + 1) * block.shape[1]
        shells, columns = shapes[angular, block.shape]
        shells.append(i)
        columns.extend(range(start, start + width))
        start += width
    return list(shapes.values())


def _block(basis: Basis, shells: list[int], d: Array) -> Array:
    """Returns (..., g c (2l+1)) values of g shells of one shape."""
    d = d[..., np.array([basis.atoms[i] for i in shells]), :]
    exponents = jnp.stack([basis.exponents[i] for i in shells]).astype(d.dtype)
    coefficients = jnp.stack([basis.coefficients[i] for i in shells]).astype(d.dtype)
    squared = jnp.sum(d * d, axis=-1)
    primitives = jnp.exp(-exponents * squared[..., None])
    radial = jnp.einsum("...gp,gpc->...gc", primitives, coefficients, precision="highest")
    angular = solid_harmonics(basis.angular[shells[0]], d, squared)
    return (radial[..., None] * angular[..., None, :]).reshape(*d.shape[:-2], -1)


def solid_harmonics(l: int, d: Array, squared: Array) -> Array:
    """Returns the real solid harmonics r^l Y_lm, normalised on the unit sphere.

    With (x + i y)^m = A_m + i B_m and the Legendre recursion in z and r^2,
    r^l Y_lm = N_lm Q_lm(z, r^2) A_m for m >= 0 and B_|m| for m < 0
    (Helgaker, Jorgensen, Olsen, Molecular Electronic-Structure Theory, section 6.4).

    Args:
        l: Angular momentum.
        d: (..., 3) displacement.
        squared: (...) its square.

    Returns:
        (..., 2l+1), m = -l..l; l = 1 as x, y, z.
    """
    x, y, z = d[..., 0], d[..., 1], d[..., 2]
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
    return jnp.stack([values[m] for m in order], axis=-1)


def _norm(l: int, m: int) -> float:
    ratio = math.factorial(l - m) / math.factorial(l + m)
    return math.sqrt((2 * l + 1) / (4 * math.pi) * ratio * (2 if m else 1))


def _legendre(l: int, m: int, z: Array, squared: Array) -> Array:
    """Returns r^(l-m) times the m-th derivative of the Legendre polynomial P_l at z/r."""
    before, value = 0.0, math.prod(range(1, 2 * m, 2)) * jnp.ones_like(z)
    for n in range(m + 1, l + 1):
        before, value = value, ((2 * n - 1) * z * value - (n + m - 1) * squared * before) / (n - m)
    return value

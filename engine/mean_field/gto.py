"""Contracted spherical Gaussians in JAX, in PySCF's normalisation and order.

Shells of equal shape are evaluated together, so that the size of the compiled program does not
grow with the number of atoms.
"""

from __future__ import annotations

from collections import defaultdict

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.harmonics import solid_harmonics
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

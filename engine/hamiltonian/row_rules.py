"""Forward Laplacians of the operations of `engine/rows.py`.

A function of one particle comes with its derivatives by that particle's coordinates alone; those
of what it is combined with are dense. Both depend on the walker: neither may be a constant.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from folx.api import FwdJacobian, FwdLaplArray
from folx.wrapped_functions import register_function
from jax import Array

from engine.rows import combined, of_combined, of_species, row_products, row_sums, row_tanh


def own_alone(value: Array, first: Array, second: Array, rates: Array) -> FwdLaplArray:
    """Returns functions of one particle each, with the derivatives by its own coordinates alone.

    Args:
        value: (n, ...).
        first: (n, 3, ...) derivatives.
        second: (n, ...) Laplacians.
        rates: (n,) by which coordinates are scaled.
    """
    columns = (slice(None), *(None,) * (value.ndim - 1))
    data = first.swapaxes(0, 1) * rates[columns]
    coordinates = np.arange(3 * len(value), dtype=np.int32).reshape(-1, 3).T
    index = np.broadcast_to(coordinates[(slice(None), *columns)], data.shape)
    return FwdLaplArray(value, FwdJacobian(data, index), second * rates[columns] ** 2)


def _by_own(part: FwdLaplArray) -> Array:
    """Returns (3, n, ...): derivatives of each row by the coordinates of its particle.

    Only `own_alone` makes sparse ones: folx has no threshold here, and is given dense ones else.
    """
    if part.jacobian.x0_idx is not None:
        return part.jacobian.data
    dense = part.jacobian.data.reshape(len(part.x), 3, *part.x.shape)
    return jnp.moveaxis(jnp.diagonal(dense, axis1=0, axis2=2), -1, 1)


def on_diagonal(own: Array) -> Array:
    """Returns (n, 3, n, ...) of (3, n, ...): zero where the row is not that of the coordinate."""
    n = own.shape[1]
    eye = jnp.eye(n, dtype=own.real.dtype).reshape(n, 1, n, *(1,) * (own.ndim - 2))
    return eye * own


def jet(value: Array, jacobian: Array, laplacian: Array) -> FwdLaplArray:
    """Returns a function of all coordinates with its derivatives (..., *value.shape) by them."""
    jacobian = jacobian.reshape(-1, *value.shape)
    return FwdLaplArray(value, FwdJacobian.from_dense(jacobian), laplacian)


def _row_sums(args, kwargs, sparsity_threshold) -> FwdLaplArray:
    del kwargs, sparsity_threshold
    e, shared, indicator = args
    own, dense = _by_own(e), shared.jacobian.dense_array
    value = of_species(e.x, indicator)
    first = jnp.einsum("siaf,cif->csaf", value, dense)
    beside = jnp.einsum("si,diaf,if->idsaf", indicator, own, shared.x)
    crossed = jnp.einsum("si,diaf,dif->saf", indicator, own, _by_own(shared))
    second = jnp.einsum("siaf,if->saf", value, shared.laplacian)
    second = second + row_sums(e.laplacian, shared.x, indicator) + 2 * crossed
    x = row_sums(e.x, shared.x, indicator)
    return jet(x, first + beside.reshape(first.shape), second)


def _row_tanh(args, kwargs, sparsity_threshold) -> FwdLaplArray:
    del kwargs, sparsity_threshold
    own, site, crowd, members = args
    y, n = row_tanh(own.x, site.x, crowd.x, members), len(own.x)
    first = own.jacobian.dense_array[:, :, None] + crowd.jacobian.dense_array[:, members]
    first = first.reshape(n, 3, *y.shape) + on_diagonal(_by_own(site))
    second = own.laplacian[:, None] + site.laplacian + crowd.laplacian[members]
    slope = 1 - y * y
    second = slope * (second - 2 * y * jnp.sum(first * first, axis=(0, 1)))
    return jet(y, slope * first, second)


def _row_products(args, kwargs, sparsity_threshold) -> FwdLaplArray:
    del kwargs, sparsity_threshold
    f, *tables = args
    functions, c = tables[: len(tables) // 2], tables[len(tables) // 2 :]
    phi = combined(*(s.x for s in functions), *c)
    own = combined(*(_by_own(s) for s in functions), *c)
    laplacian = combined(*(s.laplacian for s in functions), *c)
    moved = of_combined(f.x, own)  # (3, D, n, J), on the diagonal (n, 3, D, n, J)
    moved = jnp.swapaxes(on_diagonal(jnp.swapaxes(moved, 1, 2)), 2, 3)
    first = of_combined(f.jacobian.dense_array, phi).reshape(moved.shape)
    own_f = _by_own(f)
    crossed = sum(of_combined(a, b) for a, b in zip(own_f, own, strict=True))
    second = of_combined(f.laplacian, phi) + of_combined(f.x, laplacian) + 2 * crossed
    return jet(of_combined(f.x, phi), first + moved, second)


for _function, _rule in (
    (row_sums, _row_sums),
    (row_tanh, _row_tanh),
    (row_products, _row_products),
):
    register_function(_function.__name__, _rule)

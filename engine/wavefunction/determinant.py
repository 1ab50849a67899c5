"""psi = sum_k det M_k as logarithm and phase."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.types import LogPsi

EXPLICIT = 4
"""Largest matrix whose determinant is written out; larger ones are factorised."""

PAIRS = ((0, 1, 2, 3), (2, 0, 1, 3), (0, 3, 1, 2), (1, 2, 0, 3), (3, 1, 0, 2), (2, 3, 0, 1))
"""Columns of two rows and of the two others: even permutations of four."""


class Expansion(NamedTuple):
    """sum_k weights[k] det(diag(exp(log_scale)) M[k]), M block-diagonal.

    Attributes:
        blocks: (D, n_b, n_b) each, rows particles, columns orbitals.
        log_scale: (n,) logarithms of factors of the rows.
        weights: (D,) real; all one when left out.
    """

    blocks: Sequence[Array]
    log_scale: Array
    weights: Array | None = None

    @property
    def matrices(self) -> Array:
        """The (D, n, n) matrices with the factors of their rows."""
        n, start, rows = len(self.log_scale), 0, []
        for b in self.blocks:
            end = start + b.shape[-1]
            left, right = (jnp.zeros((*b.shape[:2], x), b.dtype) for x in (start, n - end))
            rows.append(jnp.concatenate([left, b, right], axis=-1))
            start = end
        return jnp.concatenate(rows, axis=1) * jnp.exp(self.log_scale)[:, None]


def log_sum_determinants(blocks: Sequence[Array], weights: Array | None = None) -> LogPsi:
    """Returns the logarithm and the phase of the sum of D determinants of block-diagonal matrices.

    Args:
        blocks: (D, n_b, n_b) each, real or complex.
        weights: (D,) real; all one when left out.
    """
    written_out = all(b.shape[-1] <= EXPLICIT for b in blocks)
    signs, logs = zip(
        *map(_written_out if written_out else jnp.linalg.slogdet, blocks), strict=True
    )
    sign, log = functools.reduce(operator.mul, signs), sum(logs)
    largest = jax.lax.stop_gradient(log.max())
    values = sign * jnp.exp(log - largest)
    total = jnp.sum(values if weights is None else weights * values)
    return shift(log_phase(total), largest)


def _written_out(matrices: Array) -> tuple[Array, Array]:
    """Returns determinants of (D, n, n), n at most 4, and the logarithm of a factor they lack.

    The largest of them is about one; the factor is a constant to differentiation.
    """
    size = _positive(_magnitude(matrices).max(axis=(0, 2)))
    found = determinant(matrices / size[:, None])
    largest = _positive(_magnitude(found).max())
    return found / largest, jnp.log(size).sum() + jnp.log(largest)


def _positive(size: Array) -> Array:
    """Returns sizes, one where they are zero, as constants to differentiation."""
    return jax.lax.stop_gradient(jnp.where(size > 0, size, jnp.ones_like(size)))


def determinant(m: Array) -> Array:
    """Returns det of (..., n, n), n at most 4, by Laplace's expansion along a row or two."""
    n = m.shape[-1]
    if n == 1:
        return m[..., 0, 0]
    if n == 2:
        return m[..., 0, 0] * m[..., 1, 1] - m[..., 0, 1] * m[..., 1, 0]
    if n == 4:
        a, b, c, d = (m[..., k, :] for k in range(4))
        return sum(_minor(a, b, i, j) * _minor(c, d, k, l) for i, j, k, l in PAIRS)
    first, second = m[..., 1, :], m[..., 2, :]
    return jnp.sum(m[..., 0, :] * jnp.cross(first, second), axis=-1)


def _minor(a: Array, b: Array, i: int, j: int) -> Array:
    return a[..., i] * b[..., j] - a[..., j] * b[..., i]


def log_phase(value: Array) -> LogPsi:
    """Returns logarithm and phase of a real or complex scalar; a real one has phase 0 or pi."""
    if jnp.iscomplexobj(value):
        logarithm = jnp.log(value)
        return LogPsi(logarithm.real, logarithm.imag)
    return LogPsi(jnp.log(jnp.abs(value)), jnp.where(value < 0, jnp.pi, 0.0).astype(value.dtype))


def shift(psi: LogPsi, log_factor: Array) -> LogPsi:
    """Returns psi times exp(log_factor)."""
    return LogPsi(psi.log + log_factor, psi.arg)


def _magnitude(m: Array) -> Array:
    if jnp.iscomplexobj(m):
        return jnp.maximum(jnp.abs(m.real), jnp.abs(m.imag))
    return jnp.abs(m)

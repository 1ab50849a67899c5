"""psi = sum_k det M_k as logarithm and phase."""

from __future__ import annotations

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
    """sum_k weights[k] det(diag(exp(log_scale)) matrices[k]).

    Attributes:
        matrices: (D, n, n), rows particles, columns orbitals.
        log_scale: (n,) logarithms of factors of the rows.
        weights: (D,) real; all one when left out.
    """

    matrices: Array
    log_scale: Array
    weights: Array | None = None


def log_sum_determinants(matrices: Array, weights: Array | None = None) -> LogPsi:
    """Returns the logarithm and the phase of the sum of D determinants.

    Args:
        matrices: (D, n, n), real or complex.
        weights: (D,) real; all one when left out.
    """
    if matrices.shape[-1] > EXPLICIT:
        return _factorised(matrices, weights)
    size = _magnitude(matrices).max(axis=(0, 2))
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, jnp.ones_like(size)))
    total = _sum(determinant(matrices / size[:, None]), weights)
    return shift(log_phase(total), jnp.log(size).sum())


def _sum(values: Array, weights: Array | None) -> Array:
    return jnp.sum(values if weights is None else weights * values)


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


def multiply(a: LogPsi, b: LogPsi) -> LogPsi:
    """Returns the product; its phase lies in [-pi, pi]."""
    arg = a.arg + b.arg
    return LogPsi(a.log + b.log, arg - 2 * jnp.pi * jnp.round(arg / (2 * jnp.pi)))


def _factorised(matrices: Array, weights: Array | None) -> LogPsi:
    sign, log = jnp.linalg.slogdet(matrices)
    largest = jax.lax.stop_gradient(log.max())
    return shift(log_phase(_sum(sign * jnp.exp(log - largest), weights)), largest)


def _magnitude(m: Array) -> Array:
    if jnp.iscomplexobj(m):
        return jnp.maximum(jnp.abs(m.real), jnp.abs(m.imag))
    return jnp.abs(m)

"""Quotients of a wavefunction at two walkers."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from engine.types import LogPsi, Walker


def ratio(log_psi: Callable[[Walker], LogPsi], old: Walker, new: Walker) -> Array:
    """Returns psi(new) / psi(old), complex128."""
    a, b = log_psi(new), log_psi(old)
    log = (a.log - b.log).astype(jnp.float64)
    return jnp.exp(log + 1j * (a.arg - b.arg).astype(jnp.float64))


def overlap(a: LogPsi, b: LogPsi) -> Array:
    """Returns 2 psi_a* psi_b / (|psi_a|^2 + |psi_b|^2), complex128, at most one in modulus.

    With b = a + s, s and -s equally likely, its average over walkers a of |psi|^2 is that of
    psi_b / psi_a, int psi*(x) psi(x + s) dx, without the variance of the quotient, which does not
    fall as s grows.
    """
    log = (b.log - a.log).astype(jnp.float64)
    return jnp.exp(1j * (b.arg - a.arg).astype(jnp.float64)) / jnp.cosh(jnp.clip(log, -300, 300))

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

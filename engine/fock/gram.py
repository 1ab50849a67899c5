"""The Gram matrix J J^T of the natural gradient without derivatives by any parameter.

Derivatives by the weights of a dense layer are products a x g of its input and of the slope by its
output, so that (J J^T)_ij = sum over layers (g_i . g_j) (a_i . a_j + 1). Complex amplitudes count
as two real rows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.backflow import Backflow


def gram_matrix(model: Backflow, params, words: Array, reference, amplitudes: Array) -> Array:
    """Returns J J^T of d psi_i = amplitude_i (d log + i d arg), not centred; real, float64.

    Shape (R, R), or (2 R, 2 R) with all real parts first for complex amplitudes.
    """
    _, inputs, slopes = jax.lax.map(
        lambda x: model.derivatives(params, x, reference), words, batch_size=1024
    )
    total = 0.0
    for name, slope in slopes.items():
        g = _scaled(slope, amplitudes)  # (parts, R, out)
        parts = len(g)
        g, a = g.reshape(-1, g.shape[-1]), jnp.tile(inputs[name], (parts, 1))
        products = (g @ g.T).astype(jnp.float64) * ((a @ a.T).astype(jnp.float64) + 1.0)
        total = total + products
    return total


def _scaled(slope: Array, amplitudes: Array) -> Array:
    """Returns (1 or 2, R, out): real (and imaginary) part of amplitude_i (d log + i d arg)."""
    if slope.shape[1] == 1:
        return (amplitudes[:, None] * slope[:, 0])[None].astype(slope.dtype)
    product = amplitudes[:, None] * (slope[:, 0] + 1j * slope[:, 1])
    return jnp.stack([product.real, product.imag]).astype(slope.dtype)


def stack(values: Array, is_complex: bool) -> Array:
    """Returns (2 R,) real parts, then imaginary ones; real values as they are."""
    return jnp.concatenate([values.real, values.imag]) if is_complex else values


def unstack(values: Array, is_complex: bool) -> Array:
    """Undoes `stack`."""
    half = len(values) // 2
    return values[:half] + 1j * values[half:] if is_complex else values


def centring(amplitudes: Array, is_complex: bool):
    """Builds the projection on the complement of psi (and of i psi): norm and phase are free."""
    basis = [stack(amplitudes, is_complex)]
    if is_complex:
        basis.append(stack(1j * amplitudes, True))
    basis = jnp.stack(basis, axis=1)
    return lambda values: values - basis @ (basis.T @ values)

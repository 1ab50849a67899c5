"""SPRING: natural gradient in sample space with the previous step as a prior.

With O the (N, P) centred log-derivatives over sqrt(N) and e the centred local energies over
sqrt(N), the step is phi = mu phi' + O^T (O O^T + lambda)^-1 (-e - mu O phi'), phi' the one before;
mu = 0 is MinSR. A complex state stacks the derivatives of log and arg, N = 2 W rows.

Source: G. Goldshlager, N. Abrahamsen and L. Lin, J. Comput. Phys. 516, 113351 (2024); MinSR:
A. Chen and M. Heyl, Nat. Phys. 20, 1476 (2024).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree

from engine.config import OptimizerConfig
from engine.types import Optimizer, Wavefunction


def make_spring(
    wavefunction: Wavefunction, options: OptimizerConfig, *, is_complex: bool
) -> Optimizer:
    """Builds the optimizer; its state is (previous step as a flat vector, step number).

    Args:
        wavefunction: The trial state.
        options: `damping` is lambda, `momentum` mu, `norm_constraint` bounds |step|^2.
        is_complex: Whether the derivatives of arg count too.
    """

    def init(params, key, batch):
        del key, batch
        return jnp.zeros_like(ravel_pytree(params)[0]), jnp.zeros((), jnp.int64)

    @jax.jit
    def step(params, state, key, batch):
        del key
        previous, count = state
        walkers, weights_re, weights_im, system, reference = batch
        rows = log_derivatives(wavefunction, params, walkers, system, reference, is_complex)
        energies = jnp.concatenate([weights_re, weights_im]) if is_complex else weights_re
        decayed = options.momentum * previous
        residual = -energies / len(walkers) ** 0.5 - rows @ decayed
        phi = decayed + rows.T @ solve(rows, residual, options.damping)
        rate = options.learning_rate / (1 + count / options.decay_steps)
        norm = jnp.linalg.norm(phi)
        scale = jnp.minimum(rate, options.norm_constraint**0.5 / norm).astype(phi.dtype)
        flat, unravel = ravel_pytree(params)
        info = {"gradient_norm": norm, "learning_rate": scale}
        return unravel(flat + scale * phi), (phi, count + 1), info

    return Optimizer(init, step)


def log_derivatives(wavefunction, params, walkers, system, reference, is_complex: bool) -> Array:
    """Returns (W or 2 W, P) centred derivatives of log (and arg) over sqrt(W)."""

    def one(walker):
        def parts(p):
            psi = wavefunction.apply(p, walker, system, reference)
            return jnp.stack([psi.log, psi.arg]) if is_complex else psi.log[None]

        return jax.vmap(lambda row: ravel_pytree(row)[0])(jax.jacrev(parts)(params))

    rows = jnp.swapaxes(jax.vmap(one)(walkers), 0, 1)
    rows = (rows - rows.mean(axis=1, keepdims=True)) / len(walkers) ** 0.5
    return rows.reshape(-1, rows.shape[-1])


def solve(rows: Array, residual: Array, damping: float) -> Array:
    """Returns (O O^T + damping)^-1 residual; the small system is solved in float64."""
    gram = (rows @ rows.T).astype(jnp.float64)
    gram = gram + damping * jnp.eye(len(gram))
    factor = jax.scipy.linalg.cho_factor(gram)
    return jax.scipy.linalg.cho_solve(factor, residual.astype(jnp.float64)).astype(rows.dtype)

"""SPRING: natural gradient in sample space with the previous step as a prior.

With O the (N, P) centred log-derivatives over sqrt(N) and e the centred local energies over
sqrt(N), the step is phi = mu phi' + O^T (O O^T + lambda)^-1 (-e - mu O phi'), phi' the one before;
mu = 0 is MinSR. A complex state stacks the derivatives of log and arg, N = 2 W rows.

Source: G. Goldshlager, N. Abrahamsen and L. Lin, J. Comput. Phys. 516, 113351 (2024); MinSR:
A. Chen and M. Heyl, Nat. Phys. 20, 1476 (2024).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import Array

from engine import compiling, devices
from engine.config import OptimizerConfig
from engine.types import Optimizer, Wavefunction

XLA = compiling.OPTIMIZER | {"xla_cpu_experimental_ynn_fusion_type": ""}
"""Of XLA on CPUs (jaxlib 0.10.2): without YNNPACK, in which the derivatives of the transferable
network per walker, in single precision, end in a segmentation fault."""


def make_spring(
    wavefunction: Wavefunction, options: OptimizerConfig, *, is_complex: bool
) -> Optimizer:
    """Builds the optimizer; its state is (previous step, a pytree like params, step number).

    Args:
        wavefunction: The trial state.
        options: `damping` is lambda, `momentum` mu, `norm_constraint` bounds |step|^2.
        is_complex: Whether the derivatives of arg count too.
    """

    def init(params, key, batch):
        del key, batch
        return jax.tree.map(jnp.zeros_like, params), jnp.zeros((), jnp.int64)

    @functools.partial(compiling.jit, options=XLA)
    def step(params, state, key, batch):
        del key
        previous, count = state
        walkers, weights_re, weights_im, system, reference = batch
        leaves, structure = jax.tree.flatten(params)
        rows = log_derivatives(wavefunction, params, walkers, system, reference, is_complex)
        energies = jnp.concatenate([weights_re, weights_im]) if is_complex else weights_re
        decayed = [options.momentum * x.ravel() for x in jax.tree.leaves(previous)]
        explained = sum(o @ d for o, d in zip(rows, decayed, strict=True))
        dual = solve(rows, -energies / len(walkers) ** 0.5 - explained, options.damping)
        phi = [d + dual @ o for d, o in zip(decayed, rows, strict=True)]
        rate = options.learning_rate / (1 + count / options.decay_steps)
        norm = jnp.sqrt(sum(jnp.vdot(x, x) for x in phi))
        scale = jnp.minimum(rate, options.norm_constraint**0.5 / norm).astype(norm.dtype)
        phi = [x.reshape(p.shape) for x, p in zip(phi, leaves, strict=True)]
        moved = [p + scale * x for p, x in zip(leaves, phi, strict=True)]
        info = {"gradient_norm": norm, "learning_rate": scale}
        return structure.unflatten(moved), (structure.unflatten(phi), count + 1), info

    return Optimizer(init, step)


def log_derivatives(
    wavefunction, params, walkers, system, reference, is_complex: bool
) -> list[Array]:
    """Returns, per parameter, (W or 2 W, size) centred derivatives of log (and arg) over sqrt(W).

    On several devices each has all rows of its share of the parameters: no device holds all of
    them, and the products that follow need one sum over devices. The barrier keeps those products
    matrix products: XLA on CPUs would else fuse the centring into them.
    """

    def one(walker):
        def parts(p):
            psi = wavefunction.apply(p, walker, system, reference)
            return jnp.stack([psi.log, psi.arg]) if is_complex else psi.log[None]

        return jax.jacrev(parts)(params)

    def block(leaf):
        centred = (leaf - leaf.mean(axis=0)) / len(walkers) ** 0.5
        return jnp.moveaxis(centred.reshape(*leaf.shape[:2], -1), 1, 0)

    blocks = [block(leaf) for leaf in jax.tree.leaves(jax.vmap(one)(walkers))]
    rows = devices.columns([b.reshape(-1, b.shape[-1]) for b in blocks])
    return jax.lax.optimization_barrier(rows)


def solve(rows: list[Array], residual: Array, damping: float) -> Array:
    """Returns (O O^T + damping)^-1 residual; the small system is solved in float64.

    O O^T is a sum in the precision of O, wrong by up to its rounding times its trace: as much is
    added to the damping, or large derivatives would leave it with negative eigenvalues.
    """
    matrix = sum(o @ o.T for o in rows)
    rounding = jnp.finfo(matrix.dtype).eps * jnp.trace(matrix).astype(jnp.float64)
    matrix = matrix.astype(jnp.float64)
    factor = jax.scipy.linalg.cho_factor(matrix + (damping + rounding) * jnp.eye(len(matrix)))
    return jax.scipy.linalg.cho_solve(factor, residual.astype(jnp.float64)).astype(residual.dtype)

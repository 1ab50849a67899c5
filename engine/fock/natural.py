"""SPRING and Adam on a deterministic set of determinants.

With J the derivatives of the normalised amplitudes, projected on the complement of psi, and b
the residual, SPRING moves along

    phi = mu phi' + J^T (J J^T + lambda)^-1 (b - mu J phi')

and MinSR is mu = 0. Derivatives by the weights of a dense layer are products a x g of its input and
of the slope by its output, so the Gram matrix needs no derivative by any parameter:

    (J J^T)_ij = sum over layers (g_i . g_j) (a_i . a_j + 1)

and J^T y is one backward pass. Complex amplitudes count as two real rows.

Source: A. Chen and M. Heyl, Nat. Phys. 20, 1476 (2024); G. Goldshlager, N. Abrahamsen and
L. Lin, J. Comput. Phys. 516, 113351 (2024).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from engine.config.fock import FockOptimizerConfig
from engine.fock.backflow import Backflow
from engine.fock.functional import make_amplitudes, residual
from engine.fock.subspace import Subspace


class FockOptimizer(NamedTuple):
    """Moves parameters.

    Attributes:
        init: params -> state.
        step: (params, state, subspace, reference) -> (params, state, info).
    """

    init: Any
    step: Any


def make_fock_optimizer(
    model: Backflow, options: FockOptimizerConfig, *, is_complex: bool
) -> FockOptimizer:
    """Builds the optimizer a method asks for."""
    make = {"spring": _spring, "adam": _adam}[options.name]
    return make(model, options, is_complex)


def _prepared(model: Backflow, options: FockOptimizerConfig, is_complex: bool):
    """Builds (params, subspace, reference) -> what both optimizers need of the amplitudes."""
    amplitudes = make_amplitudes(model.wavefunction, is_complex=is_complex)

    def prepare(params, subspace: Subspace, reference):
        def masked(p):
            return amplitudes(p, subspace.words, reference) * subspace.filled

        psi, pull = jax.vjp(masked, params)
        found = residual(subspace, psi, options.functional)
        core = psi[: subspace.core_size]
        projected = residual(subspace, psi, "projected")
        weight = jnp.vdot(core, core).real / jnp.vdot(psi, psi).real
        info = {
            "functional_ha": found.energy,
            "energy_ha": projected.energy,
            "variance_ha2": projected.variance,
            "core_weight": weight,
        }
        norm = jnp.linalg.norm(psi[: len(found.vector)])

        def backward(rows):  # J^T y for (R,) rows of derivatives of the normalised amplitudes
            full = jnp.zeros(psi.shape, psi.dtype).at[: len(rows)].set(rows / norm)
            return pull(full.conj() if is_complex else full)[0]

        return masked, found, norm, backward, info

    return prepare


def _adam(model: Backflow, options: FockOptimizerConfig, is_complex: bool) -> FockOptimizer:
    prepare = _prepared(model, options, is_complex)
    schedule = lambda count: options.learning_rate / (1 + count / options.decay_steps)
    transform = optax.adam(schedule)

    @jax.jit
    def step(params, state, subspace, reference):
        _, found, _, backward, info = prepare(params, subspace, reference)
        gradient = jax.tree.map(lambda g: 2 * g, backward(found.vector))
        updates, state = transform.update(gradient, state, params)
        info["gradient_norm"] = optax.global_norm(gradient)
        return optax.apply_updates(params, updates), state, info

    return FockOptimizer(transform.init, step)


def _spring(model: Backflow, options: FockOptimizerConfig, is_complex: bool) -> FockOptimizer:
    prepare = _prepared(model, options, is_complex)

    def init(params):
        return jnp.zeros_like(ravel_pytree(params)[0]), jnp.zeros((), jnp.int64)

    @jax.jit
    def step(params, state, subspace, reference):
        previous, count = state
        masked, found, norm, backward, info = prepare(params, subspace, reference)
        flat, unravel = ravel_pytree(params)
        rows = len(found.vector)
        center = _centring(found.amplitudes, is_complex)
        gram = gram_matrix(model, params, subspace.words[:rows], reference, found.amplitudes)
        decayed = options.momentum * previous
        moved = jax.jvp(masked, (params,), (unravel(decayed),))[1][:rows] / norm
        wanted = _stack(found.vector, is_complex) - center(_stack(moved, is_complex))
        gram = center(center(gram).T)
        gram = gram + options.damping * jnp.eye(len(gram))
        y = center(jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), wanted))
        phi = decayed + ravel_pytree(backward(_unstack(y, is_complex)))[0].astype(flat.dtype)
        length = jnp.linalg.norm(phi)
        rate = options.learning_rate / (1 + count / options.decay_steps)
        scale = jnp.minimum(rate, options.norm_constraint**0.5 / jnp.maximum(length, 1e-30))
        info |= {"gradient_norm": length, "learning_rate": scale}
        return unravel(flat - scale.astype(flat.dtype) * phi), (phi, count + 1), info

    return FockOptimizer(init, step)


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


def _stack(values: Array, is_complex: bool) -> Array:
    return jnp.concatenate([values.real, values.imag]) if is_complex else values


def _unstack(values: Array, is_complex: bool) -> Array:
    half = len(values) // 2
    return values[:half] + 1j * values[half:] if is_complex else values


def _centring(amplitudes: Array, is_complex: bool):
    """Builds the projection on the complement of psi (and of i psi): norm and phase are free."""
    basis = [_stack(amplitudes, is_complex)]
    if is_complex:
        basis.append(_stack(1j * amplitudes, True))
    basis = jnp.stack(basis, axis=1)
    return lambda values: values - basis @ (basis.T @ values)

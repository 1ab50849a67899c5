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


def _measured(amplitudes, options: FockOptimizerConfig):
    """Builds (params, subspace, reference, direction) -> (Residual, norm, J direction, info)."""

    def measure(params, subspace: Subspace, reference, direction):
        masked = _masked(amplitudes, subspace, reference)
        psi, moved = jax.jvp(masked, (params,), (direction,))
        found = residual(subspace, psi, options.functional)
        core = psi[: subspace.core_size]
        projected = residual(subspace, psi, "projected")
        info = {
            "functional_ha": found.energy,
            "energy_ha": projected.energy,
            "variance_ha2": projected.variance,
            "core_weight": jnp.vdot(core, core).real / jnp.vdot(psi, psi).real,
        }
        rows = len(found.vector)
        norm = jnp.linalg.norm(psi[:rows])
        return found, norm, moved[:rows] / norm, info

    return measure


def _masked(amplitudes, subspace: Subspace, reference):
    return lambda p: amplitudes(p, subspace.words, reference) * subspace.filled


def _backward(amplitudes):
    """Builds (params, subspace, reference, rows (R,)) -> J^T rows, shaped like the parameters."""

    def backward(params, subspace, reference, rows):
        psi, pull = jax.vjp(_masked(amplitudes, subspace, reference), params)
        return pull(jnp.zeros_like(psi).at[: len(rows)].set(rows).conj())[0]

    return backward


def _adam(model: Backflow, options: FockOptimizerConfig, is_complex: bool) -> FockOptimizer:
    amplitudes = make_amplitudes(model.wavefunction, is_complex=is_complex)
    measure, backward = jax.jit(_measured(amplitudes, options)), _backward(amplitudes)
    transform = optax.adam(lambda count: options.learning_rate / (1 + count / options.decay_steps))

    @jax.jit
    def move(params, state, subspace, reference, rows):
        gradient = backward(params, subspace, reference, 2 * rows)
        updates, state = transform.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, optax.global_norm(gradient)

    def step(params, state, subspace, reference):
        still = jax.tree.map(jnp.zeros_like, params)
        found, norm, _, info = measure(params, subspace, reference, still)
        params, state, length = move(params, state, subspace, reference, found.vector / norm)
        return params, state, info | {"gradient_norm": length}

    return FockOptimizer(transform.init, step)


def _spring(model: Backflow, options: FockOptimizerConfig, is_complex: bool) -> FockOptimizer:
    amplitudes = make_amplitudes(model.wavefunction, is_complex=is_complex)
    measure, backward = jax.jit(_measured(amplitudes, options)), _backward(amplitudes)

    def init(params):
        return jnp.zeros_like(ravel_pytree(params)[0]), jnp.zeros((), jnp.int64)

    @jax.jit
    def weights(params, words, reference, found, moved):
        center = _centring(found.amplitudes, is_complex)
        gram = gram_matrix(model, params, words, reference, found.amplitudes)
        gram = center(center(gram).T) + options.damping * jnp.eye(len(gram))
        wanted = _stack(found.vector, is_complex) - center(_stack(moved, is_complex))
        y = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), wanted)
        return _unstack(center(y), is_complex)

    @jax.jit
    def move(params, state, subspace, reference, rows):
        previous, count = state
        flat, unravel = ravel_pytree(params)
        step = ravel_pytree(backward(params, subspace, reference, rows))[0]
        phi = options.momentum * previous + step.astype(flat.dtype)
        length = jnp.linalg.norm(phi)
        rate = options.learning_rate / (1 + count / options.decay_steps)
        scale = jnp.minimum(rate, options.norm_constraint**0.5 / jnp.maximum(length, 1e-30))
        info = {"gradient_norm": length, "learning_rate": scale}
        return unravel(flat - scale.astype(flat.dtype) * phi), (phi, count + 1), info

    def step(params, state, subspace, reference):
        decayed = ravel_pytree(params)[1](options.momentum * state[0])
        found, norm, moved, info = measure(params, subspace, reference, decayed)
        words = subspace.words[: len(found.vector)]
        y = weights(params, words, reference, found, moved)
        params, state, more = move(params, state, subspace, reference, y / norm)
        return params, state, info | more

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

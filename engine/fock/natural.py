"""SPRING and Adam on a deterministic set of determinants.

With J the derivatives of the normalised amplitudes, projected on the complement of psi, and b
the residual, SPRING moves along

    phi = mu phi' + J^T (J J^T + lambda)^-1 (b - mu J phi')

and MinSR is mu = 0. The Gram matrix J J^T follows from inputs and slopes of layers (`gram`), and
J^T y is one backward pass. With `krylov` vectors b is the way from the lowest state of the Krylov
space of psi instead of the residual, and the rate the share of that way to go. With `batch` only so
many rows, drawn anew at every step, enter the least-squares problem (Kaczmarz iteration).

Source: A. Chen and M. Heyl, Nat. Phys. 20, 1476 (2024); G. Goldshlager, N. Abrahamsen and
L. Lin, J. Comput. Phys. 516, 113351 (2024).
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from engine.config.fock import FockOptimizerConfig
from engine.fock.backflow import Backflow
from engine.fock.functional import krylov_step, make_amplitudes, residual
from engine.fock.gram import centring, gram_matrix, stack, unstack
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
    model: Backflow, options: FockOptimizerConfig, *, is_complex: bool, key: Array | None = None
) -> FockOptimizer:
    """Builds the optimizer a method asks for; `key` is for drawing batches."""
    make = {"spring": _spring, "adam": _adam}[options.name]
    return make(model, options, is_complex, jax.random.key(0) if key is None else key)


def _measured(amplitudes, options: FockOptimizerConfig):
    """Builds (params, subspace, reference, direction) -> (Residual, J direction, info)."""

    def measure(params, subspace: Subspace, reference, direction):
        masked = _masked(amplitudes, subspace, reference)
        psi, moved = jax.jvp(masked, (params,), (direction,))
        found = residual(subspace, psi, options.functional)
        move = found.vector
        if options.krylov > 1:
            move = krylov_step(subspace, found, options.functional, options.krylov)
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
        return found._replace(vector=move), moved[:rows] / norm, info

    return measure


def _masked(amplitudes, subspace: Subspace, reference):
    return lambda p: amplitudes(p, subspace.words, reference) * subspace.filled


def _backward(model: Backflow):
    """Builds (params, words (R, 2, w), reference, z (R,)) -> sum Re[z (d log + i d arg)]."""
    apply = model.wavefunction.apply

    def backward(params, words, reference, z):
        def parts(p):
            psi = jax.lax.map(lambda x: apply(p, x, None, reference), words, batch_size=4096)
            return psi.log, psi.arg

        psi, pull = jax.vjp(parts, params)
        return pull((z.real.astype(psi[0].dtype), -z.imag.astype(psi[1].dtype)))[0]

    return backward


def _adam(model: Backflow, options: FockOptimizerConfig, is_complex: bool, key) -> FockOptimizer:
    del key
    options = dataclasses.replace(options, krylov=1)  # Adam follows the gradient
    amplitudes = make_amplitudes(model.wavefunction, is_complex=is_complex)
    measure, backward = jax.jit(_measured(amplitudes, options)), _backward(model)
    transform = optax.adam(lambda count: options.learning_rate / (1 + count / options.decay_steps))

    @jax.jit
    def move(params, state, words, reference, found):
        gradient = backward(params, words, reference, 2 * found.vector.conj() * found.amplitudes)
        updates, state = transform.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, optax.global_norm(gradient)

    def step(params, state, subspace, reference):
        still = jax.tree.map(jnp.zeros_like, params)
        found, _, info = measure(params, subspace, reference, still)
        words = subspace.words[: len(found.vector)]
        params, state, length = move(params, state, words, reference, found)
        return params, state, info | {"gradient_norm": length}

    return FockOptimizer(transform.init, step)


def _spring(
    model: Backflow, options: FockOptimizerConfig, is_complex: bool, key: Array
) -> FockOptimizer:
    amplitudes = make_amplitudes(model.wavefunction, is_complex=is_complex)
    measure = jax.jit(_measured(amplitudes, options))
    direction = jax.jit(_direction(model, options, is_complex), static_argnames="whole")
    draw = jax.jit(_draw(model, options))

    def init(params):
        return jnp.zeros_like(ravel_pytree(params)[0]), jnp.zeros((), jnp.int64)

    @jax.jit
    def move(params, state, phi):
        flat, unravel = ravel_pytree(params)
        phi = options.momentum * state[0] + phi.astype(flat.dtype)
        length = jnp.linalg.norm(phi)
        rate = options.learning_rate / (1 + state[1] / options.decay_steps)
        scale = jnp.minimum(rate, options.norm_constraint**0.5 / jnp.maximum(length, 1e-30))
        info = {"gradient_norm": length, "learning_rate": scale}
        return unravel(flat - scale.astype(flat.dtype) * phi), (phi, state[1] + 1), info

    def step(params, state, subspace, reference):
        decayed = ravel_pytree(params)[1](options.momentum * state[0])
        found, moved, info = measure(params, subspace, reference, decayed)
        rows = (subspace.words[: len(moved)], found.amplitudes, found.vector, moved)
        whole = options.batch is None or options.batch >= len(moved)
        if not whole:
            rows = draw(*rows, jax.random.fold_in(key, state[1]))
        params, state, more = move(params, state, direction(params, reference, *rows, whole=whole))
        return params, state, info | more

    return FockOptimizer(init, step)


def _direction(model: Backflow, options: FockOptimizerConfig, is_complex: bool):
    """Builds (params, reference, words, amplitudes, vector, J phi', whole) -> J^T y, flat.

    Norm and phase of psi are free where all rows are there, and held by the rows where not.
    """
    backward = _backward(model)

    def direction(params, reference, words, amplitudes, vector, moved, whole):
        center = centring(amplitudes, is_complex) if whole else lambda values: values
        gram = gram_matrix(model, params, words, reference, amplitudes)
        gram = center(center(gram).T) + options.damping * jnp.eye(len(gram))
        wanted = stack(vector, is_complex) - center(stack(moved, is_complex))
        y = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(gram), wanted)
        z = unstack(center(y), is_complex).conj() * amplitudes
        return ravel_pytree(backward(params, words, reference, z))[0]

    return direction


def _draw(model: Backflow, options: FockOptimizerConfig):
    """Builds (words, amplitudes, vector, J phi', key) -> the same of `batch` rows.

    Without replacement, with probabilities that follow |psi|; one row of every orbit of the
    symmetries.
    """

    def draw(words, amplitudes, vector, moved, key):
        weight = jnp.log(jnp.abs(amplitudes))
        if model.representative:
            own = jax.vmap(model.representative)(words).words
            own = jnp.all(own == words, axis=(-1, -2))
            weight = jnp.where(own, weight, -jnp.inf)
        score = weight + jax.random.gumbel(key, weight.shape, weight.dtype)
        _, rows = jax.lax.top_k(score, options.batch)
        return words[rows], amplitudes[rows], vector[rows], moved[rows]

    return draw

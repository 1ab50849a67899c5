"""SPRING and Adam on a deterministic set of determinants.

With J the derivatives of the normalised amplitudes, projected on the complement of psi, and b
the residual, SPRING moves along

    phi = mu phi' + J^T (J J^T + lambda)^-1 (b - mu J phi')

and MinSR is mu = 0. The Gram matrix J J^T follows from inputs and slopes of layers (`gram`), and
J^T y is one backward pass. With `krylov` vectors b is the way from the lowest state of the Krylov
space of psi instead of the residual, and the rate the share of that way to go. Of determinants that
symmetry makes equal one row stands for all, times the root of their number. With `batch` only so
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
from engine.fock.determinants import NONE, groups
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
    orbits = jax.jit(_orbits(model))
    draw = jax.jit(_draw, static_argnames=("size", "whole"))

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
        times, count = orbits(rows[0], subspace.filled[: len(moved)])
        size, whole = _size(len(moved), int(count), options.batch)
        if size < len(moved):
            chance = jax.random.fold_in(key, state[1])
            rows = draw(*rows, times, chance, size=size, whole=whole)
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


def _orbits(model: Backflow):
    """Builds (words (R, 2, w), filled (R,)) -> (times (R,), count).

    `times` is how many of the rows symmetry makes equal to one, at the first of them, and zero at
    the others and in empty slots; `count` is how many are not zero.
    """

    def orbits(words, filled):
        if not model.representative:
            return filled, jnp.asarray(len(words))  # empty slots have amplitude zero
        own = jax.vmap(model.representative)(words).words
        own = jnp.where(filled[:, None, None] > 0, own, jnp.uint64(NONE))
        order = jnp.lexsort(tuple(own.reshape(len(own), -1).T))
        orbit = groups(own[order])
        total = jax.ops.segment_sum(filled[order], orbit, len(words), indices_are_sorted=True)
        first = jax.ops.segment_min(order, orbit, len(words), indices_are_sorted=True)
        times = jnp.zeros_like(filled).at[first].set(total, mode="drop") * filled
        return times, jnp.sum(times > 0)

    return orbits


def _size(rows: int, count: int, batch: int | None) -> tuple[int, bool]:
    """Returns how many rows enter the least-squares problem, and whether those are all.

    Rounded up to 1/32 of all rows: each size is a program of its own, and costs as its cube.
    """
    if batch is not None and batch < count:
        return batch, False
    unit = -(-rows // 32)
    return min(-(-count // unit) * unit, rows), True


def _draw(words, amplitudes, vector, moved, times, key, *, size: int, whole: bool):
    """Returns words (size, 2, w), amplitudes, vector and J phi' (size,), one row of every orbit.

    Without replacement, with probabilities that follow |psi|; rows times the root of `times`.
    """
    score = jnp.zeros_like(times)
    if not whole:
        score = jnp.log(jnp.abs(amplitudes)) + jax.random.gumbel(key, times.shape, times.dtype)
    score = jnp.where(times > 0, score, -jnp.inf)
    _, rows = jax.lax.top_k(score, size)
    root = jnp.sqrt(times[rows])
    return words[rows], root * amplitudes[rows], root * vector[rows], root * moved[rows]

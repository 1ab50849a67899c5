"""Averages corrected by the answer of psi: < x + 2 (E_L - E) Q >, see `coalescence`.

E and the average of Q are known in the end alone. Products are taken with those of the first step,
and what that leaves out, 2 (E - E_0) (Q - Q_0) of the averages, is subtracted when all is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.estimator import blocks
from engine.system.system import System
from engine.types import Estimator, Params, Reference, Walker


class Averages(NamedTuple):
    """What has been seen, K quantities at a time.

    Attributes:
        plain: (K,) blocks of x.
        corrected: (K,) blocks of x + 2 (E_L - E_0) (Q - Q_0).
        energy: () blocks of E_L, hartree.
        response: (K,) blocks of Q.
        energy_0: () E_0.
        response_0: (K,) Q_0.
    """

    plain: blocks.Blocks
    corrected: blocks.Blocks
    energy: blocks.Blocks
    response: blocks.Blocks
    energy_0: Array
    response_0: Array


def zero_bias(
    measure: Callable[[Params, Walker, System, Reference], tuple[Array, Array]],
    size: int,
    describe: Callable[[Averages, System], dict],
) -> Estimator:
    """Returns the estimator.

    Args:
        measure: Of one walker: x and Q, both (size,).
        size: K.
        describe: Turns the averages into observables; `value` and `error` help.
    """

    def init() -> Averages:
        many = blocks.empty((size,))
        zero = jnp.zeros(size, jnp.float64)
        return Averages(many, many, blocks.empty(()), many, jnp.zeros((), jnp.float64), zero)

    def update(state, params, walkers, energy, system, reference, key) -> Averages:
        over = jax.vmap(measure, in_axes=(None, 0, None, None))
        x, q = (a.astype(jnp.float64) for a in over(params, walkers, system, reference))
        first = state.energy.count == 0
        energy_0 = jnp.where(first, energy.mean(), state.energy_0)
        response_0 = jnp.where(first, q.mean(axis=0), state.response_0)
        product = jnp.mean((energy - energy_0)[:, None] * (q - response_0), axis=0)
        plain = x.mean(axis=0)
        return Averages(
            blocks.add(state.plain, plain),
            blocks.add(state.corrected, plain + 2 * product),
            blocks.add(state.energy, energy.mean()),
            blocks.add(state.response, q.mean(axis=0)),
            energy_0,
            response_0,
        )

    return Estimator(init, update, describe)


def value(found: Averages) -> np.ndarray:
    """Returns the (K,) corrected averages."""
    shift = blocks.mean(found.energy) - np.asarray(found.energy_0)
    rest = 2 * shift * (blocks.mean(found.response) - np.asarray(found.response_0))
    return blocks.mean(found.corrected) - rest

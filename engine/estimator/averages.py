"""Estimators that average functions of one walker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array

from engine.estimator import blocks
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Key, Params, Reference, Walker

Measure = Callable[[Params, Walker, System, Reference, Key], dict[str, Array]]
"""Named arrays of one walker, real."""

Describe = Callable[[Mapping[str, blocks.Blocks], System], dict[str, Observable]]
"""What the blocks of those arrays amount to."""


def averaged(measure: Measure, shapes: Mapping[str, tuple[int, ...]], describe: Describe):
    """Returns the estimator of the mean of `measure` over walkers and steps.

    Args:
        measure: Of one walker.
        shapes: Name -> shape of what it returns.
        describe: Turns accumulated blocks into observables.
    """

    def init():
        return {name: blocks.empty(shape) for name, shape in shapes.items()}

    def update(state, params, walkers, energy, system, reference, key):
        keys = jax.random.split(key, len(walkers))
        over = jax.vmap(measure, in_axes=(None, 0, None, None, 0))
        samples = over(params, walkers, system, reference, keys)
        return {
            name: blocks.add(state[name], jnp.mean(x.astype(jnp.float64), axis=0))
            for name, x in samples.items()
        }

    return Estimator(init, update, describe)

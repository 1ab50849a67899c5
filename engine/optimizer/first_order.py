"""Adam through optax: the simple alternative, and what pretraining uses."""

from __future__ import annotations

import jax
import optax

from engine.config import OptimizerConfig
from engine.optimizer.objective import make_value_and_grad
from engine.types import Optimizer, Wavefunction


def make_adam(
    wavefunction: Wavefunction, options: OptimizerConfig, *, is_complex: bool
) -> Optimizer:
    """Builds Adam on the variational objective with a hyperbolically decaying rate."""
    del is_complex
    return adam(
        make_value_and_grad(wavefunction),
        lambda t: options.learning_rate / (1 + t / options.decay_steps),
    )


def adam(value_and_grad, rate) -> Optimizer:
    """Builds Adam for any (params, key, batch) -> ((value, aux), gradient).

    Args:
        value_and_grad: The objective.
        rate: Learning rate, a number or a function of the step.
    """
    transform = optax.adam(rate)

    def init(params, key, batch):
        del key, batch
        return transform.init(params)

    @jax.jit
    def step(params, state, key, batch):
        (value, _), gradient = value_and_grad(params, key, batch)
        updates, state = transform.update(gradient, state, params)
        info = {"value": value, "gradient_norm": optax.tree.norm(gradient)}
        return optax.apply_updates(params, updates), state, info

    return Optimizer(init, step)

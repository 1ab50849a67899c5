"""Optimisation of the network: AdamW with a warm-up and a cosine, and an average of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from engine.config.learned import LearnConfig
from engine.learned.loss import Samples, make_loss
from engine.learned.model import Model
from engine.learned.scales import Scales

UNKNOWN = 1e9
"""Stands for an error that has not been measured yet, hartree; a saved state must be finite."""


class TrainState(NamedTuple):
    """What a saved state stores.

    Attributes:
        params: Of the network.
        average: Their moving average, which is validated and kept.
        optimizer: State of AdamW.
        best: The average that had the least score.
        best_score: Its score; unknown again when fine-tuning starts.
        best_ha: Its mean absolute error on the validation set, hartree.
        validation_score: Score of the last validation: the error in hartree, and in fine-tuning
            the loss, which have nothing to do with each other.
        validation_ha: Error of the last validation.
    """

    params: Any
    average: Any
    optimizer: Any
    best: Any
    best_score: Array
    best_ha: Array
    validation_score: Array
    validation_ha: Array


class Training(NamedTuple):
    """Pure functions of an optimisation.

    Attributes:
        init: params -> TrainState.
        step: (state, scales, batch, key, step) -> (state, row).
        validate: (state, scales, samples, step) -> TrainState, its best parameters renewed; flows
            are integrated, from the same noise every time.
    """

    init: Any
    step: Any
    validate: Any


def make_training(model: Model, options: LearnConfig) -> Training:
    """Builds the functions; `step` and what `validate` runs are compiled."""
    rate = optax.warmup_cosine_decay_schedule(
        0.0,
        options.learning_rate,
        min(options.warmup_steps, max(options.steps - 1, 1)),
        max(options.steps, 2),
        options.learning_rate * options.final_fraction,
    )
    transform = optax.chain(
        optax.clip_by_global_norm(options.clip),
        optax.adamw(rate, b2=0.99, weight_decay=options.weight_decay),
    )
    loss = make_loss(model, options)
    measure = jax.jit(make_loss(model, options, integrated=True))
    tuning = options.steps - options.fine_tune_steps  # the first step of fine-tuning

    def init(params: Any) -> TrainState:
        unknown = jnp.asarray(UNKNOWN)
        return TrainState(params, params, transform.init(params), params, *[unknown] * 4)

    def objective(*arguments):
        values, errors = loss(*arguments)
        return values.mean(), errors.mean()

    @jax.jit
    def step(state: TrainState, scales: Scales, batch: Samples, key: Array, number: Array):
        value_and_grad = jax.value_and_grad(objective, has_aux=True)
        (value, error), gradient = value_and_grad(
            state.params, scales, batch, key, number >= tuning
        )
        updates, opt_state = transform.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.minimum(options.average, (1.0 + number) / (10.0 + number))
        average = optax.incremental_update(params, state.average, (1 - decay).astype(jnp.float32))
        row = {
            "loss": value,
            "error_h_ha": error,
            "validation_ha": state.validation_ha,
            "validation_score": state.validation_score,
            "gradient_norm": optax.tree.norm(gradient),
        }
        best_score = jnp.where(number == tuning, UNKNOWN, state.best_score)
        state = state._replace(params=params, average=average, optimizer=opt_state)
        return state._replace(best_score=best_score), row

    def validate(
        state: TrainState, scales: Scales, sets: Sequence[Samples], number: int
    ) -> TrainState:
        key = jax.random.key(0)  # the noise of a flow is the same at every validation
        fine = number >= tuning
        found = [
            [x[:count] for x in measure(state.average, scales, batch, key, jnp.asarray(fine))]
            for samples in sets
            for batch, count in in_batches(samples, options.batch)
        ]
        value, error = (
            jnp.asarray(jnp.concatenate(x).mean(), jnp.result_type(state.best_ha))
            for x in zip(*found, strict=True)
        )
        score = value if fine else error
        state = state._replace(validation_score=score, validation_ha=error)
        if score < state.best_score:
            state = state._replace(best=state.average, best_score=score, best_ha=error)
        return state

    return Training(init, step, validate)


def in_batches(samples: Samples, size: int):
    """Yields (samples, how many of them count): all batches have one shape, the last is filled."""
    total = len(samples.occupied)
    for start in range(0, total, size):
        index = np.arange(start, start + size)
        yield take(samples, index % total), min(size, total - start)


def take(samples: Samples, index: np.ndarray) -> Samples:
    """Returns some of the geometries."""
    return jax.tree.map(lambda x: x[index], samples)


def draw(sets: Sequence[Samples], size: int, seed: int, step: int) -> Samples:
    """Returns the batch of a step: geometries of one molecule, chosen by (seed, step) alone."""
    rng = np.random.default_rng([seed, step])
    counts = np.array([len(s.occupied) for s in sets])
    samples = sets[rng.choice(len(sets), p=counts / counts.sum())]
    # With replacement where there are few, so that every batch of a molecule has one shape.
    count = len(samples.occupied)
    return take(samples, rng.choice(count, size, replace=count < size))

"""Running averages with errors by blocking."""

import jax
import numpy as np
import pytest

from engine.estimator import blocks
from engine.estimator.statistics import blocking_error


def accumulated(series):
    add, state = jax.jit(blocks.add), blocks.empty(series.shape[1:])
    for sample in series:
        state = add(state, sample)
    return state


def correlated(steps, *shape):
    rng, x, out = np.random.default_rng(4), np.zeros(shape), []
    for _ in range(steps):
        x = 0.8 * x + rng.normal(size=shape)
        out.append(x)
    return np.array(out)


def test_mean_and_error_are_those_of_the_stored_series():
    series = correlated(512, 2, 3)
    state = accumulated(series)
    np.testing.assert_allclose(blocks.mean(state), series.mean(axis=0), rtol=1e-12)
    expected = [[blocking_error(series[:, i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(blocks.error(state), expected, rtol=1e-9)


def test_correlation_enlarges_the_error():
    series = correlated(512)
    naive = series.std() / np.sqrt(len(series))
    assert blocks.error(accumulated(series)) > 2 * naive


@pytest.mark.parametrize("steps", [3, 37])
def test_any_number_of_steps(steps):
    series = correlated(steps, 2)
    state = accumulated(series)
    np.testing.assert_allclose(blocks.mean(state), series.mean(axis=0), rtol=1e-12)
    plain = series.std(axis=0, ddof=1) / np.sqrt(steps)
    assert np.all(blocks.error(state) >= plain * (1 - 1e-9))


def test_one_sample_has_no_error():
    assert np.isnan(blocks.error(accumulated(np.ones((1, 2))))).all()

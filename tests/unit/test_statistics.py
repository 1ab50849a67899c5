"""Errors of correlated series against processes whose autocorrelation time is known."""

import numpy as np
import pytest

from engine.estimator.statistics import blocking_error, estimate, integrated_autocorrelation


def autoregressive(coefficient, steps, streams, seed=0):
    """Returns (steps, streams) of x_t = c x_{t-1} + noise, stationary; tau = (1 + c)/(1 - c)."""
    rng = np.random.default_rng(seed)
    x = np.zeros((steps + 200, streams))
    noise = rng.normal(size=x.shape)
    for t in range(1, len(x)):
        x[t] = coefficient * x[t - 1] + noise[t]
    return x[200:]


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_an_autoregressive_process(coefficient):
    series = autoregressive(coefficient, 20000, 8)
    exact = (1 + coefficient) / (1 - coefficient)
    assert integrated_autocorrelation(series) == pytest.approx(exact, rel=0.08)


def test_error_is_that_of_repeated_experiments():
    experiments = [autoregressive(0.8, 2000, 16, seed) for seed in range(60)]
    scatter = np.std([e.mean() for e in experiments])
    estimates = [estimate(e) for e in experiments]
    assert np.mean([e.error for e in estimates]) == pytest.approx(scatter, rel=0.3)
    assert np.mean([e.error_blocking for e in estimates]) == pytest.approx(scatter, rel=0.35)


def test_naive_error_is_too_small_where_steps_are_correlated():
    series = autoregressive(0.9, 5000, 4)
    naive = series.std() / np.sqrt(series.size)
    assert estimate(series).error > 3.5 * naive


def test_uncorrelated_series_has_the_textbook_error():
    series = np.random.default_rng(1).normal(size=(4000, 1))
    result = estimate(series)
    assert result.error == pytest.approx(1 / np.sqrt(4000), rel=0.1)
    assert blocking_error(series[:, 0]) == pytest.approx(1 / np.sqrt(4000), rel=0.35)


def test_streams_with_different_offsets_are_not_taken_for_precise():
    """Walkers stuck in different regions: the error must not shrink with the steps."""
    rng = np.random.default_rng(2)
    stuck = rng.normal(size=(1, 8)) + 0.01 * rng.normal(size=(1000, 8))
    assert estimate(stuck).error > 0.1


def test_constant_series():
    result = estimate(np.full((50, 4), 2.0))
    assert (result.mean, result.error, result.tau) == (2.0, 0.0, 1.0)

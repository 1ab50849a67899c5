"""Means and errors of correlated series.

Energies of successive steps are correlated, and walkers are independent of each other. The
error of a mean over both is sigma^2 tau / (T S), tau the integrated autocorrelation time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MAX_STREAMS = 64
"""Walkers are averaged into at most this many independent streams for the autocorrelation."""


class Estimate(NamedTuple):
    """A mean with its statistical error.

    Attributes:
        mean: Mean over steps and streams.
        error: One standard error, autocorrelation included.
        tau: Integrated autocorrelation time in steps; 1 for uncorrelated data.
        error_blocking: The same error by blocking, from the step means alone.
    """

    mean: float
    error: float
    tau: float
    error_blocking: float


def estimate(series: np.ndarray) -> Estimate:
    """Returns mean and error of independent, equally long, stationary streams.

    Args:
        series: (T,) or (T, S): T steps of S independent streams. A stream may itself be an
            average over walkers.

    `error` is from the autocorrelation time of the streams; `error_blocking` uses the step
    means only and serves as an independent check.
    """
    series = np.atleast_2d(np.asarray(series, float).T).T
    steps, streams = series.shape
    tau = integrated_autocorrelation(series)
    variance = series.var() * steps * streams / max(steps * streams - 1, 1)
    error = float(np.sqrt(variance * tau / (steps * streams)))
    return Estimate(float(series.mean()), error, tau, blocking_error(series.mean(axis=1)))


def autocorrelation(series: np.ndarray) -> np.ndarray:
    """Returns the normalised autocorrelation (T,) of (T, S) streams about their common mean."""
    steps = len(series)
    centred = series - series.mean()
    power = np.abs(np.fft.rfft(centred, n=2 * steps, axis=0)) ** 2
    raw = np.fft.irfft(power.sum(axis=1), n=2 * steps)[:steps]
    covariance = raw / (steps - np.arange(steps))
    return covariance / covariance[0] if covariance[0] > 0 else np.eye(1, steps)[0]


def integrated_autocorrelation(series: np.ndarray, window: float = 5.0) -> float:
    """Returns tau = 1 + 2 sum_t rho(t), summed to the first lag >= `window` tau; at least 1.

    Source of the window rule: A. Sokal, Monte Carlo Methods in Statistical Mechanics (1997).
    """
    rho = autocorrelation(np.atleast_2d(np.asarray(series, float).T).T)
    tau = 2 * np.cumsum(rho) - 1
    enough = np.arange(len(tau)) >= window * tau
    return float(max(1.0, tau[np.argmax(enough)] if enough.any() else tau[-1]))


def blocking_error(series: np.ndarray, min_blocks: int = 16) -> float:
    """Returns the largest error over successive pairings of a (T,) series.

    Source: H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989). Pairing stops at
    `min_blocks` blocks, where the error itself is known to about 20 %.
    """
    series = np.asarray(series, float)
    best = 0.0
    while len(series) > 1:
        best = max(best, float(np.sqrt(series.var(ddof=1) / len(series))))
        if len(series) // 2 < min_blocks:
            break
        even = len(series) // 2 * 2
        series = 0.5 * (series[0:even:2] + series[1:even:2])
    return best


def stream_count(walkers: int) -> int:
    """Returns into how many equal streams of walkers averages are taken: a divisor of `walkers`."""
    return max(s for s in range(1, min(MAX_STREAMS, walkers) + 1) if walkers % s == 0)

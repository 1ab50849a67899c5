"""Weighted least squares with the errors of what is fitted. Imports no JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

STEP = 1e-4
"""Of numerical derivatives, in standard errors of a coefficient."""


class Fit(NamedTuple):
    """Coefficients of a linear model.

    Attributes:
        value: (p,) coefficients.
        covariance: (p, p); of the statistical errors, or of the scatter where that is larger or
            there are no errors.
        chi2_per_degree: Squared residuals in units of the errors, per degree of freedom; None
            without errors or without a degree of freedom.
    """

    value: np.ndarray
    covariance: np.ndarray
    chi2_per_degree: float | None


def least_squares(design: np.ndarray, y: np.ndarray, error: np.ndarray) -> Fit:
    """Returns the fit of y = design @ coefficients.

    Args:
        design: (n, p), n at least p.
        y: (n,) values.
        error: (n,) standard errors; all zero for values without.
    """
    known = bool(np.all(error > 0))
    weight = 1 / error if known else np.ones_like(y)
    scale = np.linalg.norm(design * weight[:, None], axis=0)
    q, r = np.linalg.qr(design * weight[:, None] / scale)
    value = np.linalg.solve(r, q.T @ (y * weight)) / scale
    inverse = np.linalg.inv(r) / scale[:, None]
    covariance = inverse @ inverse.T
    freedom = len(y) - design.shape[1]
    if not freedom:
        return Fit(value, covariance if known else np.full_like(covariance, np.nan), None)
    chi2 = float(np.sum(((y - design @ value) * weight) ** 2) / freedom)
    return Fit(value, covariance * (max(chi2, 1.0) if known else chi2), chi2 if known else None)


def propagated(
    function: Callable[[np.ndarray], np.ndarray], fit: Fit
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a function of the coefficients and its standard errors, to first order in these.

    Args:
        function: (p,) -> (m,).
        fit: The coefficients.
    """
    value, axes = _principal(fit.covariance)
    slopes = [
        (function(fit.value + STEP * s * v) - function(fit.value - STEP * s * v)) / (2 * STEP)
        for s, v in zip(value, axes.T, strict=True)
    ]
    return function(fit.value), np.sqrt(np.sum(np.square(slopes), axis=0))


def _principal(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns standard deviations and directions that are independent of each other."""
    if not np.all(np.isfinite(covariance)):
        return np.full(len(covariance), np.nan), np.eye(len(covariance))
    size = np.sqrt(np.diag(covariance))
    size = np.where(size > 0, size, 1.0)
    value, axes = np.linalg.eigh(covariance / np.outer(size, size))
    return np.sqrt(np.maximum(value, 0)), size[:, None] * axes

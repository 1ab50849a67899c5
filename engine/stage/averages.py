"""Averages over twists with their weights. Imports no JAX."""

from __future__ import annotations

import math
from collections.abc import Sequence


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    """Returns sum w x / sum w."""
    return math.fsum(w * x for w, x in zip(weights, values, strict=True)) / math.fsum(weights)


def weighted_error(errors: Sequence[float], weights: Sequence[float]) -> float:
    """Returns the standard error of a weighted mean of independent values."""
    squares = ((w * s) ** 2 for w, s in zip(weights, errors, strict=True))
    return math.sqrt(math.fsum(squares)) / math.fsum(weights)


def spread(values: Sequence[float], weights: Sequence[float]) -> float:
    """Returns the weighted standard deviation of the values about their weighted mean."""
    mean = weighted_mean(values, weights)
    return math.sqrt(weighted_mean([(x - mean) ** 2 for x in values], weights))

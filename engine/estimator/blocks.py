"""Running means with errors by blocking, in memory that does not grow with the number of steps.

Level l holds averages of 2^l successive samples. A sample enters level 0; where it completes a
pair, the pair's mean enters the next level, and so on. The error is the largest over the levels
that still have enough blocks, as `statistics.blocking_error` has it for a stored series.
Source: H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

LEVELS = 14
MIN_BLOCKS = 16
"""With fewer blocks an error is itself uncertain by more than 20 %."""


class Blocks(NamedTuple):
    """What has been seen of one array-valued quantity; everything float64.

    Attributes:
        count: () samples so far.
        total: (LEVELS, ...) sums of block averages.
        square: (LEVELS, ...) sums of their squares.
        pending: (LEVELS, ...) the first half of a pair that waits for the second.
    """

    count: Array
    total: Array
    square: Array
    pending: Array


def empty(shape: tuple[int, ...]) -> Blocks:
    """Returns blocks of a quantity of this shape without samples."""
    zero = jnp.zeros((LEVELS, *shape), jnp.float64)
    return Blocks(jnp.zeros((), jnp.int64), zero, zero, zero)


def add(blocks: Blocks, sample: Array) -> Blocks:
    """Returns the blocks after one more sample."""

    def level(carry, entry):
        x, enters = carry
        total, square, pending, odd = entry
        new = (
            total + jnp.where(enters, x, 0),
            square + jnp.where(enters, x**2, 0),
            jnp.where(enters & ~odd, x, pending),
        )
        return (0.5 * (pending + x), enters & odd), new

    odd = (blocks.count >> jnp.arange(LEVELS)) & 1 == 1
    start = (jnp.asarray(sample, jnp.float64), jnp.asarray(True))
    _, new = lax.scan(level, start, (blocks.total, blocks.square, blocks.pending, odd))
    return Blocks(blocks.count + 1, *new)


def mean(blocks: Blocks) -> np.ndarray:
    """Returns the mean of all samples."""
    return np.asarray(blocks.total[0]) / max(int(blocks.count), 1)


def variances(blocks: Blocks) -> np.ndarray:
    """Returns (levels, ...) squared standard errors of the mean by blocks of each level.

    As many levels as have enough blocks; none from a single sample.
    """
    found = []
    for level in range(LEVELS):
        n = int(blocks.count) >> level
        if n < 2 or (level and n < MIN_BLOCKS):
            break
        average = np.asarray(blocks.total[level]) / n
        spread = np.maximum(np.asarray(blocks.square[level]) / n - average**2, 0)
        found.append(spread / (n - 1))
    return np.array(found).reshape(len(found), *blocks.total.shape[1:])


def error(blocks: Blocks) -> np.ndarray:
    """Returns one standard error of each entry of the mean; NaN from a single sample."""
    found = variances(blocks)
    if not len(found):
        return np.full(blocks.total.shape[1:], np.nan)
    return np.sqrt(found.max(axis=0))

"""Which images a sum must hold: short lattice vectors, and how far points are from the cell.

What a sum holds is compiled. Lists are therefore made for a cell of rounded lengths, which its
strains along the lattice vectors have in common.
"""

from __future__ import annotations

import itertools

import numpy as np

STEP = 0.2
"""Lengths are rounded to powers of exp(STEP): by 10 % at most."""


def rounded(lattice: np.ndarray, unit: float) -> np.ndarray:
    """Returns rows along those of `lattice` (3, 3) whose lengths are unit * exp(STEP * integer)."""
    length = np.linalg.norm(lattice, axis=1, keepdims=True)
    return lattice / length * unit * np.exp(STEP * nearest_power(length, unit))


def nearest_power(length: np.ndarray, unit: float) -> np.ndarray:
    """Returns the integers whose powers of exp(STEP) are nearest to lengths over a unit."""
    return np.round(np.log(length / unit) / STEP)


def reduced_basis(lattice: np.ndarray) -> np.ndarray:
    """Returns the integer matrix that takes `lattice` to short vectors, shortest first.

    Vectors whose lengths round alike keep their order, whatever the strain.

    Each vector gives way to its sum or difference with the others while that is shorter.
    Source: I. Semaev, Lect. Notes Comput. Sci. 2146, 181 (2001).
    """
    basis, signs = np.eye(3, dtype=int), list(itertools.product((-1, 0, 1), repeat=3))
    length = lambda v: np.linalg.norm(v @ lattice, axis=-1)
    shortened = True
    while shortened:
        shortened = False
        for j, s in ((j, s) for j in range(3) for s in signs if s[j] == 1):
            trial = np.array(s) @ basis
            if length(trial) < length(basis[j]) * (1 - 1e-6):  # noise must not decide
                basis[j], shortened = trial, True
    order = nearest_power(length(basis), length(basis).min())
    return basis[np.argsort(order, kind="stable")]


def distance_to_cell(lattice: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Returns min |(p + s) lattice| over s in [-1/2, 1/2]^3 for each fractional point (T, 3).

    The minimum of a convex quadratic over a box is the smallest feasible of the minima with
    some coordinates held at a bound and the others free.

    Args:
        lattice: (3, 3) rows, any unit of length; the (T,) distances have the same.
        points: (T, 3) fractional, as a rule integers.
    """
    best = np.full(len(points), np.inf)
    for held in itertools.product((-0.5, 0.5, None), repeat=3):
        fixed = np.array([h is not None for h in held])
        x = points + np.array([h or 0.0 for h in held])
        if not fixed.all():
            x[:, ~fixed] = -x[:, fixed] @ lattice[fixed] @ np.linalg.pinv(lattice[~fixed])
        feasible = np.all(np.abs(x - points) <= 0.5 + 1e-9, axis=1)
        best = np.where(feasible, np.minimum(best, np.linalg.norm(x @ lattice, axis=1)), best)
    return best

"""Which terms an Ewald sum keeps: splitting, images and reciprocal vectors, chosen on the host.

All choices are made for a cell of unit volume whose lengths have rounded ratios: isotropically
strained cells share their lists, hence their compiled program, and as a rule so do chains and
layers that are strained in a vacuum of fixed length.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import erfc

from engine.system.images import distance_to_cell, reduced_basis, rounded

_ERFC_COST = 30.0
"""Cost of one real-space term over one multiply-add of a structure factor (measured, CPU)."""

_MARGIN = 4.0
"""How much more a cell may leave out than the one of rounded lengths (largest found: 3.5)."""


class EwaldSums(NamedTuple):
    """Integer lists of an Ewald sum.

    Attributes:
        basis: (3, 3) unimodular; `basis @ lattice` are short lattice vectors, shortest first.
            All other integers count these.
        alpha: Splitting parameter times V^(1/3).
        images: (T, 3) lattice translations, (0, 0, 0) first.
        columns: (C, 2) first two indices of the reciprocal vectors, one half of the plane.
        kept: (2, C, M+1) whether (columns[c], +m) and (columns[c], -m) are summed; never both
            of G and -G.
    """

    basis: np.ndarray
    alpha: float
    images: np.ndarray
    columns: np.ndarray
    kept: np.ndarray

    @property
    def n_reciprocal(self) -> int:
        """Number of reciprocal vectors (one of each +-G)."""
        return int(self.kept.sum())


def choose_sums(lattice: np.ndarray, n_pairs: int, n_particles: int, tolerance: float) -> EwaldSums:
    """Returns the cheapest splitting and its lists.

    Args:
        lattice: (3, 3) rows, any unit of length.
        n_pairs: Pair distances per evaluation.
        n_particles: Structure-factor phases per evaluation and reciprocal vector.
        tolerance: Bound on what is left out of the pair potential at any separation, hartree
            for a cell of 1 bohr^3; larger cells do better, as V^(-1/3).
    """
    basis = reduced_basis(np.asarray(lattice, float))
    unit = _typical(basis @ lattice)
    tolerance = tolerance / _MARGIN
    best, best_cost = None, np.inf
    for alpha in np.geomspace(1.5, 24.0, 25):
        columns, kept = _reciprocal(unit, alpha, tolerance / 2)
        reciprocal_cost = 2.0 * n_particles * kept.size
        if reciprocal_cost > best_cost:
            break
        images = _images(unit, alpha, tolerance / 2)
        cost = reciprocal_cost + _ERFC_COST * n_pairs * len(images)
        if cost < best_cost:
            best, best_cost = EwaldSums(basis, float(alpha), images, columns, kept), cost
    return best


def _typical(lattice: np.ndarray) -> np.ndarray:
    """Returns a cell of unit volume whose lengths have those ratios, rounded."""
    cell = rounded(lattice, np.linalg.norm(lattice, axis=1).min())
    return cell / abs(np.linalg.det(cell)) ** (1 / 3)


def _images(lattice: np.ndarray, alpha: float, tolerance: float) -> np.ndarray:
    """Returns the translations T that matter: those near -s for some s in the cell."""
    radius = _reach(tolerance) / alpha
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    images = _integers(radius / heights + 0.5)
    distance = distance_to_cell(lattice, images)
    d = np.maximum(distance, 1e-9)
    kept = images[_outside_in(distance, erfc(alpha * d) / d, tolerance)]
    return kept[np.argsort(np.any(kept != 0, axis=1), kind="stable")]


def _reciprocal(
    lattice: np.ndarray, alpha: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns `columns` and `kept` of the sphere of reciprocal vectors that matter."""
    radius = 2 * alpha * _reach(tolerance)
    g = _integers(radius * np.linalg.norm(lattice, axis=1) / (2 * np.pi))
    g = g[np.any(g != 0, axis=1)]
    g2 = np.sum((g @ (2 * np.pi * np.linalg.inv(lattice).T)) ** 2, axis=1)
    g = g[_outside_in(np.sqrt(g2), 4 * np.pi * np.exp(-g2 / (4 * alpha**2)) / g2, tolerance)]
    weight = np.sign(g) @ (9, 3, 1)  # the sign of the first non-zero index
    g = g[weight > 0]
    columns, row = np.unique(np.vstack([g[:, :2], [(0, 0)]]), axis=0, return_inverse=True)
    kept = np.zeros((2, len(columns), abs(g[:, 2]).max(initial=0) + 1), bool)
    kept[(g[:, 2] < 0).astype(int), row.reshape(-1)[:-1], abs(g[:, 2])] = True
    return columns, kept


def _outside_in(radius: np.ndarray, size: np.ndarray, tolerance: float) -> np.ndarray:
    """Returns the mask of the smallest ball outside which `size` sums to at most `tolerance`."""
    order = np.argsort(-radius)
    dropped = np.cumsum(size[order]) <= tolerance
    cut = radius[order][np.count_nonzero(dropped)] if not dropped.all() else 0.0
    return radius <= cut * (1 + 1e-6)  # whole shells


def _reach(tolerance: float) -> float:
    """Returns x with exp(-x^2) far below the tolerance."""
    return np.sqrt(max(-np.log(tolerance), 1.0)) + 1.0


def _integers(bounds: np.ndarray) -> np.ndarray:
    """Returns (N, 3) all integer triples within +-bounds."""
    axes = [np.arange(-int(b), int(b) + 1) for b in bounds]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

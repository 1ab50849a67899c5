"""Which periodic images of a basis function reach the simulation cell."""

from __future__ import annotations

import itertools

import numpy as np

from engine.io.mean_field import MeanField
from engine.system.system import System

NEGLIGIBLE = 1e-8
"""Basis functions below this value (bohr^-3/2) are left out of lattice sums."""

LIMIT_BOHR = 200.0
"""No function is followed further than this."""


def images(mean_field: MeanField, system: System) -> tuple[tuple[int, int, int], ...]:
    """Returns the integer translations by which a basis function still reaches the cell."""
    if not system.cell.periodic:
        return ((0, 0, 0),)
    lattice = np.asarray(system.cell.lattice, dtype=float)
    reach = max(_reach(s.exponents, s.coefficients, s.angular) for s in mean_field.shells)
    spacing = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    limits = [range(-n, n + 1) for n in np.ceil(reach / spacing + 0.5).astype(int)]
    points = np.array(list(itertools.product(*limits)))
    distance = _distance_to_cell(points, lattice)
    near = points[distance < reach]
    near = near[np.argsort(np.round(np.linalg.norm(near @ lattice, axis=1), 9), kind="stable")]
    return tuple(tuple(int(x) for x in point) for point in near)


def _reach(exponents: np.ndarray, coefficients: np.ndarray, l: int) -> float:
    """Returns the distance beyond which a shell stays below `NEGLIGIBLE`, bohr."""
    r = np.arange(0.0, LIMIT_BOHR, 0.05)
    radial = np.abs(np.exp(-np.outer(r**2, exponents)) @ coefficients).max(axis=1) * r**l
    return float(r[np.flatnonzero(radial > NEGLIGIBLE).max()]) + 0.05


def _distance_to_cell(points: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Returns the distance of lattice points (M, 3) to the cell centred on the origin.

    The nearest point of a parallelepiped lies inside it, on a face, an edge or a corner: each
    of the 27 is tried, minimising freely along it.
    """
    best = np.full(len(points), np.inf)
    for sides in itertools.product((None, -0.5, 0.5), repeat=3):
        free = [i for i, side in enumerate(sides) if side is None]
        frac = points - np.array([side or 0.0 for side in sides])
        if free:
            edges = lattice[free]
            solved = frac @ lattice @ np.linalg.pinv(edges)
            outside = np.abs(solved).max(axis=1) > 0.5 + 1e-12
            rest = frac @ lattice - solved @ edges
        else:
            outside, rest = np.zeros(len(points), bool), frac @ lattice
        distance = np.where(outside, np.inf, np.linalg.norm(rest, axis=1))
        best = np.minimum(best, distance)
    return best

"""Reciprocal vectors of the simulation cell, shell by shell."""

from __future__ import annotations

import numpy as np

from engine.system.electron_gas import shells
from engine.system.system import System


def wave_integers(system: System, count: int) -> np.ndarray:
    """Returns the integers (G, 3) of the shortest reciprocal vectors, G = 0 first.

    Args:
        system: Concrete arrays; the shape of the cell decides which vectors are short.
        count: Shells beside G = 0.
    """
    lattice, found = np.asarray(system.cell.lattice, float), []
    wanted = 1
    while len(found) <= count:
        found = shells(lattice, np.zeros(3), wanted)
        wanted *= 2
    return np.concatenate(found[: count + 1])


def half(waves: np.ndarray) -> np.ndarray:
    """Returns one of each pair +-G, without G = 0."""
    first = np.array([next((n for n in wave if n), 0) for wave in waves])
    return waves[first > 0]


def vectors(waves: np.ndarray, system: System) -> np.ndarray:
    """Returns Cartesian vectors (G, 3), 1/bohr, for tables."""
    return waves @ np.asarray(system.cell.reciprocal, float)

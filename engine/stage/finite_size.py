"""Finite-size corrections, hartree per simulation cell. Imports no JAX.

An electron and its correlation hole repeat with the cell. What that costs follows from the
static structure factor at small wave vectors, S(G) = s G^2 + O(G^4) per electron:

    potential   (2 pi / V) N s
    kinetic     1 / (8 s)        electron gas alone

Both are omega_p / 4 in an electron gas, where s = 1 / (2 omega_p). The kinetic one is that of a
Jastrow factor with 2 n u(k) = 1/S(k), and needs a reference whose own 1/S(k) is negligible at
small k: a Fermi sea, not the filled bands of a crystal.
Source: S. Chiesa, D. M. Ceperley, R. M. Martin and M. Holzmann, Phys. Rev. Lett. 97, 076404 (2006).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SHELLS = 3
"""Shortest shells of reciprocal vectors that s is extrapolated from."""


class Limit(NamedTuple):
    """s = lim S(G)/G^2 and its statistical error, bohr^2."""

    value: float
    error: float


def small_wave_limit(vectors: np.ndarray, value: np.ndarray, error: np.ndarray) -> Limit:
    """Returns lim_{G->0} S(G)/G^2 from a straight line in G^2 through the shortest shells.

    Args:
        vectors: (G, 3) reciprocal vectors, 1/bohr.
        value: (G,) S per electron.
        error: (G,) its standard errors.

    Shells count equally: how far S is from a straight line is more than its statistical error, and
    the longer shells, whose errors of S/G^2 are smaller, are farther from it. The error is
    statistical: it knows nothing of the terms beyond G^4.
    """
    square = np.sum(np.asarray(vectors) ** 2, axis=1)
    relative = square / square.min()
    shells = np.unique(np.round(relative, 6))[:SHELLS]
    members = [np.abs(relative - length) < 1e-5 for length in shells]
    y = np.array([np.mean(value[m] / square[m]) for m in members])
    sigma = np.array([np.sqrt(np.sum((error[m] / square[m]) ** 2)) / m.sum() for m in members])
    x = np.array([np.mean(square[m]) for m in members])
    weights = np.linalg.pinv(np.vander(x, min(2, len(x)), increasing=True))[0]
    return Limit(float(weights @ y), float(np.linalg.norm(weights * sigma)))


def potential_correction(s: Limit, n_electrons: float, volume: float) -> Limit:
    """Returns (2 pi / V) N s and its error."""
    factor = 2 * np.pi / volume * n_electrons
    return Limit(factor * s.value, factor * s.error)


def kinetic_correction(s: Limit) -> Limit:
    """Returns 1 / (8 s) and its error."""
    return Limit(1 / (8 * s.value), s.error / (8 * s.value**2))

"""How the translations of a simulation cell permute the orbitals of its cells."""

from __future__ import annotations

import numpy as np

from engine.system.supercell import n_cells, translations


def cell_translations(S: np.ndarray, twist: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each translation takes the orbitals |R u>, and with which phase.

    T_t |R u> = exp(-2 pi i twist.l) |R' u> with R + t = R' + l L.

    Args:
        S: (3, 3) integers, supercell L = S @ a.
        twist: (3,) fractions of the reciprocal vectors of L.
        m: Orbitals of a cell; they are numbered cell by cell.

    Returns:
        places (K, K m) and turns (K, K m), the phase being exp(-2 pi i turns).
    """
    cells, size = translations(S), n_cells(S)
    inverse = np.linalg.inv(S)
    places, turns = np.empty((size, size), int), np.empty((size, size))
    for i, t in enumerate(cells):
        along = (cells + t) @ inverse  # coordinates along L
        inside = along[:, None] - (cells @ inverse)[None]
        whole = np.abs(inside - np.round(inside)).max(axis=-1) < 1e-6
        places[i] = np.argmax(whole, axis=1)
        turns[i] = np.round(inside[np.arange(size), places[i]]) @ np.asarray(twist, float)
    orbitals = places[:, :, None] * m + np.arange(m)
    return orbitals.reshape(size, -1), np.repeat(turns, m, axis=1)

"""Orbitals on the grid of a density functional, kept from one SCF iteration to the next.

PySCF evaluates the Bloch sums of all basis functions anew in every iteration, which for a crystal
is most of the work. They do not change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyscf.pbc.dft.numint import KNumInt

KEPT_BYTES = 1e9
"""Most that is kept; blocks of points beyond it are evaluated every time."""


class KeptOrbitals(KNumInt):
    """PySCF's integration over k-points with values of basis functions kept."""

    def __init__(self, kpts: np.ndarray):
        super().__init__(kpts)
        self._kept: dict[tuple, tuple[np.ndarray, Any]] = {}
        self._bytes = 0

    def eval_ao(
        self,
        cell: Any,
        coords: np.ndarray,
        kpts: np.ndarray | None = None,
        deriv: int = 0,
        **others: Any,
    ) -> Any:
        """Returns the values at points (M, 3) in bohr, as the base class does."""
        points = np.zeros((1, 3)) if kpts is None else np.asarray(kpts)
        key = (coords.__array_interface__["data"][0], coords.shape, deriv, points.tobytes())
        if {"shls_slice", "out"} & {name for name, value in others.items() if value is not None}:
            return super().eval_ao(cell, coords, kpts, deriv=deriv, **others)
        if key in self._kept:
            return self._kept[key][1]
        values = super().eval_ao(cell, coords, kpts, deriv=deriv, **others)
        size = sum(one.nbytes for one in values)
        if self._bytes + size <= KEPT_BYTES:
            self._kept[key] = (coords, values)  # holding the points keeps their address theirs
            self._bytes += size
        return values

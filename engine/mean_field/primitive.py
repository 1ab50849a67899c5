"""The primitive cell as the mean field wants it: shorter vacuum, a regular k-point mesh."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np

from engine.system.geometry import Geometry
from engine.system.supercell import folded_kpoints, twist_in_primitive
from engine.system.vacuum import check_vacuum, gathered, vacuum_axes

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Sampling:
    """A periodic mean-field problem.

    Attributes:
        geometry: Primitive cell, possibly with less vacuum than the structure.
        lattice: (3, 3) other rows of the same lattice, in which `frac` is a regular mesh.
        frac: (K, 3) k-points, fractions of the reciprocal vectors of `lattice`.
    """

    geometry: Geometry
    lattice: np.ndarray
    frac: np.ndarray

    @property
    def kpoints(self) -> np.ndarray:
        """(K, 3) Cartesian k-points, 1/bohr."""
        return 2 * np.pi * self.frac @ np.linalg.inv(self.lattice).T


def sampling(primitive: Geometry, S: np.ndarray, twist: Any, vacuum_bohr: float | None) -> Sampling:
    """Returns the cell and the k-points whose orbitals are those of the supercell at its twist.

    Args:
        primitive: The structure's primitive cell.
        S: (3, 3) integers, supercell L = S @ a.
        twist: (3,) fractions of the supercell's reciprocal vectors.
        vacuum_bohr: Largest lattice constant along vacuum; None keeps the structure's.
    """
    folded, shift = folded_kpoints(S), twist_in_primitive(S, twist)
    geometry = primitive
    if vacuum_bohr is not None:
        geometry = shorten_vacuum(primitive, vacuum_bohr, folded + shift)
    change = regular_rows(S)
    mesh = folded @ change.T
    mesh -= np.floor(mesh + 1e-9)
    return Sampling(geometry, change @ geometry.lattice, mesh + shift @ change.T)


def regular_rows(S: np.ndarray) -> np.ndarray:
    """Returns a unimodular W such that the supercell of a is a diagonal one of W a.

    S = U D W with unimodular U and W: the supercell lattice S a is the lattice D (W a), whose
    folded k-points are the mesh D. PySCF finds the supercell of a k-mesh (for the exchange
    singularity) only if it is such a mesh.
    """
    D, W = np.array(S, dtype=int), np.eye(3, dtype=int)
    for t in range(3):
        while np.any(D[t + 1 :, t]) or np.any(D[t, t + 1 :]) or not D[t, t]:
            _pivot(D, W, t)
            for i in range(t + 1, 3):
                D[i] -= (D[i, t] // D[t, t]) * D[t]
            for j in range(t + 1, 3):
                factor = D[t, j] // D[t, t]
                D[:, j] -= factor * D[:, t]
                W[t] += factor * W[j]
    return W if np.linalg.det(W) > 0 else np.diag([-1, 1, 1]) @ W


def _pivot(D: np.ndarray, W: np.ndarray, t: int) -> None:
    """Moves the smallest non-zero entry of the remaining block to (t, t)."""
    block = np.abs(D[t:, t:]).astype(float)
    block[block == 0] = np.inf
    i, j = np.unravel_index(np.argmin(block), block.shape)
    D[[t, t + i]] = D[[t + i, t]]
    D[:, [t, t + j]] = D[:, [t + j, t]]
    W[[t, t + j]] = W[[t + j, t]]


def shorten_vacuum(
    geometry: Geometry, vacuum_bohr: float, kpoints: np.ndarray, where: str = "mean_field"
) -> Geometry:
    """Returns the cell with vacuum directions cut down to `vacuum_bohr`.

    Args:
        geometry: Periodic cell.
        vacuum_bohr: The new lattice constant.
        kpoints: (K, 3) fractions, which must vanish along vacuum.
        where: The section, for error messages.

    Raises:
        ConfigError: A twist or a supercell along a vacuum direction.
    """
    check_vacuum(geometry, vacuum_bohr, kpoints, where=f"{where}, key 'vacuum_bohr'")
    lattice, positions = geometry.lattice.copy(), geometry.positions.copy()
    for axis in vacuum_axes(geometry, vacuum_bohr):
        moves, _ = gathered(geometry, axis)
        length = np.linalg.norm(lattice[axis])
        positions += moves[:, None] * geometry.lattice[axis]
        lattice[axis] *= vacuum_bohr / length
        log.info(
            "lattice vector %d: %g bohr of vacuum shortened to %g for the mean field",
            axis + 1,
            length,
            vacuum_bohr,
        )
    return Geometry(geometry.symbols, positions, lattice)

"""Vacuum in a periodic cell: which lattice vectors only keep images of a chain or layer apart."""

from __future__ import annotations

import numpy as np

from engine.errors import ConfigError
from engine.system.geometry import Geometry

WIDE_GAP_BOHR = 16.0
"""Across a gap between nuclei as wide as this there is vacuum."""


def open_axes(geometry: Geometry) -> tuple[int, ...]:
    """Returns the lattice vectors along which there is vacuum between the nuclei."""
    if not geometry.periodic or not geometry.n_atoms:
        return ()
    gaps = widest_gaps(geometry.positions, geometry.lattice)
    return tuple(k for k in range(3) if gaps[k] >= WIDE_GAP_BOHR)


def widest_gaps(positions: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Returns (3,) bohr: for each lattice vector, between planes of the other two, without nuclei.

    Args:
        positions: (A, 3) nuclei, bohr.
        lattice: (3, 3) rows.
    """
    inverse = np.linalg.inv(lattice)
    widest = [gaps_between(column)[1].max() for column in (positions @ inverse).T]
    return np.array(widest) / np.linalg.norm(inverse, axis=0)


def vacuum_axes(geometry: Geometry, vacuum_bohr: float) -> tuple[int, ...]:
    """Returns the lattice vectors that may be cut down to `vacuum_bohr`.

    A direction is vacuum if its vector is longer than that, orthogonal to the others, and all
    atoms fit within half of `vacuum_bohr` along it.
    """
    axes = []
    for axis, vector in enumerate(geometry.lattice):
        length = np.linalg.norm(vector)
        overlap = np.abs(np.delete(geometry.lattice, axis, axis=0) @ vector).max()
        if length > vacuum_bohr and overlap <= 1e-8 * length:
            _, extent = gathered(geometry, axis)
            axes += [axis] if extent <= vacuum_bohr / 2 else []
    return tuple(axes)


def check_vacuum(
    geometry: Geometry, vacuum_bohr: float, kpoints: np.ndarray, *, where: str
) -> None:
    """Refuses k-points along vacuum that is to be shortened.

    Args:
        geometry: Periodic primitive cell.
        vacuum_bohr: The new lattice constant.
        kpoints: (K, 3) fractions of the reciprocal vectors.
        where: File and key, for error messages.

    Raises:
        ConfigError: A twist or a supercell along a vacuum direction.
    """
    for axis in vacuum_axes(geometry, vacuum_bohr):
        if np.abs(kpoints[:, axis]).max() > 1e-10:
            raise ConfigError(
                f"twist or supercell along lattice vector {axis + 1}, which is vacuum",
                where=where,
                expected="neither along vacuum",
                remedy="delete vacuum_bohr, or set the twist along it to zero",
            )


def gathered(geometry: Geometry, axis: int) -> tuple[np.ndarray, float]:
    """Returns integer moves (A,) along `axis` that bring the atoms together, and their extent."""
    frac = geometry.positions @ np.linalg.inv(geometry.lattice)[:, axis]
    inside = frac - np.floor(frac)
    ordered, gaps = gaps_between(frac)
    first = ordered[(np.argmax(gaps) + 1) % len(ordered)]
    moved = inside + (inside < first)
    extent = (moved.max() - moved.min()) * np.linalg.norm(geometry.lattice[axis])
    return np.round(moved - frac), float(extent)


def gaps_between(frac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns fractional coordinates (A,), in order within [0, 1), and the gap after each."""
    ordered = np.sort(frac - np.floor(frac))
    return ordered, np.append(ordered[1:], ordered[0] + 1) - ordered

"""The cell of an electron gas, and which plane waves its electrons occupy. Imports no JAX."""

from __future__ import annotations

import itertools

import numpy as np

from engine import config
from engine.errors import ConfigError
from engine.system.geometry import Geometry

LATTICES = {
    "sc": np.eye(3),
    "bcc": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    "fcc": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
}
"""Primitive vectors as rows, in units of the conventional cube."""

DEGENERATE = 1e-9
"""Relative difference of kinetic energies below which plane waves belong to one shell."""


def electron_gas(section: config.ElectronGasStructure, where: str) -> Geometry:
    """Returns the cell of volume N (4 pi / 3) rs^3, without nuclei.

    Raises:
        ConfigError: Lattice rows that span no volume.
    """
    rows = LATTICES[section.lattice]
    if section.lattice_rows is not None:
        rows = _given(section.lattice_rows, f"{where}, key 'lattice_rows'")
    volume = section.electrons * 4 * np.pi / 3 * section.rs**3
    lattice = rows * (volume / abs(np.linalg.det(rows))) ** (1 / 3)
    return Geometry((), np.zeros((0, 3)), lattice, background=section.electrons)


def _given(rows: list[list[float]], where: str) -> np.ndarray:
    expected = "three rows of three numbers, linearly independent"
    if [len(row) for row in rows] != [3, 3, 3]:
        raise ConfigError(f"found {rows}", where=where, expected=expected)
    matrix = np.array(rows, float)
    lengths = np.linalg.norm(matrix, axis=1)
    if abs(np.linalg.det(matrix)) < 0.01 * np.prod(lengths) or not np.all(lengths):
        raise ConfigError("the rows span (nearly) no volume", where=where, expected=expected)
    return matrix


def shells(lattice: np.ndarray, twist: np.ndarray, count: int) -> list[np.ndarray]:
    """Returns the lowest shells of plane waves exp(i (G + twist).r), and one shell beyond.

    Waves of a shell have the same kinetic energy |G + twist|^2 / 2; within it they are ordered
    by their integers, so that a partly filled shell is always filled in the same way.

    Args:
        lattice: (3, 3) rows of the simulation cell, bohr.
        twist: (3,) fractions of its reciprocal vectors.
        count: How many waves are needed.

    Returns:
        Arrays (g, 3) of integers, in units of the reciprocal vectors.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    heights = np.linalg.norm(lattice, axis=1) / (2 * np.pi)
    radius = (6 * np.pi**2 * (count + 1) / abs(np.linalg.det(lattice))) ** (1 / 3)
    while True:
        radius *= 1.3
        box = np.ceil(radius * heights + 1).astype(int)
        waves = np.array(list(itertools.product(*(range(-m, m + 1) for m in box))))
        length = np.linalg.norm((waves + twist) @ reciprocal, axis=1)
        inside = length < radius
        found = _split(waves[inside], length[inside]) if inside.any() else []
        if len(found) > 2 and sum(map(len, found[:-2])) >= count:
            sizes = np.cumsum([len(shell) for shell in found])
            return found[: int(np.searchsorted(sizes, count)) + 2]


def _split(waves: np.ndarray, length: np.ndarray) -> list[np.ndarray]:
    by_length = np.argsort(length, kind="stable")
    jumps = np.flatnonzero(np.diff(length[by_length]) > DEGENERATE * length.max()) + 1
    levels = np.split(waves[by_length], jumps)
    return [level[np.lexsort(-level.T[::-1])] for level in levels]


def occupied(
    lattice: np.ndarray, twist: np.ndarray, count: int, *, open_shell: str, where: str
) -> np.ndarray:
    """Returns the (count, 3) integers of the occupied waves of one spin.

    Args:
        lattice: (3, 3) rows of the simulation cell, bohr.
        twist: (3,) fractions of its reciprocal vectors.
        count: Electrons of this spin.
        open_shell: "refuse" or "ordered".
        where: The section, for error messages.

    Raises:
        ConfigError: The last shell is not full and `open_shell` is "refuse".
    """
    levels = shells(lattice, np.asarray(twist, float), count)
    sizes = np.cumsum([len(shell) for shell in levels])
    if count and count not in sizes and open_shell == "refuse":
        last = int(np.searchsorted(sizes, count))
        below = sizes[last - 1] if last else 0
        raise ConfigError(
            f"{count} electrons of one spin leave a shell of plane waves open at twist "
            f"{[round(float(x), 6) for x in twist]}",
            where=f"{where}, key 'open_shell'",
            expected=f"a closed shell: {below} or {sizes[last]} electrons of this spin",
            remedy="change the number of electrons or the twist, or set open_shell: ordered",
        )
    return np.concatenate(levels)[:count]


def paired(waves: np.ndarray, twist: np.ndarray) -> np.ndarray | None:
    """Returns the waves as k = 0 if there, one of each pair +-k, the same again; else None.

    Args:
        waves: (n, 3) integers of the occupied waves.
        twist: (3,) fractions of the reciprocal vectors.
    """
    doubled = 2 * waves + np.round(2 * np.asarray(twist, float)).astype(int)
    if not np.allclose(doubled, 2 * (waves + twist), atol=1e-9):
        return None
    known = {tuple(d) for d in doubled}
    if any(tuple(-d) not in known for d in doubled):
        return None
    single = waves[~doubled.any(axis=1)]
    first = waves[[tuple(d) > tuple(-d) for d in doubled]]
    return np.concatenate([single, first, first])

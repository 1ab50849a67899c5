"""Supercells: L = S @ a with an integer matrix S, its translations and the k-points it folds."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.system.geometry import Geometry


def supercell_matrix(value: Any, *, where: str) -> np.ndarray:
    """Returns the (3, 3) integer matrix S of a `supercell` key.

    Args:
        value: Three integers (the diagonal) or three rows of three.
        where: File and key, for error messages.

    Raises:
        ConfigError: Wrong shape, not integer, singular, or left-handed.
    """
    expected = "three positive integers, or a 3 x 3 integer matrix with positive determinant"
    try:
        matrix = np.array(value, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape not in ((3,), (3, 3)):
        raise ConfigError(
            f"the supercell is {value}",
            where=where,
            expected=expected,
            remedy="e.g. supercell: [2, 1, 1]",
        )
    if not np.all(np.isfinite(matrix)) or np.any(matrix != np.round(matrix)):
        raise ConfigError(
            f"the supercell {value} is not made of integers",
            where=where,
            expected=expected,
            remedy="a cell repeats a whole number of times",
        )
    matrix = np.round(np.diag(matrix) if matrix.ndim == 1 else matrix).astype(int)
    if n_cells(matrix) <= 0:
        kind = "singular" if n_cells(matrix) == 0 else "left-handed"
        raise ConfigError(
            f"the supercell {value} is {kind}: its determinant is {n_cells(matrix)}",
            where=where,
            expected=expected,
            remedy="choose independent rows"
            if kind == "singular"
            else "swap two rows or change the sign of one",
        )
    return matrix


def n_cells(S: np.ndarray) -> int:
    """Returns the number of primitive cells in the supercell, det S."""
    return int(S[0] @ np.cross(S[1], S[2]))


def translations(S: np.ndarray) -> np.ndarray:
    """Returns the primitive lattice translations inside the supercell.

    Those integer n for which n @ a lies in the half-open cell spanned by L = S @ a, sorted
    by their coordinates along L; the origin comes first.

    Returns:
        (n_cells, 3) integers, in units of the primitive lattice vectors.
    """
    low, high = np.minimum(S, 0).sum(0), np.maximum(S, 0).sum(0)
    box = itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
    points = np.array(list(box), dtype=int)
    along = points @ _adjugate(S)  # n_cells times the coordinates along L, exactly
    inside = np.all((along >= 0) & (along < n_cells(S)), axis=1)
    points, along = points[inside], along[inside]
    return points[np.lexsort(along.T[::-1])]


def expand(geometry: Geometry, S: np.ndarray) -> Geometry:
    """Returns the supercell of a geometry.

    Atoms are ordered *cell by cell*: all atoms of the primitive cell at `translations(S)[0]`
    in their order, then those of the next translation. Orbitals unfold in this order.
    An open geometry is its own and only cell.
    """
    if not geometry.periodic:
        return geometry
    shifts = translations(S) @ geometry.lattice
    positions = (shifts[:, None] + geometry.positions[None]).reshape(-1, 3)
    background = geometry.background * n_cells(S)
    return Geometry(geometry.symbols * n_cells(S), positions, S @ geometry.lattice, background)


def folded_kpoints(S: np.ndarray) -> np.ndarray:
    """Returns the k-points of the primitive cell that are reciprocal vectors of the supercell.

    With B = inv(S)^T b they are m @ inv(S)^T for integer m: the points where exp(i k.L) = 1
    for every supercell vector, one per primitive cell.

    Returns:
        (n_cells, 3) fractions of the primitive reciprocal vectors in (-1/2, 1/2], Gamma first.
    """
    return centred(translations(S.T) @ _adjugate(S.T) / n_cells(S))


def twist_in_primitive(S: np.ndarray, twist: Any) -> np.ndarray:
    """Returns twist(s) (..., 3), fractions of supercell reciprocal vectors, in the primitive ones.

    k = twist @ B = (twist @ inv(S)^T) @ b; the result is not folded into the zone.
    """
    return np.asarray(twist, dtype=float) @ _adjugate(S).T / n_cells(S)


def centred(frac: np.ndarray) -> np.ndarray:
    """Returns fractions moved by integers into (-1/2, 1/2], up to rounding errors of 1e-10."""
    return frac - np.ceil(np.round(frac - 0.5, 10))


def _adjugate(S: np.ndarray) -> np.ndarray:
    """Returns the integer matrix det(S) inv(S)."""
    return np.stack([np.cross(S[1], S[2]), np.cross(S[2], S[0]), np.cross(S[0], S[1])], axis=1)

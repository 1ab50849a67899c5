"""Matrices of crystals between k-points and lattice translations.

H(k) = sum_R exp(i k.R) H(R), H(R) = (1/K) sum_k exp(-i k.R) H(k) with the Bloch sums of PySCF,
phi_k(r) = sum_R exp(i k.R) phi(r - R). A mesh of K points knows H(R) up to the translations of
its supercell: of equivalent R each pair of atoms is given the shortest, ties share. At the points
of the mesh that changes nothing; between them it is the usual interpolation (N. Marzari et al.,
Rev. Mod. Phys. 84, 1419 (2012), section VI).
"""

from __future__ import annotations

import itertools

import numpy as np

TIE_BOHR = 1e-6
"""Distances that differ by less are equal."""


def phases(kpoints: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns (K, M) exp(i k.R) of k-points (K, 3), 1/bohr, and translations (M, 3), bohr."""
    return np.exp(1j * kpoints @ vectors.T)


def translations(mesh: tuple[int, ...] | np.ndarray) -> np.ndarray:
    """Returns (K, 3) integers, one of each class of translations that a mesh tells apart."""
    return np.array(list(itertools.product(*(range(n) for n in mesh))), int)


def to_translations(matrices: np.ndarray, kpoints: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns (M, n, n) complex H(R) from H(k) (K, n, n) on a regular mesh.

    Args:
        matrices: H(k).
        kpoints: (K, 3) 1/bohr.
        vectors: (M, 3) bohr, lattice translations.
    """
    factor = phases(kpoints, vectors).conj().T / len(kpoints)
    return np.tensordot(factor, matrices, axes=1)


def to_kpoints(matrices: np.ndarray, kpoints: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns (K, n, n) H(k) at any k-points from H(R) (M, n, n)."""
    return np.tensordot(phases(kpoints, vectors), matrices, axes=1)


def shortest(
    matrices: np.ndarray,
    cells: np.ndarray,
    mesh: np.ndarray,
    lattice: np.ndarray,
    positions: np.ndarray,
    atoms: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Moves the block of every pair of atoms to the shortest of its equivalent translations.

    Args:
        matrices: (K, n, n) real H(R), one R per class.
        cells: (K, 3) those R, integers.
        mesh: (3,) points of the mesh along each reciprocal vector.
        lattice: (3, 3) rows, bohr.
        positions: (A, 3) bohr.
        atoms: (n,) the atom of each orbital.

    Returns:
        (H(R), R): (M, n, n) and (M, 3) integers; R and -R are both there.
    """
    apart = positions[None] - positions[:, None]  # r_j - r_i
    wraps = np.array(list(itertools.product((-2, -1, 0, 1), repeat=3))) * np.asarray(mesh)
    found: dict[tuple[int, ...], np.ndarray] = {}
    for block, cell in zip(matrices, cells, strict=True):
        images = cell + wraps
        length = np.linalg.norm((images @ lattice)[:, None, None] + apart, axis=-1)
        nearest = length < length.min(axis=0) + TIE_BOHR
        share = nearest / nearest.sum(axis=0)
        for image, part in zip(images, share, strict=True):
            if part.any():
                place = found.setdefault(tuple(map(int, image)), np.zeros_like(block))
                place += part[atoms[:, None], atoms] * block
    order = sorted(found)
    return np.array([found[cell] for cell in order]), np.array(order, int)


def reach(lattice: np.ndarray, mesh: np.ndarray) -> float:
    """Returns the distance below which a mesh tells all blocks apart, bohr.

    Half of the shortest translation of its supercell.
    """
    supercell = np.asarray(mesh)[:, None] * lattice
    combinations = np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)))
    length = np.linalg.norm(combinations @ supercell, axis=-1)
    return float(length[length > 0].min()) / 2


def pairs(
    lattice: np.ndarray, positions: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns all pairs of atoms (i in the home cell, j in cell R) closer than `cutoff`.

    Args:
        lattice: (..., 3, 3) rows, bohr; several geometries of one crystal share their pairs.
        positions: (..., A, 3) bohr.
        cutoff: bohr.

    Returns:
        (E,) i, (E,) j and (E, 3) integers R, sorted; with (i, j, R) comes (j, i, -R).
    """
    lattice = np.asarray(lattice).reshape(-1, 3, 3)
    positions = np.asarray(positions).reshape(len(lattice), -1, 3)
    count = positions.shape[1]
    apart = positions[:, None] - positions[:, :, None]  # (G, i, j, 3)
    heights = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=1)
    most = np.ceil((cutoff + np.abs(apart).sum(-1).max()) / heights.min(axis=0)).astype(int)
    cells = np.array(list(itertools.product(*(range(-n, n + 1) for n in most))), int)
    rows, columns, chosen = [], [], []
    for cell in cells:
        vectors = apart + (cell @ lattice)[:, None, None]
        near = np.linalg.norm(vectors, axis=-1).min(axis=0) < cutoff
        if not cell.any():
            near &= ~np.eye(count, dtype=bool)
        i, j = np.nonzero(near)
        rows.append(i)
        columns.append(j)
        chosen.append(np.broadcast_to(cell, (len(i), 3)))
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(chosen)


def opposite(rows: np.ndarray, columns: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Returns (E,) the number of the pair (j, i, -R) of each pair (i, j, R)."""
    places = {
        (int(i), int(j), *map(int, cell)): number
        for number, (i, j, cell) in enumerate(zip(rows, columns, cells, strict=True))
    }
    return np.array(
        [
            places[int(j), int(i), *map(int, -cell)]
            for i, j, cell in zip(rows, columns, cells, strict=True)
        ],
        int,
    )

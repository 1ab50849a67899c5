"""Unfolding: orbitals of the primitive cell at k-points as orbitals of the simulation cell.

The coefficients of the atoms in the cell at T are those of the first cell times exp(i k.T),
over sqrt(number of cells).
"""

from __future__ import annotations

import itertools
import logging

import numpy as np

from engine.errors import DataError
from engine.io.mean_field import MeanField
from engine.system.system import System

log = logging.getLogger(__name__)

CLOSED = 1e-4
"""Deviation of projector eigenvalues from one up to which real orbitals span the same space."""


def translations(mean_field: MeanField, system: System, S: np.ndarray) -> np.ndarray:
    """Returns (A, 3): by how much each atom is shifted from its counterpart in the mean field.

    All are lattice vectors of the primitive cell plus one constant, which only changes the
    phase of an orbital as a whole.
    """
    positions = np.asarray(system.positions, dtype=float)
    cells, rest = divmod(len(positions), len(mean_field.positions))
    if rest or tuple(mean_field.symbols) * cells != tuple(system.symbols):
        raise DataError(
            f"the mean field has atoms {' '.join(mean_field.symbols)}",
            where="mean field",
            expected=f"a primitive cell of {' '.join(system.symbols)}",
            remedy="run the mean field again",
        )
    shifts = positions - np.tile(mean_field.positions, (cells, 1))
    moves = shifts - shifts[0]
    if system.cell.periodic:
        frac = moves @ np.linalg.inv(system.cell.lattice) @ np.asarray(S)
        moves = (frac - np.round(frac)) @ np.linalg.solve(np.asarray(S, float), system.cell.lattice)
    if np.abs(moves).max() > 1e-3:
        raise DataError(
            "the mean field has its atoms in other places",
            where="mean field",
            expected="the structure of the system file",
            remedy="run the mean field again",
        )
    return shifts


def unfold(
    mean_field: MeanField, spin: int, count: int, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns coefficients (n_s, ao of the simulation cell), k-points (n_s, 3), energies (n_s,)."""
    k, band = np.nonzero(mean_field.occupation[spin])
    if len(k) != count:
        raise DataError(
            f"{len(k)} occupied orbitals of spin {spin}",
            where="mean field",
            expected=f"{count}, the particles of the species",
            remedy="run the mean field again",
        )
    phases = _phases(mean_field, shifts)[k]
    coefficients = mean_field.coeff[spin][k, :, band]
    cells = len(shifts) // len(mean_field.positions)
    return (
        phases * np.tile(coefficients, cells),
        mean_field.kpoints[k],
        mean_field.energy[spin][k, band],
    )


def first_zone(kpoints: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Returns the shortest equivalent of each k-point (n, 3) of a primitive lattice, 1/bohr."""
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    frac = kpoints @ np.linalg.inv(reciprocal)
    box = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    candidates = (frac - np.round(frac))[:, None] + box
    length = np.linalg.norm(candidates @ reciprocal, axis=-1)
    tied = length < length.min(axis=1, keepdims=True) + 1e-7
    # On the zone's boundary any rule does, as long as rounding errors do not decide.
    rank = np.where(tied, candidates @ [1.0, 1e-2, 1e-4], -np.inf).argmax(axis=1)
    return candidates[np.arange(len(frac)), rank] @ reciprocal


def _phases(mean_field: MeanField, shifts: np.ndarray) -> np.ndarray:
    """Returns (K, ao of the simulation cell): exp(i k.T) / sqrt(cells) of each basis function."""
    atoms = len(mean_field.positions)
    cells = len(shifts) // atoms
    one = np.concatenate(
        [[s.atom] * ((2 * s.angular + 1) * s.coefficients.shape[1]) for s in mean_field.shells]
    )
    owner = (np.arange(cells)[:, None] * atoms + one).ravel()
    return np.exp(1j * mean_field.kpoints @ (shifts - shifts[0]).T)[:, owner] / np.sqrt(cells)


def real_orbitals(
    coefficients: np.ndarray, energies: np.ndarray, overlap: np.ndarray
) -> np.ndarray:
    """Returns real orthonormal orbitals that span the space of complex ones.

    The projector P on a space closed under complex conjugation is real; its real part has the
    space's orbitals as eigenvectors with eigenvalue one. Within the space they are chosen to
    diagonalise the orbital energies.

    Args:
        coefficients: (n, ao) orthonormal orbitals.
        energies: (n,) their energies.
        overlap: (ao, ao) real overlap matrix.
    """
    values, vectors = np.linalg.eigh(overlap)
    kept = values > 1e-10 * values.max()
    root = vectors[:, kept] * np.sqrt(values[kept])
    orbitals = coefficients @ root
    weights, real = np.linalg.eigh((orbitals.T @ orbitals.conj()).real)
    smallest, real = weights[-len(energies) :].min(), real[:, -len(energies) :]
    if smallest < 1 - CLOSED:
        log.warning(
            "the occupied orbitals are not closed under complex conjugation (smallest "
            "projector eigenvalue %.4f): real orbitals are an approximation to them; complex "
            "ones (number: complex) are exact",
            smallest,
        )
    levels = real.T @ ((orbitals.T * energies) @ orbitals.conj()).real @ real
    canonical = real @ np.linalg.eigh(levels)[1]
    return canonical.T @ (vectors[:, kept] / np.sqrt(values[kept])).T


def supercell_overlap(mean_field: MeanField, shifts: np.ndarray) -> np.ndarray:
    """Returns the overlap (ao, ao) of the simulation cell's basis functions at zero twist.

    C^H S C = 1 gives each k-point's S from its coefficients, which are complete.
    """
    phases = _phases(mean_field, shifts)
    cells = len(shifts) // len(mean_field.positions)
    total = 0.0
    for phase, block in zip(phases, mean_field.coeff[0], strict=True):
        inverse = np.linalg.pinv(block)
        waves = np.tile(inverse, cells) * phase.conj()
        total = total + waves.conj().T @ waves
    return total.real

"""From a predicted Hamiltonian to physics: one diagonalisation, one Fock matrix, no iterations."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from engine.config import MeanFieldConfig
from engine.mean_field.pyscf_labels import dipole, molecular_field
from engine.system.geometry import Geometry

DEPENDENT = 1e-8
"""Smaller eigenvalues of the overlap are left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class Orbitals:
    """Orbitals of a Hamiltonian; m of them, n basis functions in PySCF's order.

    Attributes:
        levels: (m,) hartree.
        coeff: (n, m) orthonormal.
        density: (n, n) both spins.
    """

    levels: np.ndarray
    coeff: np.ndarray
    density: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Physics:
    """What follows from a Hamiltonian of a molecule.

    Attributes:
        orbitals: Of the Hamiltonian as it was given.
        energy: Functional at their density, hartree.
        forces: (A, 3) Hellmann-Feynman and Pulay with these orbitals, hartree / bohr; None where
            they were not asked for.
        dipole: (3,) e bohr.
        residual: Root mean square of F D S - S D F between orthonormal functions, F the Fock
            matrix of the density, hartree.
    """

    orbitals: Orbitals
    energy: float
    forces: np.ndarray | None
    dipole: np.ndarray
    residual: float


def diagonalise(hamiltonian: np.ndarray, overlap: np.ndarray, occupied: int) -> Orbitals:
    """Solves H C = S C e and occupies the lowest orbitals twice."""
    values, vectors = np.linalg.eigh(overlap)
    kept = values > DEPENDENT
    root = vectors[:, kept] / np.sqrt(values[kept])
    levels, rotated = np.linalg.eigh(root.T @ hamiltonian @ root)
    coeff = root @ rotated
    lowest = coeff[:, :occupied]
    return Orbitals(levels, coeff, 2 * lowest @ lowest.T)


def commutator(fock: np.ndarray, density: np.ndarray, overlap: np.ndarray) -> float:
    """Returns the root mean square of F D S - S D F between symmetrically orthonormal functions."""
    values, vectors = np.linalg.eigh(overlap)
    kept = values > DEPENDENT
    root = vectors[:, kept] / np.sqrt(values[kept]) @ vectors[:, kept].T
    gradient = root @ (fock @ density @ overlap - overlap @ density @ fock) @ root
    return float(np.sqrt(np.mean(gradient**2)))


def shared(overlap: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Returns the least share of an orbital filled in one density that another fills, 0..1.

    Args:
        overlap: (n, n).
        one: (n, n) both spins, of doubly filled orbitals.
        other: Alike.
    """
    values, vectors = np.linalg.eigh(overlap)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.conj().T
    p, q = (root @ density @ root / 2 for density in (one, other))
    occupied = round(float(np.trace(p).real))
    return float(np.linalg.eigvalsh(p @ q @ p)[-occupied]) if occupied else 1.0


def physics(
    geometry: Geometry,
    charge: int,
    options: MeanFieldConfig,
    hamiltonian: np.ndarray,
    *,
    with_forces: bool = True,
) -> Physics:
    """Returns energy, forces and moments of a Hamiltonian.

    Args:
        geometry: Open, closed-shell.
        charge: Net charge.
        options: The `mean_field` section.
        hamiltonian: (n, n) in PySCF's order, hartree.
        with_forces: Whether to compute the forces, which cost more than the rest.
    """
    field = molecular_field(geometry, charge, options)
    occupied = field.mol.nelectron // 2
    overlap = field.get_ovlp()
    orbitals = diagonalise(hamiltonian, overlap, occupied)
    density = orbitals.density
    potential = field.get_veff(dm=density)
    fock = np.asarray(field.get_fock(dm=density, vhf=potential))
    return Physics(
        orbitals=orbitals,
        energy=float(field.energy_tot(dm=density, vhf=potential)),
        forces=_forces(field, orbitals, occupied) if with_forces else None,
        dipole=dipole(field, density),
        residual=commutator(fock, density, overlap),
    )


def _forces(field: Any, orbitals: Orbitals, occupied: int) -> np.ndarray:
    occupation = np.where(np.arange(len(orbitals.levels)) < occupied, 2.0, 0.0)
    gradient = field.nuc_grad_method()
    gradient.verbose = 0
    return -np.asarray(gradient.kernel(orbitals.levels, orbitals.coeff, occupation))


def cycles(
    geometry: Geometry, charge: int, options: MeanFieldConfig, start: np.ndarray | str
) -> tuple[int, float]:
    """Returns (SCF iterations, converged energy) from a density, or from PySCF's named guess."""
    field = molecular_field(geometry, charge, options)
    density = field.get_init_guess(key=start) if isinstance(start, str) else start
    energy = field.kernel(dm0=density)
    return int(field.cycles), float(energy)


def guess_hamiltonian(
    geometry: Geometry, charge: int, options: MeanFieldConfig, guess: str
) -> np.ndarray:
    """Returns the Fock matrix of the initial guess that a model corrects, hartree."""
    field = molecular_field(geometry, charge, options)
    return np.asarray(field.get_fock(dm=field.get_init_guess(key=guess)))

"""Labelled sets of crystals: matrices on a mesh of k-points of many geometries."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from engine.io.labels import GeometrySet

SQUARE = ("fock", "overlap", "core", "guess", "density")


@dataclasses.dataclass(frozen=True, eq=False)
class CrystalSet(GeometrySet):
    """G geometries of one crystal; A atoms in the cell, K k-points, n orbitals in PySCF's order.

    Attributes:
        symbols: Of the atoms.
        shells: Symbol -> l of each contracted shell.
        mesh: (3,) k-points along each reciprocal vector, Gamma among them.
        lattice: (G, 3, 3) rows, bohr.
        positions: (G, A, 3) bohr.
        kpoints: (G, K, 3) 1/bohr.
        fock: (G, K, n, n) converged, between the Bloch sums of PySCF, hartree.
        overlap: (G, K, n, n).
        core: (G, K, n, n) hartree.
        guess: (G, K, n, n) Fock matrix of the initial guess, hartree.
        density: (G, K, n, n) both spins.
        occupied: (G, K) doubly occupied orbitals.
        energy: (G,) hartree per cell.
        cycles: (G,) SCF iterations from the initial guess.
        split: (G,) 0 train, 1 validation, 2 test.
        facts: Provenance: material, mean field, guess, pseudopotentials, versions.
    """

    KIND: ClassVar[str] = "crystal_labels"
    UNITS: ClassVar[dict[str, str]] = {
        "lattice": "bohr",
        "positions": "bohr",
        "kpoints": "1/bohr",
        "fock": "hartree",
        "core": "hartree",
        "guess": "hartree",
        "energy": "hartree per cell",
    }
    ARRAYS: ClassVar[tuple[str, ...]] = (
        "lattice",
        "positions",
        "kpoints",
        *SQUARE,
        "occupied",
        "energy",
        "cycles",
        "split",
    )

    symbols: tuple[str, ...]
    shells: dict[str, list[int]]
    mesh: np.ndarray
    lattice: np.ndarray
    positions: np.ndarray
    kpoints: np.ndarray
    fock: np.ndarray
    overlap: np.ndarray
    core: np.ndarray
    guess: np.ndarray
    density: np.ndarray
    occupied: np.ndarray
    energy: np.ndarray
    cycles: np.ndarray
    split: np.ndarray
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write_crystal_labels(path: str | Path, labels: CrystalSet, fingerprint: str) -> None:
    """Writes a set with units and provenance."""
    labels.write(path, fingerprint, {"mesh": list(map(int, labels.mesh))})


def read_crystal_labels(path: str | Path) -> CrystalSet:
    """Reads a set.

    Raises:
        DataError: Missing, damaged, of another kind, or with arrays that do not fit together.
    """
    labels = CrystalSet.read(path, lambda facts: {"mesh": np.array(facts["mesh"], int)})
    count, atoms, points = len(labels.positions), len(labels.symbols), labels.mesh.prod()
    n = sum(2 * l + 1 for s in labels.symbols for l in labels.shells[s])
    wanted = {name: (count, points, n, n) for name in SQUARE}
    wanted |= {"lattice": (count, 3, 3), "positions": (count, atoms, 3)}
    wanted |= {"kpoints": (count, points, 3), "occupied": (count, points), "energy": (count,)}
    labels.require(wanted, str(path), "this mesh and these shells")
    return labels

"""Labelled sets of crystals: matrices on a mesh of k-points of many geometries."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.io import hdf5
from engine.io.labels import SPLITS

KIND = "crystal_labels"
UNITS = {
    "lattice": "bohr",
    "positions": "bohr",
    "kpoints": "1/bohr",
    "fock": "hartree",
    "core": "hartree",
    "guess": "hartree",
    "energy": "hartree per cell",
}
SQUARE = ("fock", "overlap", "core", "guess", "density")
ARRAYS = (
    "lattice",
    "positions",
    "kpoints",
    *SQUARE,
    "occupied",
    "energy",
    "cycles",
    "split",
)


@dataclasses.dataclass(frozen=True, eq=False)
class CrystalSet:
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

    def part(self, name: str) -> CrystalSet:
        """Returns the geometries of "train", "validation" or "test"."""
        chosen = self.split == SPLITS.index(name)
        return dataclasses.replace(self, **{a: getattr(self, a)[chosen] for a in ARRAYS})

    def first(self, count: int | None) -> CrystalSet:
        """Returns the first geometries."""
        return dataclasses.replace(self, **{a: getattr(self, a)[:count] for a in ARRAYS})


def write_crystal_labels(path: str | Path, labels: CrystalSet, fingerprint: str) -> None:
    """Writes a set with units and provenance."""
    data = {name: np.asarray(getattr(labels, name)) for name in ARRAYS}
    attributes = {
        "symbols": list(labels.symbols),
        "shells": {s: list(map(int, l)) for s, l in labels.shells.items()},
        "mesh": list(map(int, labels.mesh)),
        "facts": dict(labels.facts),
    }
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=UNITS, attributes=attributes)


def read_crystal_labels(path: str | Path) -> CrystalSet:
    """Reads a set.

    Raises:
        DataError: Missing, damaged, of another kind, or with arrays that do not fit together.
    """
    record = hdf5.read(path, KIND)
    facts = record.attributes
    missing = [name for name in ARRAYS if name not in record.data]
    if missing:
        raise DataError(
            f"{', '.join(missing)} missing",
            where=str(path),
            expected="a complete labelled set",
            remedy="delete it and run again",
        )
    labels = CrystalSet(
        symbols=tuple(facts["symbols"]),
        shells=facts["shells"],
        mesh=np.array(facts["mesh"], int),
        facts=facts["facts"],
        **{name: record.data[name] for name in ARRAYS},
    )
    _check_shapes(labels, str(path))
    return labels


def _check_shapes(labels: CrystalSet, where: str) -> None:
    count, atoms = len(labels.positions), len(labels.symbols)
    n, points = sum(2 * l + 1 for s in labels.symbols for l in labels.shells[s]), labels.mesh.prod()
    wanted = {name: (count, points, n, n) for name in SQUARE}
    wanted |= {"lattice": (count, 3, 3), "positions": (count, atoms, 3)}
    wanted |= {"kpoints": (count, points, 3), "occupied": (count, points), "energy": (count,)}
    for name, shape in wanted.items():
        if getattr(labels, name).shape != shape:
            raise DataError(
                f"'{name}' has shape {getattr(labels, name).shape}",
                where=where,
                expected=f"{tuple(map(int, shape))} for this mesh and these shells",
                remedy="make the labels again",
            )

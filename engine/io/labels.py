"""Labelled sets of learned Hamiltonians: matrices, energies and forces of many geometries."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.io import hdf5

KIND = "labels"
UNITS = {
    "positions": "bohr",
    "fock": "hartree",
    "core": "hartree",
    "guess": "hartree",
    "energy": "hartree",
    "forces": "hartree/bohr",
    "dipole": "e bohr",
}
ARRAYS = (
    "positions",
    "fock",
    "overlap",
    "core",
    "guess",
    "density",
    "energy",
    "forces",
    "dipole",
    "cycles",
    "split",
)
SPLITS = ("train", "validation", "test")
"""Names of the numbers in `split`."""


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledSet:
    """G geometries of one molecule; A atoms, n orbitals in PySCF's order.

    Attributes:
        symbols: Of the atoms.
        shells: Symbol -> l of each contracted shell.
        charge: Net charge.
        positions: (G, A, 3) bohr.
        fock: (G, n, n) converged, hartree.
        overlap: (G, n, n).
        core: (G, n, n) hartree.
        guess: (G, n, n) Fock matrix of the initial guess, hartree.
        density: (G, n, n) both spins.
        energy: (G,) hartree.
        forces: (G, A, 3) hartree / bohr.
        dipole: (G, 3) e bohr.
        cycles: (G,) SCF iterations from the initial guess.
        split: (G,) 0 train, 1 validation, 2 test.
        facts: Provenance: material, mean field, guess, versions.
    """

    symbols: tuple[str, ...]
    shells: dict[str, list[int]]
    charge: int
    positions: np.ndarray
    fock: np.ndarray
    overlap: np.ndarray
    core: np.ndarray
    guess: np.ndarray
    density: np.ndarray
    energy: np.ndarray
    forces: np.ndarray
    dipole: np.ndarray
    cycles: np.ndarray
    split: np.ndarray
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def part(self, name: str) -> LabelledSet:
        """Returns the geometries of "train", "validation" or "test"."""
        chosen = self.split == SPLITS.index(name)
        return dataclasses.replace(self, **{a: getattr(self, a)[chosen] for a in ARRAYS})

    def first(self, count: int | None) -> LabelledSet:
        """Returns the first geometries, for learning curves; all with None."""
        return dataclasses.replace(self, **{a: getattr(self, a)[:count] for a in ARRAYS})

    @property
    def occupied(self) -> int:
        """Doubly occupied orbitals."""
        return round(float(np.sum(self.density[0] * self.overlap[0])) / 2)


def write_labels(path: str | Path, labels: LabelledSet, fingerprint: str) -> None:
    """Writes a set with units and provenance."""
    data = {name: np.asarray(getattr(labels, name)) for name in ARRAYS}
    attributes = {
        "symbols": list(labels.symbols),
        "shells": {s: list(map(int, l)) for s, l in labels.shells.items()},
        "charge": int(labels.charge),
        "facts": dict(labels.facts),
    }
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=UNITS, attributes=attributes)


def read_labels(path: str | Path) -> LabelledSet:
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
    labels = LabelledSet(
        symbols=tuple(facts["symbols"]),
        shells=facts["shells"],
        charge=facts["charge"],
        facts=facts["facts"],
        **{name: record.data[name] for name in ARRAYS},
    )
    check_shapes(labels, str(path))
    return labels


def check_shapes(labels: LabelledSet, where: str) -> None:
    """Raises DataError where arrays do not have the shapes of the basis."""
    count, atoms = len(labels.positions), len(labels.symbols)
    n = sum(2 * l + 1 for s in labels.symbols for l in labels.shells[s])
    square = ("fock", "overlap", "core", "guess", "density")
    wanted = {name: (count, n, n) for name in square}
    wanted |= {name: (count, atoms, 3) for name in ("positions", "forces")}
    wanted |= {name: (count,) for name in ("energy", "cycles", "split")}
    for name, shape in wanted.items():
        if getattr(labels, name).shape != shape:
            raise DataError(
                f"'{name}' has shape {getattr(labels, name).shape}",
                where=where,
                expected=f"{shape} for {atoms} atoms with these shells",
                remedy="make the labels again with the basis of the model",
            )

"""Labelled sets of learned Hamiltonians: matrices, energies and forces of many geometries."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from engine.errors import DataError
from engine.io import hdf5

SPLITS = ("train", "validation", "test")
"""Names of the numbers in `split`."""


class GeometrySet:
    """What the sets of molecules and of crystals share; a subclass is a dataclass of its arrays."""

    KIND: ClassVar[str]
    UNITS: ClassVar[dict[str, str]]
    ARRAYS: ClassVar[tuple[str, ...]]
    """With one entry per geometry; the other fields describe all of them."""

    def part(self, name: str) -> Self:
        """Returns the geometries of "train", "validation" or "test"."""
        chosen = self.split == SPLITS.index(name)
        return dataclasses.replace(self, **{a: getattr(self, a)[chosen] for a in self.ARRAYS})

    def first(self, count: int | None) -> Self:
        """Returns the first geometries, for learning curves; all with None."""
        return dataclasses.replace(self, **{a: getattr(self, a)[:count] for a in self.ARRAYS})

    def write(self, path: str | Path, fingerprint: str, own: Mapping[str, Any]) -> None:
        """Writes the set with units and provenance, and what `own` says of all geometries."""
        data = {name: np.asarray(getattr(self, name)) for name in self.ARRAYS}
        attributes = {
            "symbols": list(self.symbols),
            "shells": {s: list(map(int, l)) for s, l in self.shells.items()},
            "facts": dict(self.facts),
            **own,
        }
        hdf5.write(
            path, self.KIND, data, fingerprint=fingerprint, units=self.UNITS, attributes=attributes
        )

    @classmethod
    def read(cls, path: str | Path, own: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Self:
        """Reads a set; `own` makes the other fields of the file's attributes.

        Raises:
            DataError: Missing, damaged, of another kind, or incomplete.
        """
        record = hdf5.read(path, cls.KIND)
        facts = record.attributes
        missing = [name for name in cls.ARRAYS if name not in record.data]
        if missing:
            raise DataError(
                f"{', '.join(missing)} missing",
                where=str(path),
                expected="a complete labelled set",
                remedy="delete it and run again",
            )
        return cls(
            symbols=tuple(facts["symbols"]),
            shells=facts["shells"],
            facts=facts["facts"],
            **own(facts),
            **{name: record.data[name] for name in cls.ARRAYS},
        )

    def require(self, shapes: Mapping[str, tuple[int, ...]], where: str, given: str) -> None:
        """Raises DataError where an array has not the shape that `given` (in words) implies."""
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise DataError(
                    f"'{name}' has shape {getattr(self, name).shape}",
                    where=where,
                    expected=f"{tuple(map(int, shape))} for {given}",
                    remedy="make the labels again with the basis of the model",
                )


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledSet(GeometrySet):
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

    KIND: ClassVar[str] = "labels"
    UNITS: ClassVar[dict[str, str]] = {
        "positions": "bohr",
        "fock": "hartree",
        "core": "hartree",
        "guess": "hartree",
        "energy": "hartree",
        "forces": "hartree/bohr",
        "dipole": "e bohr",
    }
    ARRAYS: ClassVar[tuple[str, ...]] = (
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

    @property
    def occupied(self) -> int:
        """Doubly occupied orbitals."""
        return round(float(np.sum(self.density[0] * self.overlap[0])) / 2)


def write_labels(path: str | Path, labels: LabelledSet, fingerprint: str) -> None:
    """Writes a set with units and provenance."""
    labels.write(path, fingerprint, {"charge": int(labels.charge)})


def read_labels(path: str | Path) -> LabelledSet:
    """Reads a set.

    Raises:
        DataError: Missing, damaged, of another kind, or with arrays that do not fit together.
    """
    labels = LabelledSet.read(path, lambda facts: {"charge": facts["charge"]})
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
    labels.require(wanted, where, f"{atoms} atoms with these shells")

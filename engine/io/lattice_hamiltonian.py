"""The file of a crystal's Hamiltonian in real space: H(R), from which H(k) follows at any k."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.io import hdf5

KIND = "lattice_hamiltonian"
UNITS = {"matrices": "hartree", "correction": "hartree", "lattice": "bohr", "positions": "bohr"}
ARRAYS = ("matrices", "correction", "cells", "lattice", "positions")


@dataclasses.dataclass(frozen=True, eq=False)
class LatticeHamiltonian:
    """H(k) = sum_R exp(i k.R) H(R) between PySCF's Bloch sums; M translations, n orbitals.

    Attributes:
        symbols: Of the atoms in the cell.
        matrices: (M, n, n) real H(R), hartree.
        correction: (M, n, n) the part of it that a model has predicted.
        cells: (M, 3) R, integers.
        lattice: (3, 3) rows, bohr.
        positions: (A, 3) bohr.
        novelty: Distance from the training set of the model that made it; infinite with a pair of
            elements it was not trained on.
        facts: `model` (name), `error_ha` (typical, of an element of `correction`), `guess`, `mesh`
            and `never_seen` (elements and pairs of them that the model was not trained on).
        fingerprint: Of its input.
    """

    symbols: tuple[str, ...]
    matrices: np.ndarray
    correction: np.ndarray
    cells: np.ndarray
    lattice: np.ndarray
    positions: np.ndarray
    novelty: float
    facts: Mapping[str, Any]
    fingerprint: str = ""


def write_hamiltonian(path: str | Path, h: LatticeHamiltonian, fingerprint: str) -> None:
    """Writes a Hamiltonian."""
    data = {name: np.asarray(getattr(h, name)) for name in ARRAYS}
    attributes = {
        "symbols": list(h.symbols),
        "novelty": float(h.novelty),
        "facts": dict(h.facts),
    }
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=UNITS, attributes=attributes)


def read_hamiltonian(path: str | Path) -> LatticeHamiltonian:
    """Reads a Hamiltonian.

    Raises:
        DataError: Missing, damaged, of another kind, or incomplete.
    """
    record = hdf5.read(path, KIND)
    missing = [name for name in ARRAYS if name not in record.data]
    if missing or len(record.data["matrices"]) != len(record.data["cells"]):
        raise DataError(
            f"{', '.join(missing) or 'a translation for each matrix'} missing",
            where=str(path),
            expected="H(R) of a crystal",
            remedy="delete it and run again",
        )
    facts = record.attributes
    return LatticeHamiltonian(
        symbols=tuple(facts["symbols"]),
        novelty=facts["novelty"],
        facts=facts["facts"],
        fingerprint=record.fingerprint,
        **{name: record.data[name] for name in ARRAYS},
    )

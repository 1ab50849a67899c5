"""Hamiltonians of public sets: the SQLite files of QH9 and of the MD17 matrices of SchNOrb.

QH9 (H. Yu et al., NeurIPS 2023): table `data` with rows (id, atoms, charges int32, positions
float64, matrix float64); positions in angstrom in the stable set, in bohr in the dynamic one.
MD17 (K. Schuett et al., Nat. Commun. 2019): tables `nuclear_charges` (one row) and `data` with
columns R, E, F, H, S, C in atomic units, float32 or float64.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.system.geometry import ELEMENTS
from engine.units import LENGTH_UNITS


@dataclasses.dataclass(frozen=True, eq=False)
class Matrices:
    """One geometry of a public set, orbitals in the order of its file.

    Attributes:
        symbols: Of the A atoms.
        positions: (A, 3) bohr.
        fock: (n, n) hartree.
        overlap: (n, n), where the file has it.
        energy: Hartree, where the file has it.
    """

    symbols: tuple[str, ...]
    positions: np.ndarray
    fock: np.ndarray
    overlap: np.ndarray | None = None
    energy: float | None = None


def read_qh9(path: str | Path, unit: str = "angstrom", limit: int = -1) -> Iterator[Matrices]:
    """Yields the molecules of a QH9 file.

    Args:
        path: The SQLite file.
        unit: Of its positions, "angstrom" or "bohr".
        limit: Largest number of rows; all when negative.

    Raises:
        DataError: The file is missing or has another layout.
    """
    for row in _rows(path, "SELECT * FROM data LIMIT ?", limit):
        with _explained(path, "rows (id, atoms, charges, positions, matrix)"):
            _, atoms, charges, positions, matrix = row
            r = np.frombuffer(positions, np.float64).reshape(atoms, 3) * LENGTH_UNITS[unit]
            found = Matrices(_symbols(charges, atoms), r, _square(matrix, np.float64))
        yield found


def read_md17(path: str | Path, limit: int = -1) -> Iterator[Matrices]:
    """Yields the geometries of an MD17 file of matrices.

    Args:
        path: The SQLite file.
        limit: Largest number of rows; all when negative.

    Raises:
        DataError: The file is missing or has another layout.
    """
    with _explained(path, "a row (N, Z) in nuclear_charges"):
        (count, charges) = next(_rows(path, "SELECT N, Z FROM nuclear_charges LIMIT ?", 1))
        symbols = _symbols(charges, count)
    query = "SELECT R, H, S, E FROM data LIMIT ?"
    for positions, fock, overlap, energy in _rows(path, query, limit):
        with _explained(path, "columns R, E, H and S of one floating-point type"):
            kind = {4: np.float32, 8: np.float64}[len(positions) // (3 * count)]
            r = np.frombuffer(positions, kind).reshape(count, 3).astype(float)
            e = np.frombuffer(energy, kind).item() if isinstance(energy, bytes) else float(energy)
            found = Matrices(symbols, r, _square(fock, kind), _square(overlap, kind), e)
        yield found


def _rows(path: str | Path, query: str, limit: int) -> Iterator[tuple]:
    if not Path(path).exists():
        raise DataError("no such file", where=str(path), expected="an SQLite file")
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            yield from connection.execute(query, (limit,))
        except sqlite3.DatabaseError as error:
            raise DataError(
                f"not of this layout: {error}",
                where=str(path),
                expected="the tables of a QH9 or MD17 file",
                remedy="check which of the two the file is",
            ) from error


@contextlib.contextmanager
def _explained(path: str | Path, expected: str) -> Iterator[None]:
    """Says which layout was expected where a row does not have it."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, StopIteration) as error:
        raise DataError(
            f"not of this layout: {error}",
            where=str(path),
            expected=expected,
            remedy="check which of the two the file is, and its version",
        ) from error


def _symbols(charges: bytes, count: int) -> tuple[str, ...]:
    numbers = np.frombuffer(charges, np.int32 if len(charges) == 4 * count else np.int64)
    if len(numbers) != count or numbers.min() < 1:
        raise ValueError(f"{len(numbers)} nuclear charges of {count} atoms")
    return tuple(ELEMENTS[z - 1] for z in numbers)


def _square(blob: bytes, kind: type) -> np.ndarray:
    flat = np.frombuffer(blob, kind).astype(float)
    size = round(len(flat) ** 0.5)
    return flat.reshape(size, size)

"""Labelled sets from the matrices of others: made complete by PySCF, and checked by it.

The order of orbitals, the unit of lengths, the functional and the basis of a public set are
taken on no trust: the density of every stored matrix has to be self-consistent under them, and to
have the stored energy where there is one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence

import numpy as np

from engine.config import MeanFieldConfig
from engine.errors import DataError
from engine.io.foreign_labels import Matrices
from engine.io.labels import LabelledSet
from engine.mean_field import pyscf_labels, pyscf_predicted
from engine.system.geometry import Geometry

log = logging.getLogger(__name__)

AGREES_HA = 2e-5
"""Largest commutator residual of a matrix under the convention that is right, hartree: below that
of B3LYP's matrix under its other definition (5e-5 for water), above that of single precision."""
SAME_ENERGY_HA = 1e-3
"""Grids of integration and fits move energies by less, definitions of a functional by more."""

ORDERS = {
    "pyscf": {1: (0, 1, 2)},
    "rising": {1: (2, 0, 1)},
    "zero-first": {1: (1, 2, 0), 2: (4, 2, 0, 1, 3), 3: (6, 4, 2, 0, 1, 3, 5)},
}
"""Name -> l -> where each of PySCF's components stands in a file. `rising`: m = -l..l also for
l = 1 (y, z, x); `zero-first`: m = 0, 1, -1, 2, -2 (ORCA, Psi4)."""


def adopt(
    records: Iterable[Matrices], options: MeanFieldConfig, guess: str, split: Sequence[int]
) -> LabelledSet:
    """Returns the labelled set of one molecule's geometries.

    Args:
        records: Of one molecule, atoms in one order.
        options: Functional and basis the set is of.
        guess: Initial guess that a model is to correct.
        split: 0, 1 or 2 for train, validation, test of each record.

    Raises:
        DataError: A matrix that is not self-consistent with these options in any known order, or
            has another energy; a record of another molecule, or with its atoms in another order.
    """
    records = list(records)
    first = Geometry(records[0].symbols, records[0].positions)
    shells = pyscf_labels.shells_of(first, 0, options)
    order = _order(records[0], shells, options)
    log.info("orbitals in the order '%s'", order)
    rows = [
        _completed(record, records[0].symbols, shells, order, options, guess, f"record {number}")
        for number, record in enumerate(records)
    ]
    stacked = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    facts = {
        "material": "".join(records[0].symbols).lower(),
        "mean_field": dataclasses.asdict(options),
        "guess": guess,
        "pyscf_version": pyscf_labels.VERSION,
    }
    return LabelledSet(
        symbols=records[0].symbols,
        shells=shells,
        charge=0,
        split=np.asarray(split),
        facts=facts,
        **stacked,
    )


def reordered(
    matrix: np.ndarray, symbols: Sequence[str], shells: dict[str, list[int]], order: str
) -> np.ndarray:
    """Returns a matrix in PySCF's order of orbitals.

    Args:
        matrix: (n, n) in the order of a file.
        symbols: Of the atoms.
        shells: Symbol -> l of each shell.
        order: One of `ORDERS`.
    """
    index, start = [], 0
    for symbol in symbols:
        for l in shells[symbol]:
            own = ORDERS[order].get(l, range(2 * l + 1))
            index += [start + place for place in own]
            start += 2 * l + 1
    return matrix[np.ix_(index, index)]


def _order(record: Matrices, shells: dict[str, list[int]], options: MeanFieldConfig) -> str:
    """Returns the order in which the matrix is self-consistent."""
    geometry = Geometry(record.symbols, record.positions)
    size = sum(2 * l + 1 for s in record.symbols for l in shells[s])
    if record.fock.shape != (size, size):
        raise DataError(
            f"a matrix of shape {record.fock.shape}",
            where="adopt",
            expected=f"{size} orbitals of basis {options.basis}",
            remedy="set mean_field.basis to that of the set",
        )
    residuals = {
        order: pyscf_predicted.physics(
            geometry,
            0,
            options,
            reordered(record.fock, record.symbols, shells, order),
            with_forces=False,
        ).residual
        for order in ORDERS
    }
    best = min(residuals, key=residuals.get)
    _check_residual(residuals[best], "record 0")
    return best


def _check_residual(residual: float, where: str) -> None:
    if not residual < AGREES_HA:
        raise DataError(
            f"the stored matrix is not self-consistent: commutator residual {residual:.1e}",
            where=f"adopt, {where}",
            expected=f"below {AGREES_HA:g} hartree with the functional, basis and unit of the set",
            remedy="check mean_field (b3lyp or b3lyp5?), the unit of positions, and the file",
        )


def _completed(
    record: Matrices,
    symbols: tuple[str, ...],
    shells: dict[str, list[int]],
    order: str,
    options: MeanFieldConfig,
    guess: str,
    where: str,
) -> dict[str, np.ndarray]:
    if record.symbols != symbols:
        raise DataError(
            f"atoms {' '.join(record.symbols)}",
            where=f"adopt, {where}",
            expected=f"{' '.join(symbols)}, in this order, as in record 0",
            remedy="adopt one molecule at a time",
        )
    geometry = Geometry(record.symbols, record.positions)
    fock = reordered(record.fock, record.symbols, shells, order)
    found = pyscf_predicted.physics(geometry, 0, options, fock)
    _check_residual(found.residual, where)
    if record.energy is not None and not abs(record.energy - found.energy) < SAME_ENERGY_HA:
        raise DataError(
            f"energy {found.energy:.6f} hartree, the file says {record.energy:.6f}",
            where=f"adopt, {where}",
            expected=f"the same to {SAME_ENERGY_HA:g} hartree",
            remedy="check mean_field (b3lyp or b3lyp5?) and the unit of energies",
        )
    field = pyscf_labels.molecular_field(geometry, 0, options)
    start = field.get_init_guess(key=guess)
    return {
        "positions": record.positions,
        "fock": fock,
        "overlap": field.get_ovlp(),
        "core": field.get_hcore(),
        "guess": np.asarray(field.get_fock(dm=start)),
        "density": found.orbitals.density,
        "energy": np.asarray(found.energy),
        "forces": found.forces,
        "dipole": found.dipole,
        "cycles": np.asarray(0),
    }

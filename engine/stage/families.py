"""The energies of a family of materials, method by method. Imports no JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.errors import DataError

Rows = Sequence[Mapping[str, Any]]


class Curve(NamedTuple):
    """What one method says of a family.

    Attributes:
        method: Its name.
        rows: Of `energies.csv`, in the order of the family's points.
        energy: (C,) per primitive cell with the corrections the family asks for, hartree.
        error: (C,) standard errors.
    """

    method: str
    rows: Rows
    energy: np.ndarray
    error: np.ndarray


def curves(family: Mapping[str, Any], rows: Rows) -> list[Curve]:
    """Returns the curve of every method that ran for all materials of a family.

    Raises:
        DataError: There is no such method, or a correction was not measured.
    """
    found = {(row["material"], row["method"]): row for row in rows}
    names = [point["material"] for point in family["points"]]
    methods = [m for (material, m) in found if material == names[0]]
    complete = [m for m in methods if all((name, m) in found for name in names)]
    if not complete:
        raise DataError(
            f"no method has run for all materials of family '{family['name']}'",
            where="energies.csv",
            expected=f"one for {', '.join(names)}",
            remedy="list a common method in the campaign's runs",
        )
    return [
        _curve(method, [found[name, method] for name in names], family["corrections"])
        for method in complete
    ]


def _curve(method: str, rows: Rows, corrections: Sequence[str]) -> Curve:
    pairs = [corrected(row, corrections) for row in rows]
    return Curve(method, rows, *(np.array(column) for column in zip(*pairs, strict=True)))


def corrected(row: Mapping[str, Any], corrections: Sequence[str]) -> tuple[float, float]:
    """Returns an energy per primitive cell with corrections added, and its error, hartree.

    Raises:
        DataError: A correction is not in the table.
    """
    for name in corrections:
        if row.get(f"{name}_correction_ha_per_cell") is None:
            raise DataError(
                f"{row['material']}/{row['method']} has no {name} correction",
                where="energies.csv",
                expected="a run that measures it: observable structure-factor, or an electron gas",
                remedy="see docs/conventions.md, Finite-size effects, or delete the correction",
            )
    value = math.fsum(
        [row["energy_ha_per_cell"], *(row[f"{n}_correction_ha_per_cell"] for n in corrections)]
    )
    errors = {n: row.get(f"{n}_correction_error_ha_per_cell") or 0.0 for n in corrections}
    # One slope of the structure factor makes both: the potential rises with it, the kinetic falls.
    both = errors.pop("potential", 0.0) - errors.pop("kinetic", 0.0)
    return value, math.hypot(row["error_ha_per_cell"], both, *errors.values())

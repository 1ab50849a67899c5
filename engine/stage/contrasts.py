"""Contrasts: sums of the energies of a campaign with coefficients. Imports no JAX.

    D = sum_i c_i E_i,   error^2 = sum_i (c_i error_i)^2

over runs, each of which has its own random numbers: errors of different runs are independent. A
run that enters twice enters once with the sum of its coefficients, so that it correlates with
itself fully.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import DataError
from engine.io import table
from engine.stage.families import corrected

COLUMNS = (
    "contrast",
    "value_ha",
    "error_ha",
    "literature_ha",
    "literature_error_ha",
    "difference_ha",
    "literature_source",
    "target_reached",
    "corrections",
    "terms",
    "description",
)
"""`contrasts.csv`; hartree."""


def write(contrasts: Sequence[Mapping[str, Any]], energies: Path, target: Path) -> None:
    """Writes one row per contrast.

    Args:
        contrasts: From the campaign: name, terms (material, method, coefficient, periodic),
            corrections, literature. Molecules are of finite size and get no corrections.
        energies: `energies.csv`.
        target: `contrasts.csv`.
    """
    rows = {(row["material"], row["method"]): row for row in table.read(energies)}
    table.write(target, [evaluate(contrast, rows) for contrast in contrasts], COLUMNS)


def evaluate(
    contrast: Mapping[str, Any], rows: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns the row of one contrast.

    Raises:
        DataError: A run is missing in the table.
    """
    terms = [(_row(rows, t["material"], t["method"]), t["coefficient"]) for t in contrast["terms"]]
    named = contrast.get("corrections", ())
    pairs = [
        corrected(row, named if term.get("periodic", True) else ())
        for term, (row, _) in zip(contrast["terms"], terms, strict=True)
    ]
    value = math.fsum(c * energy for (energy, _), (_, c) in zip(pairs, terms, strict=True))
    literature = contrast["literature_ha"]
    return {
        "contrast": contrast["name"],
        "value_ha": value,
        "error_ha": math.hypot(*(c * s for (_, s), (_, c) in zip(pairs, terms, strict=True))),
        "literature_ha": literature,
        "literature_error_ha": contrast["literature_error_ha"],
        "difference_ha": None if literature is None else value - literature,
        "literature_source": contrast["literature_source"],
        "target_reached": all(row["target_reached"] for row, _ in terms),
        "corrections": " ".join(contrast.get("corrections", ())),
        "terms": " ".join(f"{c:+g}*{row['material']}/{row['method']}" for row, c in terms),
        "description": contrast["description"],
    }


def _row(rows: Mapping[tuple[str, str], Mapping[str, Any]], material: str, method: str):
    if (material, method) not in rows:
        raise DataError(
            f"no row of {material}/{method}",
            where="energies.csv",
            expected="every run of the campaign",
            remedy="run the rule tables again",
        )
    return rows[material, method]

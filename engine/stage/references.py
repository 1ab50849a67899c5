"""Tables of the Fock space: the network beside established methods on the same integrals.

Energies are averages over the twists, hartree per primitive cell, Madelung term included.
Imports no JAX.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.config import fingerprint
from engine.config.fock import REFERENCES
from engine.errors import DataError
from engine.io import hdf5, table

ENERGIES = tuple(f"{name.replace('-', '_')}_ha_per_cell" for name in REFERENCES)
COLUMNS = (
    "material",
    "method",
    "orbitals",
    "n_orbitals",
    "n_up",
    "n_down",
    "determinants",
    "n_cells",
    "n_twists",
    *ENERGIES,
    "estimator",
    "energy_ha_per_cell",
    "error_ha_per_cell",
    "exact",
    "difference_ha_per_cell",
    "fingerprint",
)
"""`references.csv`; `exact` names what the difference is taken to: fci, else dmrg."""
FAMILY_COLUMNS = ("family", "along", "x", *COLUMNS)
"""`families.csv`."""


def write_row(
    sections: Mapping[str, Any],
    *,
    references: Sequence[Path],
    results: Sequence[Path],
    energy: Path,
    target: Path,
) -> None:
    """Writes the row of one run.

    Args:
        sections: "twists" with their weights, in the order of the files.
        references: reference.h5 of every twist.
        results: result.h5 of every twist.
        energy: `energy.csv` of the run.
        target: `references.csv` of the run.
    """
    records = [hdf5.read(path, "reference") for path in references]
    estimators = {hdf5.read(path, "energy").attributes["estimator"] for path in results}
    weights = [twist["weight"] for twist in sections["twists"]]
    (run,) = table.read(energy)
    facts = records[0].attributes
    row = {name: run[name] for name in COLUMNS if name in run}
    row |= {name: facts[name] for name in COLUMNS if name in facts}
    row |= {f"{n.replace('-', '_')}_ha_per_cell": _mean(records, n, weights) for n in REFERENCES}
    row |= {"estimator": " + ".join(sorted(estimators))} | _difference(row)
    row["fingerprint"] = fingerprint(dict(sections), [r.fingerprint for r in records])
    table.write(target, [row], COLUMNS)


def _mean(records: Sequence[hdf5.Record], name: str, weights: Sequence[float]) -> float | None:
    """Returns the average over the twists per primitive cell; None where one has no number."""
    values = [float(record.data.get(f"{name}_ha", math.nan)) for record in records]
    if not all(map(math.isfinite, values)):
        return None
    total = math.fsum(w * x for w, x in zip(weights, values, strict=True)) / math.fsum(weights)
    return total / records[0].attributes["n_cells"]


def _difference(row: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("fci", "dmrg"):
        if (exact := row[f"{name}_ha_per_cell"]) is not None:
            return {
                "exact": name,
                "difference_ha_per_cell": row["energy_ha_per_cell"] - exact,
            }
    return {"exact": None, "difference_ha_per_cell": None}


def write_families(families: Sequence[Mapping[str, Any]], references: Path, target: Path) -> None:
    """Writes the rows of every family, in the order of their coordinate.

    Raises:
        DataError: A material of a family has no row.
    """
    rows = table.read(references)
    lines = []
    for family in families:
        for point in family["points"]:
            found = [row for row in rows if row["material"] == point["material"]]
            if not found:
                raise DataError(
                    f"no row of {point['material']}",
                    where=str(references),
                    expected="every material of the family",
                    remedy="run the rule references again",
                )
            head = {"family": family["name"], "along": family["along"], "x": point["x"]}
            lines += [head | row for row in found]
    table.write(target, lines, FAMILY_COLUMNS)

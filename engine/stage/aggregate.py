"""From evaluations at single twists to one row per material and method.

E = sum_k w_k E_k with error sqrt(sum_k w_k^2 sigma_k^2): twists are boundary conditions, not
samples of one population, so they are never pooled. Their scatter
sqrt(sum_k w_k (E_k - E)^2) is a finite-size diagnostic and has a column of its own.
All energies of the tables are hartree per primitive cell. Imports no JAX.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import fingerprint
from engine.errors import DataError
from engine.io import hdf5, table
from engine.stage.averages import spread, weighted_error, weighted_mean
from engine.stage.finite_size import corrections

logger = logging.getLogger(__name__)

CORRECTION_COLUMNS = (
    "twist_correction_ha_per_cell",
    "potential_correction_ha_per_cell",
    "potential_correction_error_ha_per_cell",
    "kinetic_correction_ha_per_cell",
    "kinetic_correction_error_ha_per_cell",
)
"""What is to be added to the energy of a finite cell; never part of `energy_ha_per_cell`."""

GAIN_COLUMNS = ("training_gain_ha_per_cell", "training_gain_error_ha_per_cell")
"""What the second half of the training gained; where E falls as 1/step, as much is left."""

ENERGY_COLUMNS = (
    "material",
    "method",
    "n_atoms",
    "n_electrons",
    "n_cells",
    "n_twists",
    "energy_ha_per_cell",
    "error_ha_per_cell",
    "twist_spread_ha_per_cell",
    "literature_ha_per_cell",
    "literature_error_ha_per_cell",
    "difference_ha_per_cell",
    "literature_source",
    "literature_what",
    "kinetic_ha_per_cell",
    "potential_ha_per_cell",
    "mean_field_ha_per_cell",
    *CORRECTION_COLUMNS,
    "variance_ha2",
    "tau_steps",
    "samples",
    "target_reached",
    *GAIN_COLUMNS,
    "hours",
    "device_hours",
    "device",
    "attempts",
    "job_ids",
    "hosts",
    "seed",
    "engine_version",
    "commit",
    "fingerprint",
)
"""`energy.csv` and `energies.csv`."""

TWIST_COLUMNS = (
    "material",
    "method",
    "twist",
    "frac_1",
    "frac_2",
    "frac_3",
    "spin",
    "weight",
    "energy_ha_per_cell",
    "error_ha_per_cell",
    "error_blocking_ha_per_cell",
    "kinetic_ha_per_cell",
    "potential_ha_per_cell",
    "mean_field_ha_per_cell",
    "imag_ha_per_cell",
    "variance_ha2",
    "tau_steps",
    "samples",
    "steps",
    "walkers",
    "acceptance",
    "target_reached",
    *GAIN_COLUMNS,
    "hours",
    "seconds",
    "pretrain_compile_s",
    "vmc_compile_s",
    "evaluate_compile_s",
    "device_hours",
    "device",
    "attempts",
    "job_ids",
    "hosts",
    "fingerprint",
)
"""`twists.csv`."""

COUNTS = ("n_atoms", "n_electrons", "n_cells")
"""Of the primitive cell, and how often it is repeated."""

PER_CELL = {
    "energy": "energy_ha",
    "error": "error_ha",
    "error_blocking": "error_blocking_ha",
    "kinetic": "kinetic_ha",
    "potential": "potential_ha",
    "mean_field": "mean_field_ha",
    "imag": "imag_ha",
}
"""Columns divided by the number of primitive cells -> attributes of a result file."""

COPIED = (
    "variance_ha2",
    "tau_steps",
    "samples",
    "steps",
    "walkers",
    "acceptance",
    "seconds",
    "device",
)
"""Attributes of a result file that are columns as they are."""


def twist_average(
    sections: Mapping[str, Any],
    *,
    results: Sequence[Path],
    training: Sequence[Sequence[Path]],
    energy: Path,
    twists: Path,
    zone: Sequence[Path] = (),
) -> None:
    """Writes the twist-averaged row and the rows of its twists.

    Args:
        sections: material, method, n_atoms, n_electrons, n_cells, twists, literature, seed;
            zone where there are files of it.
        results: One evaluation per twist, in the order of `sections["twists"]`.
        training: Per twist, the traces of pretrain and vmc; their time is part of the cost.
        energy: `energy.csv`, one row.
        twists: `twists.csv`, one row per twist.
        zone: Mean-field files in the order of `sections["zone"]`.

    Raises:
        DataError: A file is missing, damaged or of another twist.
    """
    records = [hdf5.read(path, "energy") for path in results]
    rows = [
        _twist_row(sections, point, record, path)
        for point, record, path in zip(sections["twists"], records, results, strict=True)
    ]
    for row, record, paths in zip(rows, records, training, strict=True):
        traces = [hdf5.read(path, "trace") for path in paths]
        row["hours"] = (row["seconds"] + math.fsum(map(_seconds, traces))) / 3600
        row |= _compile_times(*traces, record) | _spent([*traces, record])
        row |= _gain(traces[-1], sections["n_cells"])
    systematic = any(r.attributes.get("estimator") == "extrapolated" for r in records)
    row = average(rows, sections, systematic)
    fields = [hdf5.read(path, "mean_field") for path in zone]
    row |= corrections(records, rows, sections) | _origin(records)
    if fields:
        mean = _zone_average(sections["zone"], fields, zone)
        row["twist_correction_ha_per_cell"] = mean - row["mean_field_ha_per_cell"]
    row["fingerprint"] = fingerprint(sections, [r.fingerprint for r in [*records, *fields]])
    table.write(twists, rows, TWIST_COLUMNS)
    table.write(energy, [row], ENERGY_COLUMNS)
    logger.info(
        "%s %s: %.6f +- %.6f hartree per cell over %d twists",
        row["material"],
        row["method"],
        row["energy_ha_per_cell"],
        row["error_ha_per_cell"],
        len(rows),
    )


def _origin(records: Sequence[hdf5.Record]) -> dict[str, str]:
    """Returns what made the evaluations."""
    return {
        name: _common(record.attributes.get(name, "") for record in records)
        for name in ("engine_version", "commit")
    }


def average(
    rows: Sequence[Mapping[str, Any]], sections: Mapping[str, Any], systematic: bool = False
) -> dict[str, Any]:
    """Returns the columns of `energy.csv` that follow from the rows of the twists.

    Systematic errors (those of extrapolated energies) share their sign: they add up linearly.
    """
    weights = [row["weight"] for row in rows]
    columns = {
        name: [row[f"{name}_ha_per_cell"] for row in rows]
        for name in ("energy", "kinetic", "potential", "mean_field")
    }
    mean = {
        name: None if None in values else weighted_mean(values, weights)
        for name, values in columns.items()
    }
    energies, errors = columns["energy"], [row["error_ha_per_cell"] for row in rows]
    return {
        **{k: sections[k] for k in (*COUNTS, "material", "method", "seed")},
        "n_twists": len(rows),
        **{f"{name}_ha_per_cell": value for name, value in mean.items()},
        "error_ha_per_cell": (weighted_mean if systematic else weighted_error)(errors, weights),
        "twist_spread_ha_per_cell": spread(energies, weights),
        **_literature(sections.get("literature"), sections, mean["energy"]),
        "variance_ha2": weighted_mean([row["variance_ha2"] for row in rows], weights),
        "tau_steps": max(row["tau_steps"] for row in rows),
        "samples": sum(row["samples"] for row in rows),
        "target_reached": all(row["target_reached"] for row in rows),
        **_average_gain(rows, weights),
        "hours": math.fsum(row["hours"] for row in rows),
        "device_hours": math.fsum(row["device_hours"] for row in rows),
        "attempts": sum(row["attempts"] for row in rows),
        **{name: _words(row[name] for row in rows) for name in ("job_ids", "hosts")},
        "device": _common(row["device"] for row in rows),
    }


def _zone_average(
    points: Sequence[Mapping[str, Any]], fields: Sequence[hdf5.Record], paths: Sequence[Path]
) -> float:
    """Returns the mean field per primitive cell, averaged over the points of the zone."""
    for point, record, path in zip(points, fields, paths, strict=True):
        _check_twist(record.data["twist"], point, path)
    energies = [float(record.data["total"]) for record in fields]
    return weighted_mean(energies, [point["weight"] for point in points])


def collect(tables: Sequence[Path], target: Path, columns: Sequence[str]) -> None:
    """Joins tables of the same columns into one."""
    table.write(target, [row for path in tables for row in table.read(path)], columns)


def _twist_row(
    sections: Mapping[str, Any], point: Mapping[str, Any], record: hdf5.Record, path: Path
) -> dict[str, Any]:
    found = record.attributes
    missing = sorted({*PER_CELL.values(), *COPIED, "converged", "twist"} - found.keys())
    if missing:
        raise DataError(
            f"lacks {', '.join(missing)}",
            where=str(path),
            expected="an evaluation by this version",
            remedy="delete it and run again",
        )
    _check_twist(found["twist"], point, path)
    return {
        "material": sections["material"],
        "method": sections["method"],
        "twist": f"{point['index']:03d}",
        **{f"frac_{i + 1}": x for i, x in enumerate(point["frac"])},
        "spin": point["spin"],
        "weight": point["weight"],
        **{
            f"{name}_ha_per_cell": None if found[key] is None else found[key] / sections["n_cells"]
            for name, key in PER_CELL.items()
        },
        **{name: found[name] for name in COPIED},
        "target_reached": bool(found["converged"]),
        "fingerprint": record.fingerprint,
    }


def _check_twist(found: Sequence[float], point: Mapping[str, Any], path: Path) -> None:
    if max(abs(a - b) for a, b in zip(found, point["frac"], strict=True)) > 1e-9:
        raise DataError(
            f"is at twist {[float(x) for x in found]}",
            where=str(path),
            expected=f"twist {point['frac']}",
            remedy="delete it and run again",
        )


def _seconds(trace: hdf5.Record) -> float:
    """Returns the wall time of a stage from its trace; 0 where it had no steps."""
    return float(np.sum(trace.data.get("seconds", 0.0)))


def _spent(records: Sequence[hdf5.Record]) -> dict[str, Any]:
    """Returns device hours, attempts, batch jobs and hosts of the stages of a twist."""
    facts = [record.attributes for record in records]
    return {
        "device_hours": math.fsum(fact.get("device_hours", 0.0) for fact in facts),
        "attempts": sum(fact.get("attempts", 0) for fact in facts),
        **{name: _words(fact.get(name, "") for fact in facts) for name in ("job_ids", "hosts")},
    }


def _gain(vmc: hdf5.Record, n_cells: int) -> dict[str, float | None]:
    """Returns the columns of what training gained in its second half."""
    found = [vmc.attributes.get(name) for name in ("gain_ha", "gain_error_ha")]
    return {
        name: None if value is None else value / n_cells
        for name, value in zip(GAIN_COLUMNS, found, strict=True)
    }


def _average_gain(
    rows: Sequence[Mapping[str, Any]], weights: Sequence[float]
) -> dict[str, float | None]:
    values, errors = ([row.get(name) for row in rows] for name in GAIN_COLUMNS)
    if None in values:
        return dict.fromkeys(GAIN_COLUMNS)
    means = weighted_mean(values, weights), weighted_error(errors, weights)
    return dict(zip(GAIN_COLUMNS, means, strict=True))


def _words(texts: Iterable[str]) -> str:
    """Returns the distinct words of several texts in order of appearance."""
    return " ".join(dict.fromkeys(word for text in texts for word in text.split()))


def _compile_times(
    pretrain: hdf5.Record, vmc: hdf5.Record, evaluate: hdf5.Record
) -> dict[str, float | None]:
    """Returns the seconds each stage spent tracing, compiling and loading programs."""
    stages = {"pretrain": pretrain, "vmc": vmc, "evaluate": evaluate}
    return {
        f"{name}_compile_s": record.attributes.get("compile_seconds")
        for name, record in stages.items()
    }


def _literature(
    entry: Mapping[str, Any] | None, sections: Mapping[str, Any], energy: float
) -> dict[str, Any]:
    if entry is None:
        return {}
    counted = {"ha_per_atom": "n_atoms", "ha_per_electron": "n_electrons"}.get(entry["unit"])
    factor = sections[counted] if counted else 1
    error = entry.get("uncertainty")
    return {
        "literature_ha_per_cell": factor * entry["value"],
        "literature_error_ha_per_cell": None if error is None else factor * error,
        "difference_ha_per_cell": energy - factor * entry["value"],
        "literature_source": entry["source"],
        "literature_what": entry.get("what", ""),
    }


def _common(values) -> str:
    """Returns the distinct values, joined: one, unless twists ran in different places."""
    return " + ".join(sorted({str(v) for v in values}))

"""The phase diagram of an electron gas: energies relative to two determinants, and the order.

The determinants are those of the liquid (plane waves, which every run has as its mean field) and of
the crystal (Gaussians on the sites: a run with `reference: localised`). Their energies are known
without sampling. Everything per electron. Imports no JAX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.io import table
from engine.io.observables import Observable
from engine.stage.observables import read

COLUMNS = (
    "family",
    "along",
    "x",
    "material",
    "method",
    "n_electrons",
    "energy_ha_per_electron",
    "error_ha_per_electron",
    "plane_waves_ha_per_electron",
    "localised_ha_per_electron",
    "to_plane_waves_ha_per_electron",
    "to_localised_ha_per_electron",
    "order_parameter",
    "order_parameter_error",
    "target_reached",
)
"""`phases.csv`."""


def by_run(
    runs: Sequence[Sequence[Any]], paths: Sequence[Path]
) -> tuple[dict[tuple[str, str], list[Path]], dict[tuple[str, str], list[float]]]:
    """Returns the files and the weights of the twists of every run.

    Args:
        runs: (material, method, weight) of each file.
        paths: The files.
    """
    files: dict[tuple[str, str], list[Path]] = {}
    weights: dict[tuple[str, str], list[float]] = {}
    for (material, method, weight), path in zip(runs, paths, strict=True):
        files.setdefault((material, method), []).append(Path(path))
        weights.setdefault((material, method), []).append(weight)
    return files, weights


def write(
    families: Sequence[Mapping[str, Any]],
    results: Mapping[tuple[str, str], Sequence[Path]],
    weights: Mapping[tuple[str, str], Sequence[float]],
    energies: Path,
    target: Path,
) -> None:
    """Writes one row per point and method of every family.

    Args:
        families: Of the campaign, those of analysis phases; their points name the runs.
        results: Run (material, method) -> result.h5 of its twists.
        weights: Run -> weights of its twists.
        energies: `energies.csv`.
        target: `phases.csv`.
    """
    rows = {(row["material"], row["method"]): row for row in table.read(energies)}
    lines = []
    for family in families:
        for point in family["points"]:
            for method in point["methods"]:
                run = (point["material"], method)
                order = _order(results[run], weights[run])
                lines.append(_line(family, point, rows, method) | order)
    table.write(target, lines, COLUMNS)


def _line(family, point, rows, method: str) -> dict[str, Any]:
    row = rows[point["material"], method]
    n = row["n_electrons"]
    energy, liquid, crystal = row["energy_ha_per_cell"], *_determinants(family, point, rows)
    return {
        "family": family["name"],
        "along": family["along"],
        "x": point["x"],
        "material": point["material"],
        "method": method,
        "n_electrons": n,
        "energy_ha_per_electron": energy / n,
        "error_ha_per_electron": row["error_ha_per_cell"] / n,
        "plane_waves_ha_per_electron": liquid / n,
        "localised_ha_per_electron": crystal / n,
        "to_plane_waves_ha_per_electron": (energy - liquid) / n,
        "to_localised_ha_per_electron": (energy - crystal) / n,
        "target_reached": row["target_reached"],
    }


def _determinants(family, point, rows) -> tuple[float, float]:
    """Returns the energies of the plane-wave and of the Gaussian determinant, hartree per cell."""
    found = {}
    for method, kind in point["methods"].items():
        found[kind] = rows[point["material"], method]["mean_field_ha_per_cell"]
    missing = [kind for kind in ("scf", "localised") if kind not in found]
    if missing:
        raise DataError(
            f"{point['material']} of family '{family['name']}' has no run with "
            f"reference: {missing[0]}",
            where="energies.csv",
            expected="a determinant of plane waves, one of Gaussians on the sites, and a network",
            remedy="list methods slater and crystal beside the network",
        )
    return found["scf"], found["localised"]


def _order(paths: Sequence[Path], weights: Sequence[float]) -> dict[str, Any]:
    found = read(paths, weights).get("order_parameter")
    if found is None:
        return {"order_parameter": None, "order_parameter_error": None}
    return {
        "order_parameter": float(found.value),
        "order_parameter_error": float(found.error),
    }


def pair_density(
    paths: Sequence[Path], weights: Sequence[float] | None = None
) -> Observable | None:
    """Returns the density around one electron, averaged over twists; None if not measured."""
    return read(paths, [1.0] * len(paths) if weights is None else weights).get("pair_density")


def plane(density: Observable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the plane through the electron along the first two lattice vectors, for a picture.

    Returns:
        (n, n) density in units of its average over the cell, and the (3,) two lattice vectors.
    """
    value = density.value[0]
    box = density.axes["box"][0]
    return value[:, :, 0] / value.mean(), box[1], box[2]

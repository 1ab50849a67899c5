"""Extrapolation to infinite size over a family of simulation cells. Imports no JAX.

    E_N = E + sum_p c_p / N^p,

energies per particle (atom; electron of a gas) of cells with N particles, weighted by their errors.
The error of E has two parts: the statistical one of the fit, enlarged where the points scatter
more than their errors say, and that of the model, by how much E moves when the smallest cell is
left out, or the highest power where every point is needed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.io import table
from engine.stage.families import Curve, curves
from engine.stage.fits import least_squares

COLUMNS = (
    "family",
    "method",
    "material",
    "n_particles",
    "energy_ha_per_particle",
    "error_ha_per_particle",
    "size_correction_ha_per_particle",
    "size_correction_error_ha_per_particle",
    "limit_ha_per_particle",
    "limit_error_ha_per_particle",
    "limit_statistical_ha_per_particle",
    "limit_model_ha_per_particle",
    "chi2_per_degree",
    "powers",
    "corrections",
    "literature_ha_per_particle",
    "literature_source",
    "target_reached",
)
"""`sizes.csv`: one row per cell; the columns of the limit are the same in all rows of a curve."""


class Limit(NamedTuple):
    """The energy of the infinite system; statistical and model error; hartree per particle."""

    value: float
    statistical: float
    model: float
    chi2_per_degree: float | None

    @property
    def error(self) -> float:
        """Both parts of the error together."""
        return math.hypot(self.statistical, self.model)


def extrapolate(n: np.ndarray, energy: np.ndarray, error: np.ndarray, powers) -> Limit:
    """Returns the limit of infinite size.

    Args:
        n: (C,) particles of each cell, more cells than powers.
        energy: (C,) per particle, hartree.
        error: (C,) standard errors; zero for values without.
        powers: Of 1/N.
    """
    powers = sorted(powers)
    whole = _fit(n, energy, error, powers)
    larger = np.asarray(n) > np.min(n)
    if len(set(np.asarray(n)[larger])) > len(powers):
        other = _fit(n[larger], energy[larger], error[larger], powers)
    else:
        other = _fit(n, energy, error, powers[:-1])
    moved = abs(whole.value[0] - other.value[0])
    return Limit(
        float(whole.value[0]),
        float(np.sqrt(whole.covariance[0, 0])),
        float(moved),
        whole.chi2_per_degree,
    )


def correction_errors(n: np.ndarray, error: np.ndarray, powers, limit: Limit) -> np.ndarray:
    """Returns the (C,) errors of the limit minus each energy, which is one of those it is made of.

    With E = sum_i w_i E_i the statistical part is that of sum_i (w_i - delta_ic) E_i.
    """
    if not np.all(error > 0):
        return np.full(len(n), limit.error)
    units = np.eye(len(n))
    weights = np.array([_fit(n, unit, error, sorted(powers)).value[0] for unit in units])
    statistical = np.linalg.norm((weights - units) * error, axis=1)
    scale = max(limit.chi2_per_degree or 1.0, 1.0)
    return np.hypot(np.sqrt(scale) * statistical, limit.model)


def fitted(n, energy, error, powers, at: np.ndarray) -> np.ndarray:
    """Returns the fitted energies of cells of `at` particles, for a figure."""
    value = _fit(n, energy, error, sorted(powers)).value
    return sum(c * at ** -float(p) for c, p in zip(value, (0, *sorted(powers)), strict=True))


def _fit(n, energy, error, powers):
    columns = [np.ones(len(n)), *(np.asarray(n, float) ** -p for p in powers)]
    return least_squares(np.stack(columns, axis=1), energy, error)


def write(families: Sequence[Mapping[str, Any]], energies: Path, target: Path) -> None:
    """Writes the rows of every family of cells.

    Args:
        families: Of the campaign, those of analysis size.
        energies: `energies.csv`.
        target: `sizes.csv`.
    """
    rows = table.read(energies)
    lines = [line for f in families for curve in curves(f, rows) for line in _lines(f, curve)]
    table.write(target, lines, COLUMNS)


def _lines(family: Mapping[str, Any], curve: Curve) -> list[dict[str, Any]]:
    size = np.array([_particles(row) for row in curve.rows])
    cells = np.array([row["n_cells"] for row in curve.rows])
    energy, error = (x * cells / size for x in (curve.energy, curve.error))
    limit = extrapolate(size, energy, error, family["powers"])
    errors = correction_errors(size, error, family["powers"], limit)
    shared = {
        "family": family["name"],
        "method": curve.method,
        "limit_ha_per_particle": limit.value,
        "limit_error_ha_per_particle": limit.error,
        "limit_statistical_ha_per_particle": limit.statistical,
        "limit_model_ha_per_particle": limit.model,
        "chi2_per_degree": limit.chi2_per_degree,
        "powers": " ".join(f"{p:g}" for p in family["powers"]),
        "corrections": " ".join(family["corrections"]),
        "literature_ha_per_particle": family["literature"],
        "literature_source": family["literature_source"],
    }
    return [
        shared
        | {
            "material": row["material"],
            "n_particles": int(n),
            "energy_ha_per_particle": float(e),
            "error_ha_per_particle": float(s),
            "size_correction_ha_per_particle": float(limit.value - e),
            "size_correction_error_ha_per_particle": float(d),
            "target_reached": row["target_reached"],
        }
        for row, n, e, s, d in zip(curve.rows, size, energy, error, errors, strict=True)
    ]


def _particles(row: Mapping[str, Any]) -> float:
    """Returns the atoms of the simulation cell, or the electrons of a gas."""
    return row["n_cells"] * (row["n_atoms"] or row["n_electrons"])

"""Equations of state: lattice constant, bulk modulus and their errors. Imports no JAX.

The third-order Birch-Murnaghan energy is a cubic polynomial in x = V^(-2/3),

    E(V) = sum_{k <= 3} c_k x^k,

that of second order a parabola. It is fitted by weighted least squares, so that its coefficients
have a covariance. V0 is where E' = 0,

    B0 = V E'',    B0' = -1 - V E'''/E''    at V0,

which is 4 at second order.

Source: F. Birch, Phys. Rev. 71, 809 (1947).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.errors import DataError
from engine.io import table
from engine.stage.families import Curve, curves
from engine.stage.fits import Fit, least_squares, propagated
from engine.units import BOHR_ANGSTROM, HARTREE_PER_BOHR3_GPA

log = logging.getLogger(__name__)

COLUMNS = (
    "family",
    "method",
    "lattice_constant_bohr",
    "lattice_constant_error_bohr",
    "lattice_constant_angstrom",
    "lattice_constant_error_angstrom",
    "bulk_modulus_gpa",
    "bulk_modulus_error_gpa",
    "bulk_modulus_derivative",
    "bulk_modulus_derivative_error",
    "minimum_ha_per_cell",
    "minimum_error_ha_per_cell",
    "n_points",
    "chi2_per_degree",
    "order",
    "corrections",
    "literature_lattice_constant",
    "literature_source",
    "target_reached",
)
"""`equations_of_state.csv`."""


class State(NamedTuple):
    """A fitted equation of state; every quantity as (value, standard error).

    Attributes:
        volume: Of the minimum, bohr^3.
        energy: There, hartree.
        bulk_modulus: Hartree / bohr^3.
        derivative: Of the bulk modulus in the pressure.
        fit: The coefficients.
    """

    volume: tuple[float, float]
    energy: tuple[float, float]
    bulk_modulus: tuple[float, float]
    derivative: tuple[float, float]
    fit: Fit


def birch_murnaghan(
    volume: np.ndarray, energy: np.ndarray, error: np.ndarray, order: int = 3
) -> State:
    """Fits energies of at least order + 1 volumes.

    Args:
        volume: (C,) bohr^3 per cell.
        energy: (C,) hartree per cell.
        error: (C,) standard errors; zero for values without.
        order: 3, or 2.

    Raises:
        DataError: The fit has no minimum within the volumes, or next to them.
    """
    unit = float(np.mean(volume))
    x = (np.asarray(volume) / unit) ** (-2 / 3)
    fit = least_squares(np.vander(x, order + 1, increasing=True), energy, error)
    low, high = x.min() - 0.5 * np.ptp(x), x.max() + 0.5 * np.ptp(x)
    if _minimum(fit.value, low, high) is None:
        raise DataError(
            "the energies have no minimum",
            where="equation of state",
            expected="volumes on both sides of the minimum",
            remedy="add lattice constants beyond the lowest energy, or sample longer",
        )
    value, deviation = propagated(lambda c: _quantities(c, low, high, unit), fit)
    return State(*(tuple(map(float, pair)) for pair in zip(value, deviation, strict=True)), fit)


def _minimum(c: np.ndarray, low: float, high: float) -> float | None:
    """Returns x of the minimum of sum c_k x^k between two bounds."""
    if not np.all(np.isfinite(c)):
        return None
    slope = np.polynomial.Polynomial(c).deriv()
    roots = slope.roots()
    roots = roots[np.abs(roots.imag) < 1e-12].real
    good = [r for r in roots if low <= r <= high and slope.deriv()(r) > 0]
    return float(good[0]) if good else None


def _quantities(c: np.ndarray, low: float, high: float, unit: float) -> np.ndarray:
    """Returns V0, E0, B0 and B0'; with v = V / unit, E(v) has derivatives by the chain rule."""
    x = _minimum(c, low, high)
    if x is None:
        return np.full(4, np.nan)
    v, powers = x**-1.5, -2 / 3 * np.arange(len(c))
    terms = c * x ** np.arange(len(c))
    second = np.sum(terms * powers * (powers - 1)) / v**2
    third = np.sum(terms * powers * (powers - 1) * (powers - 2)) / v**3
    return np.array([v * unit, terms.sum(), v * second / unit, -1 - v * third / second])


def write(families: Sequence[Mapping[str, Any]], energies: Path, target: Path) -> None:
    """Writes one row per family and method.

    Args:
        families: Of the campaign, those of analysis equation-of-state; their points have volumes.
        energies: `energies.csv`.
        target: `equations_of_state.csv`.
    """
    rows = table.read(energies)
    table.write(target, [line for family in families for line in _lines(family, rows)], COLUMNS)


def _lines(family: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows of the methods that have an equation of state.

    Raises:
        DataError: None has.
    """
    lines, failed = [], None
    for curve in curves(family, rows):
        try:
            lines.append(row_of(family, curve))
        except DataError as error:
            log.warning("family %s, method %s: no row: %s", family["name"], curve.method, error)
            failed = error
    if failed and not lines:
        raise failed
    return lines


def row_of(family: Mapping[str, Any], curve: Curve) -> dict[str, Any]:
    """Returns the row of one curve."""
    volume = np.array([point["volume_bohr3"] for point in family["points"]])
    state = birch_murnaghan(volume, curve.energy, curve.error, family["order"])
    first = family["points"][0]
    unit = 1 / BOHR_ANGSTROM if family["along"].endswith("_angstrom") else 1.0
    a = unit * first["x"] * (state.volume[0] / first["volume_bohr3"]) ** (1 / 3)
    a_error = a * state.volume[1] / state.volume[0] / 3
    return {
        "family": family["name"],
        "method": curve.method,
        "lattice_constant_bohr": a,
        "lattice_constant_error_bohr": a_error,
        "lattice_constant_angstrom": a * BOHR_ANGSTROM,
        "lattice_constant_error_angstrom": a_error * BOHR_ANGSTROM,
        "bulk_modulus_gpa": state.bulk_modulus[0] * HARTREE_PER_BOHR3_GPA,
        "bulk_modulus_error_gpa": state.bulk_modulus[1] * HARTREE_PER_BOHR3_GPA,
        "bulk_modulus_derivative": state.derivative[0],
        "bulk_modulus_derivative_error": state.derivative[1] if family["order"] > 2 else None,
        "minimum_ha_per_cell": state.energy[0],
        "minimum_error_ha_per_cell": state.energy[1],
        "n_points": len(volume),
        "chi2_per_degree": state.fit.chi2_per_degree,
        "order": family["order"],
        "corrections": " ".join(family["corrections"]),
        "literature_lattice_constant": family["literature"],
        "literature_source": family["literature_source"],
        "target_reached": all(row["target_reached"] for row in curve.rows),
    }

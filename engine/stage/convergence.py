"""When a stage has done what was asked of it: training that gains nothing more, a small error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.estimator.statistics import estimate

OUTLIER = 8.0
"""Energies are clipped at this many median absolute deviations from their median."""

FEWEST = 40
"""Steps without which a gain has no error to be told from."""

Columns = Mapping[str, np.ndarray]


def gain(energies: np.ndarray) -> tuple[float, float]:
    """Returns how much the energy fell over the second half of (T,) steps, and the error of it.

    Twice the difference between the means of the third and of the last quarter: the slope of a
    straight line times half of the steps. Where E falls as 1/step, as much is left to gain.
    """
    half = energies[len(energies) // 2 :]
    middle = np.median(half)
    width = OUTLIER * np.median(np.abs(half - middle))
    half = np.clip(half, middle - width, middle + width)
    third, last = (estimate(part) for part in np.array_split(half, 2))
    return 2 * (third.mean - last.mean), 2 * float(np.hypot(third.error, last.error))


def gained(energies: np.ndarray) -> dict[str, float | None]:
    """Returns the attributes of a trace that say what training still gained; None of few steps."""
    fell, error = gain(energies) if len(energies) >= FEWEST else (None, None)
    return {"gain_ha": fell, "gain_error_ha": error}


def trained(columns: Columns, step: int, min_steps: int | None, accuracy_ha: float) -> str:
    """Returns why training may end: gain (or loss) and its error are within the accuracy."""
    if min_steps is None or step < max(min_steps, FEWEST):
        return ""
    fell, error = gain(columns["energy_ha"])
    if not abs(fell) + error <= accuracy_ha:
        return ""
    return f"converged: the second half of the steps gained {1e3 * fell:.2g}({1e3 * error:.2g}) mHa"


def measured(columns: Columns, step: int, min_steps: int, target_ha: float) -> str:
    """Returns why sampling may end: the error that was asked for is reached."""
    if step < min_steps or estimate(columns["streams_ha"]).error > target_ha:
        return ""
    return "target error reached"


def steps_needed(columns: Columns, step: int, min_steps: int, target_ha: float) -> int:
    """Returns how many steps sampling will take, from the error of those so far."""
    error = estimate(columns["streams_ha"]).error
    return max(min_steps, round(step * (error / target_ha) ** 2))


def sampled_energy(columns: Columns, walkers: int, target_ha: float) -> dict[str, Any]:
    """Returns the scalars of a sampled energy, as result files have them.

    Args:
        columns: Numbers of every step; energies in hartree per simulation cell.
        walkers: Walkers of a step.
        target_ha: The error that was asked for.
    """
    energy, kinetic = estimate(columns["streams_ha"]), estimate(columns["kinetic_ha"])
    steps = len(columns["energy_ha"])
    return {
        "energy_ha": energy.mean,
        "error_ha": energy.error,
        "error_blocking_ha": energy.error_blocking,
        "tau_steps": energy.tau,
        "variance_ha2": float(columns["variance_ha2"].mean()),
        "imag_ha": float(columns["imag_ha"].mean()),
        "kinetic_ha": kinetic.mean,
        "kinetic_error_ha": kinetic.error,
        "acceptance": float(columns["acceptance"].mean()),
        "steps": steps,
        "walkers": walkers,
        "samples": steps * walkers,
        "converged": bool(energy.error <= target_ha),
    }

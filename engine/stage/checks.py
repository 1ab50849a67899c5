"""What stops a running stage: NaN, zero variance, a runaway energy."""

from __future__ import annotations

import numpy as np

from engine.errors import NumericalError
from engine.stage.loop import FLUSH

ZERO_VARIANCE = 1e-14


def check_energy(columns: dict[str, np.ndarray], mean_field_ha: float, runaway_ha: float) -> None:
    """Raises NumericalError where the last rows of a trace cannot be a healthy run.

    Args:
        columns: Trace with `energy_ha` and `variance_ha2`.
        mean_field_ha: Mean-field energy of the simulation cell, hartree.
        runaway_ha: Largest believable distance from it, hartree.
    """
    energy, variance = columns["energy_ha"][-FLUSH:], columns["variance_ha2"][-FLUSH:]
    check_finite(energy, "the local energy")
    check_finite(variance, "the variance of the local energy")
    if np.all(variance < ZERO_VARIANCE):
        raise NumericalError(
            "the variance of the local energy is zero",
            expected="walkers that move and an ansatz that is not exact",
            remedy="look at the acceptance; lower sampler.width_bohr",
        )
    if abs(np.median(energy) - mean_field_ha) > runaway_ha:
        raise NumericalError(
            f"runaway energy {np.median(energy):.4f} Ha",
            expected=f"within {runaway_ha} Ha of the mean field, {mean_field_ha:.4f} Ha",
            remedy="lower optimizer.learning_rate or raise optimizer.damping",
        )


def check_finite(values: np.ndarray, what: str) -> None:
    """Raises NumericalError where `values` holds NaN or infinity."""
    if not np.all(np.isfinite(values)):
        raise NumericalError(
            f"{what} is not finite",
            expected="finite numbers",
            remedy="lower optimizer.learning_rate, raise optimizer.damping or use "
            "precision: float64",
        )

"""What stops a running stage: NaN, zero variance, a runaway energy."""

from __future__ import annotations

import numpy as np

from engine.errors import NumericalError
from engine.stage.loop import FLUSH

ZERO_VARIANCE = 1e-14
UPWARD = 20.0


def check_energy(
    columns: dict[str, np.ndarray], mean_field_ha: float, n_particles: int, runaway_ha: float
) -> None:
    """Raises NumericalError where the last rows of a trace cannot be a healthy run.

    Correlation lowers the energy by tenths of a hartree per particle at most, while a bad start
    may be far above: the upper limit is `UPWARD` times the lower one.

    Args:
        columns: Trace with `energy_ha` and `variance_ha2`, per simulation cell.
        mean_field_ha: Mean-field energy of the simulation cell, hartree.
        n_particles: Particles in the simulation cell.
        runaway_ha: Largest believable distance below it, hartree per particle.
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
    low = mean_field_ha - n_particles * runaway_ha
    high = mean_field_ha + n_particles * runaway_ha * UPWARD
    if not low < np.median(energy) < high:
        raise NumericalError(
            f"runaway energy {np.median(energy):.4f} Ha",
            expected=f"between {low:.4f} and {high:.4f} Ha, about the mean field",
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

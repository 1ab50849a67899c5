"""Observables: a registry of estimators behind `make_estimators`."""

from __future__ import annotations

from collections.abc import Callable

from engine.config import EvaluateConfig
from engine.estimator import (
    contact_density,
    density,
    dipole,
    electron_contact,
    momentum_distribution,
    nuclear_contact,
    order_parameter,
    pair_correlation,
    pair_density,
    pair_momentum,
    polarisation,
    spin_squared,
    structure_factor,
)
from engine.system.system import System
from engine.types import Estimator, Wavefunction

ESTIMATORS: dict[str, Callable[[EvaluateConfig, Wavefunction, System], Estimator]] = {
    "contact-density": contact_density.make,
    "density": density.make,
    "dipole": dipole.make,
    "electron-contact": electron_contact.make,
    "momentum-distribution": momentum_distribution.make,
    "nuclear-contact": nuclear_contact.make,
    "order-parameter": order_parameter.make,
    "pair-correlation": pair_correlation.make,
    "pair-density": pair_density.make,
    "pair-momentum": pair_momentum.make,
    "polarisation": polarisation.make,
    "spin-squared": spin_squared.make,
    "structure-factor": structure_factor.make,
}
"""Name in `evaluate.observables` -> factory."""


def make_estimators(
    options: EvaluateConfig, wavefunction: Wavefunction, system: System
) -> dict[str, Estimator]:
    """Returns the estimators a method asks for, by name.

    Args:
        options: The `evaluate` section.
        wavefunction: The trial state.
        system: Concrete arrays: counts and the shape of the cell are taken from it.
    """
    return {name: ESTIMATORS[name](options, wavefunction, system) for name in options.observables}

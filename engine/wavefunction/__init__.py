"""Trial wavefunctions: a registry of ansaetze behind `make_wavefunction`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.config import AnsatzConfig
from engine.errors import ConfigError, nearest
from engine.system.system import System
from engine.types import Reference, Wavefunction
from engine.wavefunction import ferminet, psiformer, slater, transferable

ANSAETZE: dict[str, Callable[..., Wavefunction]] = {
    "slater": slater.make,
    "ferminet": ferminet.make,
    "psiformer": psiformer.make,
    "transferable": transferable.make,
}
"""Name in `methods/*.yaml` -> factory."""


def make_wavefunction(
    ansatz: AnsatzConfig,
    system: System,
    reference: Reference,
    *,
    complex_orbitals: bool,
    dtype: Any,
    reference_orbitals: Callable,
) -> Wavefunction:
    """Returns the trial state a method asks for.

    Args:
        ansatz: The method's section.
        system: Any twist of the material: only counts and shapes are taken from it.
        reference: Its mean field.
        complex_orbitals: Whether orbitals are complex; real ones need a zero twist.
        dtype: Of the parameters, float32 or float64; walkers have the same.
        reference_orbitals: (reference, walker, system) -> per species (n, n_s) mean-field
            orbitals at all particles; what the bare determinant is made of.

    Raises:
        ConfigError: The name is not registered, or the section does not fit the ansatz.
    """
    if ansatz.name not in ANSAETZE:
        raise ConfigError(
            f"unknown ansatz '{ansatz.name}'",
            where="section 'ansatz', key 'name'",
            expected=nearest(ansatz.name, ANSAETZE),
        )
    return ANSAETZE[ansatz.name](
        ansatz,
        system,
        reference,
        complex_orbitals=complex_orbitals,
        dtype=dtype,
        reference_orbitals=reference_orbitals,
    )

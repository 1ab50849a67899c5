"""The section `evaluate` of a method in real space: sampling, and what is measured."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.config.schema import key
from engine.errors import ConfigError, nearest

OBSERVABLES = {
    "contact-density": None,
    "density": None,
    "dipole": False,
    "electron-contact": None,
    "momentum-distribution": None,
    "nuclear-contact": None,
    "order-parameter": True,
    "pair-correlation": None,
    "pair-density": True,
    "pair-momentum": None,
    "polarisation": True,
    "spin-squared": None,
    "structure-factor": True,
}
"""Name -> whether it needs a periodic cell (True) or an open one (False)."""


ANNIHILATION = frozenset({"contact-density", "pair-momentum"})
"""Observables of electrons and positrons that meet."""


def check_steps(least: int, limit: int, where: str) -> None:
    """Raises ConfigError where the least number of steps is above the limit."""
    if least > limit:
        raise ConfigError(
            f"min_steps {least} is above max_steps {limit}",
            where=f"{where}, key 'min_steps'",
            expected=f"at most max_steps, {limit}",
            remedy="lower min_steps or raise max_steps",
        )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Sampling with frozen parameters."""

    target_error_ha_per_cell: float = key(
        "statistical error to reach, per primitive cell", default=5e-4, unit="hartree", above=0
    )
    min_steps: int = key("least number of steps", default=200, at_least=1)
    max_steps: int = key("limit on steps", default=5000, at_least=1)
    checkpoint_steps: int = key(
        "steps between saved states and error checks", default=100, at_least=1
    )
    observables: list[str] = key(
        f"what to measure beside the energy: {', '.join(OBSERVABLES)}", default=[]
    )
    bins: int = key("bins of radial distributions", default=60, at_least=1)
    grid: int = key("points of the density along each lattice vector", default=16, at_least=1)
    sites: list[int] = key(
        "crystal of order-parameter: sites along each lattice vector of the simulation cell, one "
        "per electron",
        default=[1, 1, 1],
    )
    wave_shells: int = key(
        "shells of reciprocal vectors of structure factor and momentum distribution",
        default=8,
        at_least=1,
    )

    def with_sites(self, structure: Any) -> EvaluateConfig:
        """Returns the section with the crystal of a structure, where it names none itself."""
        sites = getattr(structure, "sites", None)
        if sites is None or self.sites != EvaluateConfig().sites:
            return self
        return dataclasses.replace(self, sites=sites)

    def check_material(
        self,
        periodic: bool,
        positrons: int,
        where: str,
        *,
        nuclei: bool = True,
        lone_pair: bool = False,
    ) -> None:
        """Raises ConfigError where an observable does not exist in this kind of matter.

        Args:
            periodic: A crystal, or a molecule.
            positrons: How many there are.
            where: Campaign, material and method, for error messages.
            nuclei: Whether there are some.
            lone_pair: Whether there is nothing but an electron and a positron.
        """
        for name in ANNIHILATION.intersection(self.observables):
            if not positrons:
                raise ConfigError(
                    f"observable '{name}' without positrons",
                    where=where,
                    expected="a material with positrons beside its electrons",
                    remedy="delete it from the list, or set positrons in the material",
                )
        if not nuclei and "nuclear-contact" in self.observables:
            raise ConfigError(
                "observable 'nuclear-contact' without nuclei",
                where=where,
                expected="a material with atoms",
                remedy="delete it from the list",
            )
        if lone_pair and "pair-momentum" in self.observables:
            raise ConfigError(
                "observable 'pair-momentum' of a lone pair at rest, whose momentum is zero",
                where=where,
                expected="something else that takes up the momentum",
                remedy="delete it from the list",
            )
        for name in self.observables:
            if OBSERVABLES[name] is not None and OBSERVABLES[name] != periodic:
                has, needs = (
                    ("a crystal", "a molecule") if periodic else ("a molecule", "a crystal")
                )
                raise ConfigError(
                    f"observable '{name}' of {has}",
                    where=where,
                    expected=f"it exists for {needs} alone",
                    remedy="delete it from the list, or override the list for this material",
                )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        for i, name in enumerate(self.observables):
            if name not in OBSERVABLES or name in self.observables[:i]:
                raise ConfigError(
                    f"observable '{name}' is {'twice in' if name in OBSERVABLES else 'unknown to'}"
                    " the list",
                    where=f"{where}, key 'observables'",
                    expected=nearest(name, OBSERVABLES),
                )
        check_steps(self.min_steps, self.max_steps, where)

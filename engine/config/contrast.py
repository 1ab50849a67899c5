"""The sections `contrasts` of a campaign: differences of energies."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.config.family import CORRECTIONS, check_corrections
from engine.config.schema import key
from engine.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class ContrastConfig:
    """A sum of energies per primitive cell with coefficients: binding, cohesive, relative."""

    terms: dict[str, Any] = key(
        "material (or material/method where several methods run) -> coefficient"
    )
    corrections: list[str] = key(
        f"finite-size columns that are added to the energies of crystals and gases first: "
        f"{', '.join(CORRECTIONS)}",
        default=[],
    )
    description: str = key("one line for the table", default="")
    literature_ha: float | None = key("published value", default=None, unit="hartree")
    literature_error_ha: float | None = key(
        "its uncertainty", default=None, unit="hartree", at_least=0
    )
    literature_source: str = key("where it is published", default="")

    def check(self, where: str) -> None:
        """Raises ConfigError where a coefficient is no number, or there is none."""
        check_corrections(self.corrections, where)
        numbers = [c for c in self.terms.values() if isinstance(c, int | float)]
        good = [c for c in numbers if not isinstance(c, bool) and c]
        if not good or len(good) < len(self.terms):
            raise ConfigError(
                f"found {self.terms}",
                where=f"{where}, key 'terms'",
                expected="lines of the form material: coefficient, a number other than zero",
                remedy="e.g. terms: {lih: 1, lih-positron: -1}",
            )


def resolve(
    contrast: ContrastConfig, runs: dict[str, tuple[str, ...]], where: str
) -> dict[tuple[str, str], float]:
    """Returns run (material, method) -> coefficient; a run named twice has the sum.

    Raises:
        ConfigError: A term is not among the runs, or leaves open which method is meant.
    """
    found: dict[tuple[str, str], float] = {}
    for name, coefficient in contrast.terms.items():
        material, _, method = str(name).partition("/")
        methods = runs.get(material, ())
        chosen = [method] if method in methods else ([] if method else list(methods))
        if len(chosen) != 1:
            named = [f"{m}/{k}" for m, known in runs.items() for k in known]
            raise ConfigError(
                f"'{name}' is {'none' if not chosen else 'several'} of the runs",
                where=f"{where}, key 'terms'",
                expected=f"one of {', '.join(f'{material}/{m}' for m in methods) or named}",
                remedy="name a run of this campaign",
            )
        run = (material, chosen[0])
        found[run] = found.get(run, 0.0) + float(coefficient)
    return found

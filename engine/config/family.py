"""The sections `families` of a campaign: materials along one coordinate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.config.schema import key
from engine.errors import ConfigError, nearest

ANALYSES = ("methods", "size", "equation-of-state", "phases")
FEWEST = {"methods": 2, "phases": 2}
"""Materials that an analysis without a fit needs at least."""
NUMBERS = {2: "two", 3: "three", 4: "four"}
CORRECTIONS = ("twist", "potential", "kinetic")


@dataclasses.dataclass(frozen=True)
class FamilyConfig:
    """Materials that differ in one number: a potential-energy curve, cells of growing size."""

    materials: list[str] = key("materials of this campaign, two at least")
    along: str = key(
        "key of the structure that varies, e.g. spacing_bohr or a_angstrom, or n_cells, the "
        "primitive cells of the simulation cell; not for analysis size, which goes along 1/N, the "
        "particles of the simulation cell",
        default="",
    )
    analysis: str = key(
        "what is made of the energies: beside established methods on the same integrals (second "
        "quantisation), extrapolated to infinite size, lattice constant and bulk modulus, or an "
        "electron gas relative to its two determinants",
        default="methods",
        choices=ANALYSES,
    )
    powers: list[float] = key("of 1/N in the extrapolation of analysis size", default=[1.0])
    order: int = key(
        "of the energy of Birch and Murnaghan in analysis equation-of-state; 2 holds the pressure "
        "derivative of the bulk modulus at 4, where errors are too large to tell it",
        default=3,
        at_least=2,
        at_most=3,
    )
    corrections: list[str] = key(
        f"finite-size columns that are added first: {', '.join(CORRECTIONS)}", default=[]
    )
    literature: float | None = key("published value of what is fitted, in its unit", default=None)
    literature_source: str = key("where it is published", default="")
    description: str = key("one line for table and figure", default="")

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if bool(self.along) == (self.analysis == "size"):
            raise ConfigError(
                f"along is '{self.along}' in analysis {self.analysis}",
                where=f"{where}, key 'along'",
                expected="no key 'along'" if self.along else "a key of the structure",
            )
        if not self.powers or min(self.powers) <= 0 or len(set(self.powers)) < len(self.powers):
            raise ConfigError(
                f"powers are {self.powers}",
                where=f"{where}, key 'powers'",
                expected="different numbers above 0, e.g. [1] or [1, 2]",
            )
        check_corrections(self.corrections, where)
        fits = self.analysis in ("size", "equation-of-state")
        given = {
            "powers": self.powers != [1.0] and self.analysis != "size",
            "order": self.order != 3 and self.analysis != "equation-of-state",
            "corrections": self.corrections and not fits,
            "literature": self.literature is not None and not fits,
        }
        for name in (name for name, useless in given.items() if useless):
            raise ConfigError(
                f"{name} in analysis {self.analysis}, which does not use it",
                where=f"{where}, key '{name}'",
                expected="no such key",
                remedy="delete it, or choose another analysis",
            )

    @property
    def fewest(self) -> int:
        """How many materials the analysis needs."""
        if self.analysis == "equation-of-state":
            return 1 + self.order
        return 1 + len(self.powers) if self.analysis == "size" else FEWEST[self.analysis]


def check_corrections(corrections: list[str], where: str) -> None:
    """Raises ConfigError where a finite-size column is named that does not exist."""
    for name in corrections:
        if name not in CORRECTIONS or corrections.count(name) > 1:
            raise ConfigError(
                f"corrections are {corrections}",
                where=f"{where}, key 'corrections'",
                expected=f"some of {', '.join(CORRECTIONS)}, each once",
            )


def resolve_family(
    name: str, family: FamilyConfig, structures: Mapping[str, Mapping[str, Any]], where: str
) -> dict[str, Any]:
    """Returns the section with its name and points (material, x), in the order of x.

    Args:
        name: Of the family.
        family: Its section.
        structures: Material of the campaign -> keys of its structure section, and n_cells.
        where: File and key, for error messages.

    Raises:
        ConfigError: A material that does not run, or has no such number.
    """
    if len(family.materials) < family.fewest:
        raise ConfigError(
            f"found {family.materials}",
            where=f"{where}, key 'materials'",
            expected=f"{NUMBERS.get(family.fewest, family.fewest)} at least",
        )
    points = []
    for material in family.materials:
        if family.materials.count(material) > 1:
            raise ConfigError(
                f"'{material}' is listed twice",
                where=f"{where}, key 'materials'",
                expected="each material once",
            )
        if material not in structures:
            raise ConfigError(
                f"'{material}' is none of the materials that run",
                where=f"{where}, key 'materials'",
                expected=nearest(material, structures),
            )
        x = _number(structures[material], family, where) if family.along else None
        points.append({"material": material, "x": x})
    values = [point["x"] for point in points]
    if family.along and len(set(values)) < len(values):
        raise ConfigError(
            f"{family.along} of the materials is {values}",
            where=f"{where}, key 'materials'",
            expected="different numbers",
        )
    return {
        **{k: v for k, v in dataclasses.asdict(family).items() if k != "materials"},
        "name": name,
        "points": sorted(points, key=lambda point: point["x"]) if family.along else points,
    }


def _number(values: Mapping[str, Any], family: FamilyConfig, where: str) -> float:
    numbers = [k for k, v in values.items() if isinstance(v, int | float) and v is not True]
    if family.along not in numbers:
        raise ConfigError(
            f"a structure has no number '{family.along}'",
            where=f"{where}, key 'along'",
            expected=nearest(family.along, numbers),
        )
    return float(values[family.along])

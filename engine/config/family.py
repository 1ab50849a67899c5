"""The sections `families` of a campaign: materials along one coordinate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.config.schema import key
from engine.errors import ConfigError, nearest


@dataclasses.dataclass(frozen=True)
class FamilyConfig:
    """Materials that differ in one number of their structure: a potential-energy curve."""

    along: str = key(
        "key of the structure that varies, e.g. spacing_bohr or a_angstrom, or n_cells, the "
        "primitive cells of the simulation cell"
    )
    materials: list[str] = key("materials of this campaign, two at least")
    description: str = key("one line for table and figure", default="")


def resolve_family(
    name: str, family: FamilyConfig, structures: Mapping[str, Mapping[str, Any]], where: str
) -> dict[str, Any]:
    """Returns name, along, description and the points (material, x), in the order of x.

    Args:
        name: Of the family.
        family: Its section.
        structures: Material of the campaign -> keys of its structure section, and n_cells.
        where: File and key, for error messages.

    Raises:
        ConfigError: A material that does not run, or has no such number.
    """
    if len(family.materials) < 2:
        raise ConfigError(
            f"found {family.materials}", where=f"{where}, key 'materials'", expected="two at least"
        )
    points = []
    for material in family.materials:
        if material not in structures:
            raise ConfigError(
                f"'{material}' is none of the materials that run",
                where=f"{where}, key 'materials'",
                expected=nearest(material, structures),
            )
        points.append({"material": material, "x": _number(structures[material], family, where)})
    return {
        "name": name,
        "along": family.along,
        "description": family.description,
        "points": sorted(points, key=lambda point: point["x"]),
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

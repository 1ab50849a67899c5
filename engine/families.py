"""Families of a campaign: what an analysis needs to know of their materials. Imports no JAX."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from engine.config.family import FamilyConfig, resolve_family
from engine.errors import ConfigError

SHAPE = 1e-6
"""Relative difference up to which volumes go as the cube of the lattice constant."""


def resolve(campaign: Any, name: str, family: FamilyConfig) -> dict[str, Any]:
    """Returns a family with its points.

    Args:
        campaign: An `engine.campaign.Campaign`.
        name: Of the family.
        family: Its section.

    Raises:
        ConfigError: Materials that the analysis cannot be made of.
    """
    where = f"{campaign.path}, key 'families', family '{name}'"
    space = "fock" if family.analysis == "methods" else None
    structures = {
        material: dataclasses.asdict(campaign.material(material).config.structure)
        | {"n_cells": campaign.material(material).n_cells}
        for material, methods in campaign.runs.items()
        if any(space in (None, campaign.space(material, method)) for method in methods)
    }
    found = resolve_family(name, family, structures, where)
    if family.analysis in ("size", "equation-of-state"):
        _check_one_substance(campaign, family, where)
        _check_alike(campaign, family, where)
    if family.analysis == "size":
        _check_sizes(campaign, family, where)
    if family.analysis == "equation-of-state":
        _add_volumes(campaign, found["points"], where)
    if family.analysis == "phases":
        _add_methods(campaign, found["points"], where)
    return found


def _check_one_substance(campaign: Any, family: FamilyConfig, where: str) -> None:
    """Refuses materials that a fit cannot put on one curve."""
    kinds = {m: _kind(campaign.material(m)) for m in family.materials}
    first = family.materials[0]
    for material, kind in kinds.items():
        if kind != kinds[first]:
            raise ConfigError(
                f"'{material}' is {kind}, '{first}' {kinds[first]}",
                where=f"{where}, key 'materials'",
                expected="materials of one substance",
            )
    if not fitted_runs(campaign, family):
        raise ConfigError(
            "no method runs for all materials",
            where=f"{where}, key 'materials'",
            expected="a common method in the campaign's runs",
        )


SIZES = frozenset({"n_atoms", "electrons", "sites"})
"""Keys of a structure that make a simulation cell larger."""
FREE = ("atoms", "file")
"""Kinds of structures whose keys say nothing about what is alike in them."""


def _check_alike(campaign: Any, family: FamilyConfig, where: str) -> None:
    """Refuses materials that differ in more than the size, or the lattice constant."""
    facts = {m: _fixed(campaign.material(m), family) for m in family.materials}
    first = family.materials[0]
    for material, found in facts.items():
        for key in found.keys() | facts[first].keys():
            one, other = found.get(key), facts[first].get(key)
            if one != other:
                raise ConfigError(
                    f"{key} of '{material}' is {one}, of '{first}' {other}",
                    where=f"{where}, key 'materials'",
                    expected=f"materials that differ in {family.along or 'size'} alone",
                )


def _fixed(facts: Any, family: FamilyConfig) -> dict[str, Any]:
    """Returns what the materials of a fit have in common."""
    structure = facts.config.structure
    moves = SIZES if family.analysis == "size" else {family.along}
    keys = {} if structure.kind in FREE else dataclasses.asdict(structure)
    found = {key: value for key, value in keys.items() if key not in moves}
    found |= {name: getattr(facts.config, name) for name in ("charge", "positrons")}
    if family.analysis == "equation-of-state":
        found["n_cells"] = facts.n_cells
        found["twists"] = [(tuple(np.round(t.frac, 9)), round(t.weight, 9)) for t in facts.twists]
    return found


def fitted_runs(campaign: Any, family: FamilyConfig) -> list[tuple[str, str]]:
    """Returns the runs (material, method) of the methods that run for all materials."""
    known = [campaign.runs.get(material, ()) for material in family.materials]
    common = [method for method in known[0] if all(method in methods for methods in known)]
    return [(material, method) for method in common for material in family.materials]


def _kind(facts: Any) -> str:
    """Returns what a material is made of, per smallest unit."""
    counts = {s: facts.symbols.count(s) for s in sorted(set(facts.symbols))}
    unit = math.gcd(*counts.values()) if counts else 1
    formula = "".join(f"{s}{n // unit if n > unit else ''}" for s, n in counts.items())
    return f"{'a crystal' if facts.periodic else 'a molecule'} of {formula or 'electrons'}"


def _check_sizes(campaign: Any, family: FamilyConfig, where: str) -> None:
    """Refuses fewer sizes than the extrapolation has parameters."""
    materials = [campaign.material(m) for m in family.materials]
    sizes = {m.n_cells * m.n_atoms or m.electrons for m in materials}
    if len(sizes) < family.fewest:
        raise ConfigError(
            f"the cells have {', '.join(map(str, sorted(sizes)))} particles",
            where=f"{where}, key 'materials'",
            expected=f"{family.fewest} different numbers at least, for {len(family.powers)} powers",
        )


def _add_volumes(campaign: Any, points: list[dict[str, Any]], where: str) -> None:
    """Adds volume_bohr3 of the primitive cell to each point."""
    for point in points:
        volume = campaign.material(point["material"]).volume_bohr3
        if volume is None:
            raise ConfigError(
                f"'{point['material']}' is a molecule",
                where=f"{where}, key 'materials'",
                expected="crystals",
            )
        point["volume_bohr3"] = volume
    ratio = np.array([point["volume_bohr3"] / point["x"] ** 3 for point in points])
    if np.ptp(ratio) > SHAPE * ratio.max():
        raise ConfigError(
            "the volumes do not go as the cube of the lattice constant",
            where=f"{where}, key 'along'",
            expected="cells of one shape: Birch and Murnaghan's energy is one of uniform strain",
            remedy="leave out layers and chains, which have vacuum beside the lattice constant",
        )


def _add_methods(campaign: Any, points: list[dict[str, Any]], where: str) -> None:
    """Adds the methods in real space with their references to each point."""
    for point in points:
        facts = campaign.material(point["material"])
        methods = {
            method: campaign.method(facts.name, method).reference
            for method in campaign.runs[facts.name]
            if campaign.space(facts.name, method) == "real"
        }
        if not facts.config.is_electron_gas or set(methods.values()) != {"scf", "localised"}:
            raise ConfigError(
                f"'{facts.name}' runs with references {sorted(set(methods.values()))}",
                where=f"{where}, key 'materials'",
                expected="an electron gas that runs with a network, and with a method of "
                "reference: localised",
                remedy="list methods slater, crystal and a network for it",
            )
        point["methods"] = methods
        point["determinants"] = [
            method
            for method in methods
            if campaign.method(facts.name, method).ansatz.name == "slater"
        ]

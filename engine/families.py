"""Families of a campaign: what an analysis needs to know of their materials. Imports no JAX."""

from __future__ import annotations

import dataclasses
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
    if family.analysis == "equation-of-state":
        _add_volumes(campaign, found["points"], where)
    if family.analysis == "phases":
        _add_methods(campaign, found["points"], where)
    return found


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

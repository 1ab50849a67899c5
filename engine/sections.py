"""What the jobs of a campaign depend on, as plain key-sorted sections. Imports no JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine import config
from engine.config.learned import LOCALISED
from engine.library import Material
from engine.number import antiperiodic
from engine.system.twists import Twist

STAGE_SECTIONS = {
    "pretrain": ("sampler", "pretrain"),
    "vmc": ("sampler", "hamiltonian", "optimizer", "vmc"),
    "evaluate": ("sampler", "hamiltonian", "evaluate"),
}
"""Sections of a method that enter each stage, beside the ansatz."""

FOCK_SECTIONS = {
    "pretrain": ("selection", "pretrain"),
    "vmc": ("selection", "optimizer", "vmc"),
    "evaluate": ("selection", "sampler", "evaluate"),
}
"""The same in second quantisation."""


def sections(
    campaign, stage: str, material: str, method: str | None = None, twist: int | None = None
) -> dict[str, Any]:
    """Returns everything one job depends on apart from its input files, canonical.

    Args:
        campaign: An `engine.campaign.Campaign`.
        stage: structure, mean_field, zone, localised, integrals, reference, pretrain, vmc, evaluate
            or twist_average.
        material: Name of a material.
        method: Name of a method, from pretrain on.
        twist: Index of a twist, for the stages that have one.
    """
    facts = campaign.material(material)
    if stage == "structure":
        content = _structure_sections(facts)
    elif stage in ("mean_field", "zone", LOCALISED):
        content = {
            "material": material,
            "mean_field": facts.config.mean_field,
            **(_localised(facts) if stage == LOCALISED else {}),
            "twist": phase((facts.zone if stage == "zone" else facts.twists)[twist]),
            "charge": facts.config.charge,
            "spin": facts.config.total_spin,
            **_positrons(facts),
            **_pseudopotentials(facts),
        }
    elif stage == "integrals":
        content = {
            "material": material,
            "mean_field": facts.config.mean_field,
            "charge": facts.config.charge,
            "spin": facts.config.spin,
            "number": campaign.number(material, method),
            "integrals": campaign.method(material, method).integrals,
            **_pseudopotentials(facts),
        }
    elif stage == "reference":
        content = {
            "material": material,
            "method": method,
            "references": campaign.method(material, method).references,
        }
    elif stage == "twist_average":
        content = {
            "material": material,
            "method": method,
            "seed": campaign.seed,
            "n_atoms": facts.n_atoms,
            "n_cells": facts.n_cells,
            "n_electrons": facts.n_electrons,
            "literature": facts.config.literature,
            "twists": [
                phase(t) | {"spin": spin, "weight": t.weight}
                for t, spin in zip(facts.twists, facts.spins, strict=True)
            ],
            **(_zone(facts) if campaign.space(material, method) == "real" else {}),
            **_size_corrections(facts, campaign.method(material, method).ansatz.name),
        }
    else:
        content = _of_method(campaign, stage, facts, method, twist)
    return config.canonical(plain(content))


def _of_method(campaign, stage: str, facts: Material, method: str, twist: int) -> dict[str, Any]:
    options = campaign.method(facts.name, method)
    content = {
        "material": facts.name,
        "method": method,
        "twist": phase(facts.twists[twist]),
        "seed": campaign.seed,
        "number": campaign.number(facts.name, method),
        "precision": options.precision,
        "ansatz": options.ansatz,
        **({"antiperiodic": True} if antiperiodic(campaign, facts.name, method) else {}),
    }
    if stage == "evaluate":
        content["n_cells"] = facts.n_cells
    if options.space == "fock":
        content["space"] = "fock"
        content["electrons"] = [n - options.integrals.frozen for n in facts.counts]
    group = campaign.group_of(facts.name, method)
    if stage == "vmc" and group:
        content["joint"] = {
            "group": group.name,
            "member": group.members(campaign).index((facts.name, twist)),
        }
    names_ = (FOCK_SECTIONS if options.space == "fock" else STAGE_SECTIONS)[stage]
    content |= {name: getattr(options, name) for name in names_}
    if stage == "evaluate" and options.space == "real":
        content["evaluate"] = options.evaluate.with_sites(facts.config.structure)
        runaway = options.vmc.runaway_ha_per_particle
        if runaway != config.TrainingConfig.runaway_ha_per_particle:
            content["runaway_ha_per_particle"] = runaway
    if stage == "vmc" and options.space == "real":
        content["vmc"] = options.vmc.of_twist(twist)
        if group:
            content["vmc"] = options.vmc.limited(group.config.refine_steps)
    source = campaign.source(facts.name, method, twist) if stage == "pretrain" else None
    if source:
        content["pretrain"] = dataclasses.replace(options.pretrain, steps=0)
        if source[0] != facts.name:
            content["transfer_from"] = source[0]
    return content


def joint_sections(campaign, name: str) -> dict[str, Any]:
    """Returns what the common training of a group depends on, canonical.

    Args:
        campaign: An `engine.campaign.Campaign`.
        name: Of the group.
    """
    group = campaign.groups[name]
    vmc = campaign.method(group.config.materials[0], group.config.method).vmc
    members = [
        _of_method(campaign, "vmc", campaign.material(m), group.config.method, twist)
        for m, twist in group.members(campaign)
    ]
    for member in members:  # how a member goes on afterwards
        del member["vmc"]
    content = {
        "group": name,
        "seed": campaign.seed,
        "members": members,
        "vmc": vmc.limited(group.steps(campaign)),
    }
    return config.canonical(plain(content))


def _positrons(facts: Material) -> dict[str, int]:
    """Returns the key where there are some: without, sections are as they always were."""
    return {"positrons": facts.config.positrons} if facts.config.positrons else {}


def _size_corrections(facts: Material, ansatz: str) -> dict[str, bool]:
    """Returns what forbids the corrections by the structure factor, if anything does."""
    return {"size_corrections": False} if facts.why_no_size_correction(ansatz) else {}


def _zone(facts: Material) -> dict[str, Any]:
    """Returns the key where there are some."""
    zone = [phase(t) | {"weight": t.weight} for t in facts.zone]
    return {"zone": zone} if zone else {}


def _localised(facts: Material) -> dict[str, Any]:
    """Returns what Gaussians on sites need instead of the material's own mean field."""
    section = dataclasses.replace(facts.config.mean_field, method=LOCALISED)
    return {"mean_field": section, "sites": facts.config.structure.sites}


def _pseudopotentials(facts: Material) -> dict[str, Any]:
    """Returns the key where there are some."""
    named = facts.config.pseudopotentials
    return {"pseudopotentials": named} if named else {}


def _structure_sections(facts: Material) -> dict[str, Any]:
    return {
        **_positrons(facts),
        **_background(facts),
        **_pseudopotentials(facts),
        "material": facts.name,
        "structure": facts.config.structure,
        "supercell": facts.config.supercell,
        "charge": facts.config.charge,
        "spin": facts.config.spin,
        "folder": str(facts.folder),
    }


def _background(facts: Material) -> dict[str, bool]:
    """Returns the key where it is set: input without it keeps its fingerprint."""
    return {"neutralising_background": True} if facts.config.neutralising_background else {}


def phase(twist: Twist) -> dict[str, Any]:
    """Returns a twist as the stages read it; `spin` only where it has one of its own."""
    spin = {} if twist.spin is None else {"spin": twist.spin}
    return {"index": twist.index, "frac": twist.frac, **spin}


def plain(value: Any) -> Any:
    """Returns built-in types alone: parameters are compared by their text."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value

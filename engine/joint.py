"""Groups of runs that share one network: the campaign's section `joint`. Imports no JAX."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.config import JointConfig, parse
from engine.errors import ConfigError, nearest
from engine.library import NAME

ANSATZ = "transferable"


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs of one method that share parameters.

    Attributes:
        name: Of the section.
        config: The section.
    """

    name: str
    config: JointConfig

    def members(self, campaign) -> list[tuple[str, int]]:
        """Returns (material, twist) of every member, material by material."""
        return [(m, t.index) for m in self.config.materials for t in campaign.twists(m)]

    def steps(self, campaign) -> int:
        """Returns the optimisation steps of all members together."""
        if self.config.steps:
            return self.config.steps
        return sum(
            campaign.method(material, self.config.method).vmc.steps
            for material, _ in self.members(campaign)
        )


def read_groups(
    sections: Mapping[str, Any], runs: Mapping[str, tuple[str, ...]], path: str
) -> dict[str, Group]:
    """Returns the groups of a campaign by name.

    Raises:
        ConfigError: A run that is none of the campaign's, or in two groups.
    """
    groups, taken = {}, {}
    for name, section in sections.items():
        where = f"{path}, key 'joint', group '{name}'"
        if not NAME.fullmatch(str(name)):
            raise ConfigError(
                f"bad name '{name}'", where=where, expected="small letters, digits and hyphens"
            )
        config = parse(JointConfig, section, where=where)
        _check_materials(config, runs, where)
        for material in config.materials:
            other = taken.setdefault((material, config.method), name)
            if other != name:
                raise ConfigError(
                    f"run {material}/{config.method} is also in group '{other}'",
                    where=where,
                    expected="a run in one group at most",
                )
        groups[str(name)] = Group(str(name), config)
    return groups


def _check_materials(config: JointConfig, runs: Mapping[str, tuple[str, ...]], where: str) -> None:
    known = [material for material, methods in runs.items() if config.method in methods]
    if not config.materials or len(set(config.materials)) < len(config.materials):
        raise ConfigError(
            f"found {config.materials}", where=f"{where}, key 'materials'", expected="each one once"
        )
    for material in config.materials:
        if material not in known:
            raise ConfigError(
                f"'{material}' does not run with method '{config.method}'",
                where=f"{where}, key 'materials'",
                expected=nearest(material, known) if known else "a run of this campaign",
                remedy=f"add '{config.method}' to the methods of '{material}' in 'runs'",
            )


def check_group(campaign, group: Group) -> None:
    """Refuses members whose parameters cannot be the same.

    Raises:
        ConfigError: Names the key that differs.
    """
    where = f"{campaign.path}, key 'joint', group '{group.name}'"
    name, materials = group.config.method, group.config.materials
    facts = {material: _shared_facts(campaign, material, name) for material in materials}
    first = facts[materials[0]]
    ansatz = campaign.method(materials[0], name).ansatz if first["space"] == "real" else None
    if ansatz is None or ansatz.name != ANSATZ:
        raise ConfigError(
            f"the parameters of method '{name}' belong to one twist",
            where=f"{where}, key 'method'",
            expected=f"a method in real space with ansatz {ANSATZ}",
        )
    members = len(group.members(campaign))
    if group.config.steps and group.config.steps < members:
        raise ConfigError(
            f"{group.config.steps} steps for {members} members",
            where=f"{where}, key 'steps'",
            expected="some hundred for every member: a step trains one of them",
            remedy="raise steps, or leave them out: then they are those of all members together",
        )
    for material, found in facts.items():
        if campaign.method(material, name).vmc.transfer_steps is not None:
            raise ConfigError(
                f"'{material}' starts from another trained network (vmc.transfer_steps)",
                where=f"{where}, key 'materials'",
                expected="transfer_steps: null: a group trains all of its members at once",
                remedy="delete vmc.transfer_steps and transfer_from in the method and in overrides "
                "of the material; the group has a key transfer_from of its own",
            )
        for what, value in found.items():
            if value != first[what]:
                raise ConfigError(
                    f"{what} of '{material}' is {value}",
                    where=f"{where}, key 'materials'",
                    expected=f"{first[what]}, as of '{materials[0]}'",
                    remedy=REMEDIES.get(what, "leave the material out of the group"),
                )


REMEDIES = {
    "number of the orbitals": "set ansatz.number: complex in the method",
}


def _shared_facts(campaign, material: str, method: str) -> dict[str, Any]:
    """Returns what must agree for parameters to have the same shapes and meaning."""
    facts, options = campaign.material(material), campaign.method(material, method)
    counts = facts.counts
    found = {
        "space": options.space,
        "kind of cell": "periodic" if facts.periodic else "open",
        "set of elements": " ".join(sorted(set(facts.symbols))),
        "mean_field.basis": facts.config.mean_field.basis,
        "set of species": f"{sum(n > 0 for n in counts)} of electrons, "
        f"{facts.config.positrons} positrons",
        "number of the orbitals": campaign.number(material, method),
    }
    if options.space == "real":
        found |= {
            "section 'ansatz'": options.ansatz,
            "precision": options.precision,
            "section 'optimizer'": options.optimizer,
            "vmc.min_steps": options.vmc.min_steps,
            "vmc.accuracy_ha_per_cell": options.vmc.accuracy_ha_per_cell,
        }
    return found

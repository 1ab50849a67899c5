"""Learned Hamiltonians of a campaign: `learned/<name>.yaml`, checked. Imports no JAX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine import config
from engine.config.learned import LearnedConfig, learned_name
from engine.errors import ConfigError, nearest
from engine.io import document
from engine.library import Material, find, names, read_material

SAME = ("method", "functional", "basis")
"""Keys of `mean_field` in which a material and the model that replaces it agree."""


def read(root: Path, name: str) -> LearnedConfig:
    """Returns a learned Hamiltonian after all checks.

    Raises:
        ConfigError: Names file, key, expectation and nearest valid name.
    """
    path = find(root, "learned", name)
    content = config.parse(LearnedConfig, document.read(path), where=str(path))
    known = names(root, "materials")
    for material in content.labels.materials:
        where = f"{path}, key 'labels', key 'materials'"
        if material not in known:
            raise ConfigError(
                f"unknown material '{material}'",
                where=where,
                expected=nearest(material, known),
            )
        _check_molecule(read_material(find(root, "materials", material)), where)
    return content


def _check_molecule(facts: Material, where: str) -> None:
    """Refuses what has no single closed-shell matrix."""
    crystal, own = facts.periodic, facts.config
    if crystal or own.total_spin or own.positrons or not facts.symbols:
        kind = "a crystal" if crystal else "no closed shell of electrons around nuclei"
        raise ConfigError(
            f"'{facts.name}' is {kind}",
            where=where,
            expected="a molecule with spin 0 and without positrons",
            remedy="choose another material, or reference: scf",
        )


def check_use(campaign: Any, material: str, method: str) -> None:
    """Refuses a method whose learned mean field cannot be that of a material.

    Args:
        campaign: An `engine.campaign.Campaign`.
        material: Name of a material.
        method: Name of a method.
    """
    name = learned_name(campaign.method(material, method).reference)
    if name is None:
        return
    facts, where = campaign.material(material), f"{campaign.path}, material '{material}'"
    learned = campaign.learned(name)
    _check_molecule(facts, where)
    for key in SAME:
        wanted, found = getattr(learned.mean_field, key), getattr(facts.config.mean_field, key)
        counts = key != "functional" or learned.mean_field.method == "rks"
        if counts and str(wanted).lower() != str(found).lower():
            raise ConfigError(
                f"mean_field.{key} is '{found}', and learned Hamiltonian '{name}' is of '{wanted}'",
                where=where,
                expected=f"{key}: {wanted}",
                remedy="change the material's mean_field, or train a model for it",
            )
    trained = {s for m in learned.labels.materials for s in campaign.material(m).symbols}
    if missing := sorted(set(facts.symbols) - trained):
        raise ConfigError(
            f"element {missing[0]} is not among those learned Hamiltonian '{name}' is trained on",
            where=where,
            expected=f"{', '.join(sorted(trained))}",
            remedy="add a material with it to labels.materials, or use reference: scf",
        )


def sections(
    campaign: Any, stage: str, name: str, material: str | None, base: dict[str, Any] | None
) -> dict[str, Any]:
    """Returns what one job depends on apart from its input files.

    Args:
        campaign: An `engine.campaign.Campaign`.
        stage: labels, learn, learned_errors or learned_mean_field.
        name: Of the learned Hamiltonian.
        material: For labels and learned_mean_field.
        base: Sections of the ordinary mean field, for learned_mean_field.
    """
    learned = campaign.learned(name)
    if stage == "labels":
        return {
            "material": material,
            "charge": campaign.material(material).config.charge,
            "mean_field": learned.mean_field,
            "labels": learned.labels,
        }
    if stage == "learn":
        return {
            "name": name,
            "guess": learned.labels.guess,
            "mean_field": learned.mean_field,
            "model": learned.model,
            "flow": learned.flow,
            "learn": learned.learn,
        }
    if stage == "learned_errors":
        return {"name": name, "limit": learned.use.test_limit}
    return {**base, "learned": name, "use": learned.use}

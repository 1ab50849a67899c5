"""Learned Hamiltonians of a campaign: `learned/<name>.yaml`, checked. Imports no JAX."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from engine import config
from engine.config.learned import LearnedConfig, alike, learned_name, shared_keys
from engine.errors import ConfigError, nearest
from engine.io import document
from engine.library import Material, find, names, read_material


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
        facts = read_material(find(root, "materials", material))
        _check_closed(facts, where)
        _check_kind(facts, content, where)
    _check_shared(root, content, path)
    return content


def _check_closed(facts: Material, where: str) -> None:
    """Refuses what has no single closed-shell matrix."""
    own = facts.config
    if own.total_spin or own.positrons or not facts.symbols or (facts.periodic and own.charge):
        raise ConfigError(
            f"'{facts.name}' is no closed shell of electrons around nuclei",
            where=where,
            expected="spin 0, no positrons, and a neutral crystal or a molecule",
            remedy="choose another material, or reference: scf",
        )


def _check_kind(facts: Material, learned: LearnedConfig, where: str) -> None:
    """Refuses crystals among molecules and molecules among crystals."""
    crystals = learned.labels.kmesh is not None
    if facts.periodic != crystals:
        raise ConfigError(
            f"'{facts.name}' is a {'crystal' if facts.periodic else 'molecule'}, and the model is "
            f"of {'crystals: it has a labels.kmesh' if crystals else 'molecules'}",
            where=where,
            expected="crystals with labels.kmesh, e.g. [7, 1, 1] for a chain; molecules without",
            remedy="choose another material, change labels.kmesh, or use reference: scf",
        )


def _check_shared(root: Path, content: LearnedConfig, path: Path) -> None:
    """Refuses labels shared with a model that makes other ones."""
    name = content.labels.shared_with
    if name is None:
        return
    where = f"{path}, key 'labels', key 'shared_with'"
    known = names(root, "learned")
    if name not in known or name == path.stem:
        raise ConfigError(
            f"labels of '{name}'",
            where=where,
            expected=nearest(name, [n for n in known if n != path.stem]),
        )
    other = config.parse(
        LearnedConfig, document.read(find(root, "learned", name)), where=f"learned '{name}'"
    )
    own = dataclasses.replace(content.labels, shared_with=None)
    if other.labels != own or other.mean_field != content.mean_field:
        raise ConfigError(
            f"labels or mean_field are not those of '{name}'",
            where=where,
            expected=f"equal sections labels and mean_field, and no shared_with in '{name}'",
            remedy="copy them; learn.train_limit trains on a part of them",
        )


def names_of(campaign: Any) -> tuple[str, ...]:
    """Returns the learned Hamiltonians a campaign lists or uses, each once.

    Args:
        campaign: An `engine.campaign.Campaign`.
    """
    used = (
        learned_name(campaign.method(material, method).reference)
        for material, methods in campaign.runs.items()
        for method in methods
    )
    return tuple(dict.fromkeys([*campaign.learned_listed, *(name for name in used if name)]))


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
    _check_closed(facts, where)
    _check_kind(facts, learned, where)
    if facts.periodic:
        _check_pseudopotentials(facts, learned, campaign, where)
    start_only = facts.periodic and learned.use.converge
    own = facts.config.mean_field
    if own.method not in ("rhf", "rks"):
        raise ConfigError(
            f"mean_field.method '{own.method}' with a learned Hamiltonian",
            where=where,
            expected="rhf or rks, closed shells",
            remedy="change the material's mean_field, or take reference: scf",
        )
    for key in shared_keys(learned.mean_field, start_only=start_only):
        wanted, found = getattr(learned.mean_field, key), getattr(own, key)
        if not alike(learned.mean_field, own, key):
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


def _check_pseudopotentials(
    facts: Material, learned: LearnedConfig, campaign: Any, where: str
) -> None:
    """Refuses a crystal whose cores are not those of the training set."""
    theirs: dict[str, str] = {}
    for material in learned.labels.materials:
        theirs |= campaign.material(material).config.pseudopotentials
    own = facts.config.pseudopotentials
    for symbol in sorted(set(facts.symbols)):
        if own.get(symbol) != theirs.get(symbol):
            raise ConfigError(
                f"pseudopotential {own.get(symbol)} of {symbol}, the model {theirs.get(symbol)}",
                where=where,
                expected=f"{theirs.get(symbol)}",
                remedy="change the material's pseudopotentials, or train a model for it",
            )


def sections(
    campaign: Any, stage: str, name: str, material: str | None, base: dict[str, Any] | None
) -> dict[str, Any]:
    """Returns what one job depends on apart from its input files.

    Args:
        campaign: An `engine.campaign.Campaign`.
        stage: labels, learn, learned_errors, learned_hamiltonian or learned_mean_field.
        name: Of the learned Hamiltonian.
        material: For labels and learned_mean_field.
        base: Sections of the ordinary mean field, for learned_mean_field.
    """
    learned = campaign.learned(name)
    if stage in ("labels", "learned_hamiltonian"):
        facts = campaign.material(material).config
        named = facts.pseudopotentials
        known = {"pseudopotentials": named} if named else {}
        if stage == "learned_hamiltonian":
            return {"material": material, "learned": name, **known}
        return {
            "material": material,
            "charge": facts.charge,
            "mean_field": learned.mean_field,
            "labels": learned.labels,
            **known,
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

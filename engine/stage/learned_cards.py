"""Model cards of a campaign: what each learned Hamiltonian is, and how far it is off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.io import table
from engine.io.learned import read_learned

COLUMNS = (
    "hamiltonian_uha",
    "guess_hamiltonian_uha",
    "gap_mev",
    "energy_mha",
    "forces_mev_per_angstrom",
    "residual_ha",
    "novelty",
    "cycles_predicted",
    "cycles_minao",
    "seconds_predicted",
    "seconds_scf",
)
"""Quantities of errors.csv that are on a card, mean and worst; forces are of molecules alone."""


def learned_cards(models: Sequence[Path], errors: Sequence[Path], cards: Path) -> list[dict]:
    """Writes one line per model and material.

    Args:
        models: Inputs, kind "learned_hamiltonian".
        errors: Inputs, errors.csv of the same models.
        cards: Output, CSV.
    """
    rows = []
    for model, measured in zip(models, errors, strict=True):
        facts = read_learned(model).facts
        lines = table.read(measured)
        for number, material in enumerate(facts["molecules"]):
            own = [line for line in lines if line["material"] == material]
            rows.append(card(facts, number, own))
    table.write(cards, rows)
    return rows


def card(
    facts: Mapping[str, Any], number: int, lines: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Returns the line of one material.

    Args:
        facts: Of the model.
        number: Place of the material among those it was trained on.
        lines: Of errors.csv.
    """
    field, known = facts["mean_field"], {line["quantity"]: line for line in lines}
    row = {
        "model": facts["name"],
        "material": facts["molecules"][number],
        "kind": "crystal" if facts.get("reach_bohr") else "molecule",
        "mean_field": field["functional"] if field["method"] == "rks" else field["method"],
        "basis": field["basis"],
        "target": "flow" if facts["flow"]["enabled"] else "regression",
        "pair_update": facts["model"]["pair_update"],
        "convolution": facts["model"]["convolution"],
        "parameters": facts["parameters"],
        "train_geometries": facts["geometries"][number],
        "steps": facts["steps"],
        "validation_uha": 1e6 * facts["validation_ha"],
        "test_geometries": lines[0]["geometries"] if lines else 0,
    }
    for quantity in COLUMNS:
        for which in ("mean", "worst"):
            row[f"{quantity}_{which}"] = known[quantity][which] if quantity in known else None
    return row | {"commit": facts["commit"], "pyscf": facts["pyscf_version"]}

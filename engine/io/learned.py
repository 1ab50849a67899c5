"""The file of a learned Hamiltonian: parameters, scales and what they are for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.io import hdf5

KIND = "learned_hamiltonian"
MODEL_SCHEMA = 1
"""Raised when parameters of the same shape mean something else."""
FACTS = ("shells", "model", "flow", "mean_field", "guess", "novelty_reference", "model_schema")


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedFile:
    """The content of a model file.

    Attributes:
        params: Nested mapping of the network's parameters.
        scales: Path -> array of the scales of its training set, hartree.
        facts: `shells` (symbol -> l of each shell), `model` and `flow` (sections), `mean_field`
            (section), `guess`, `novelty_reference`, and what else is known of its training.
        fingerprint: Of the input it was trained from.
    """

    params: dict[str, Any]
    scales: dict[str, np.ndarray]
    facts: dict[str, Any]
    fingerprint: str = ""


def write_learned(path: str | Path, file: LearnedFile, fingerprint: str) -> None:
    """Writes a model file."""
    data = {f"params/{name}": value for name, value in _flat(file.params)}
    data |= {f"scales/{name}": np.asarray(value) for name, value in file.scales.items()}
    units = {f"scales/{name}": "hartree" for name in file.scales}
    facts = {**file.facts, "model_schema": MODEL_SCHEMA}
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=units, attributes=facts)


def read_learned(path: str | Path) -> LearnedFile:
    """Reads a model file.

    Raises:
        DataError: Missing, damaged, of another kind or of another schema of models.
    """
    record = hdf5.read(path, KIND)
    facts = record.attributes
    if facts.get("model_schema") != MODEL_SCHEMA:
        raise DataError(
            f"a model of schema {facts.get('model_schema')}",
            where=str(path),
            expected=f"schema {MODEL_SCHEMA}",
            remedy="train it again: delete the file and run the rule learn",
        )
    missing = [name for name in FACTS if name not in facts]
    if missing:
        raise DataError(
            f"{', '.join(missing)} missing",
            where=str(path),
            expected="a complete model file",
            remedy="train it again: delete the file and run the rule learn",
        )
    params: dict[str, Any] = {}
    scales = {}
    for name, value in record.data.items():
        kind, *parts = name.split("/")
        if kind == "scales":
            scales["/".join(parts)] = value
            continue
        place = params
        for part in parts[:-1]:
            place = place.setdefault(part, {})
        place[parts[-1]] = value
    return LearnedFile(params, scales, facts, record.fingerprint)


def _flat(tree: Mapping[str, Any], prefix: str = ""):
    """Yields (path, array) of nested mappings."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", np.asarray(value)

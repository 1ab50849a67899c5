"""Geometries around a crystal and their matrices on a mesh of k-points."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import MeanFieldConfig, parse
from engine.config.learned import LabelsConfig
from engine.errors import ConfigError
from engine.io.crystal_labels import CrystalSet, read_crystal_labels, write_crystal_labels
from engine.mean_field import pyscf_crystal, pyscf_labels
from engine.mean_field.pyscf_crystal import CrystalLabel
from engine.stage.label_job import Job, stacked
from engine.stage.sampling import Frame, displaced
from engine.system.geometry import Geometry


def crystal_job(geometry: Geometry, sections: Mapping[str, Any], data: LabelsConfig) -> Job:
    """Returns how crystals are labelled."""
    if data.kmesh is None:
        raise ConfigError(
            f"'{sections['material']}' is a crystal, and there is no mesh of k-points",
            where="labels, key 'kmesh'",
            expected="three integers, e.g. [7, 1, 1] for a chain",
            remedy="add the key, or choose a molecule",
        )
    options = parse(MeanFieldConfig, sections["mean_field"], where="mean_field")
    named = dict(sections.get("pseudopotentials", {}))
    masses = pyscf_labels.masses(geometry)

    def frames(number: int, last: Frame | None) -> tuple[Frame, CrystalLabel]:
        del last
        moved = strained(geometry, masses, data, number)
        label = pyscf_crystal.crystal_label(moved, data.kmesh, options, data.guess, named)
        return Frame(moved.positions, np.zeros_like(moved.positions)), label

    def write(path: Path, pieces: list, split: np.ndarray, facts: dict, mark: str) -> None:
        found = stacked(CrystalLabel, pieces)
        found["positions"] = found.pop("atoms")
        labelled = CrystalSet(
            symbols=geometry.symbols,
            shells=pyscf_crystal.crystal_shells(geometry, options, named),
            mesh=np.array(data.kmesh),
            split=split,
            facts=facts,
            **found,
        )
        write_crystal_labels(path, labelled, mark)

    return Job(CrystalLabel, frames, write, read_crystal_labels)


def strained(geometry: Geometry, masses: np.ndarray, data: LabelsConfig, number: int) -> Geometry:
    """Returns a crystal with all lengths scaled at random, then its atoms displaced."""
    rng = np.random.default_rng([data.seed, 0, number])
    factor = 1 + data.strain * rng.normal()
    scaled = dataclasses.replace(
        geometry, positions=factor * geometry.positions, lattice=factor * geometry.lattice
    )
    moved = displaced(scaled, masses, data.displacement_angstrom, rng)
    return dataclasses.replace(scaled, positions=moved)

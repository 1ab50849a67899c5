"""Stage `structure`: from a material's sections to the system file and a geometry to look at."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine import config
from engine.io.structure import write_extxyz
from engine.io.system import write_system
from engine.system.material import check_material, counts_of
from engine.system.supercell import n_cells

log = logging.getLogger(__name__)

SECTIONS = (
    "structure",
    "supercell",
    "charge",
    "neutralising_background",
    "spin",
    "positrons",
    "pseudopotentials",
)
"""The keys of a material that this stage depends on."""


def structure(sections: Mapping[str, Any], *, system: str | Path, structure: str | Path) -> None:
    """Builds the simulation cell and writes it.

    Args:
        sections: Canonical values of `SECTIONS`, with `material` (its name) and `folder` (of
            its YAML).
        system: Target of the system file (HDF5).
        structure: Target of the simulation cell as extxyz, angstrom.

    Raises:
        ConfigError: The material cannot be computed.
        DataError: An output cannot be written.
    """
    folder = Path(sections["folder"])
    where = str(folder / f"{sections['material']}.yaml")
    chosen = {name: sections[name] for name in SECTIONS if name in sections}
    material = config.parse(config.MaterialConfig, chosen, where=where)
    primitive, simulation, S = check_material(material, where=where, folder=folder)
    n_up, n_down = counts_of(material, simulation, where=where)
    fingerprint = config.fingerprint(
        {"material": sections["material"], **chosen}, _file_digests(material, folder)
    )
    write_extxyz(structure, simulation)
    write_system(system, simulation, S, primitive, n_up, n_down, fingerprint, material.positrons)
    log.info(
        "%s: %d atoms in the primitive cell, %d cells, %d + %d electrons%s%s",
        sections["material"],
        primitive.n_atoms,
        n_cells(S),
        n_up,
        n_down,
        f", {material.positrons} positrons" if material.positrons else "",
        f", volume {abs(np.linalg.det(simulation.lattice)):.6g} bohr^3"
        if simulation.periodic
        else ", open boundaries",
    )


def _file_digests(material: config.MaterialConfig, folder: Path) -> list[str]:
    """Returns the checksum of the structure file: an edited file is another input."""
    if not isinstance(material.structure, config.FileStructure):
        return []
    return [hashlib.sha256((folder / material.structure.path).read_bytes()).hexdigest()]

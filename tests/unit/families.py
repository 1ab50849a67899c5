"""Project folders of families and contrasts, to be read or refused."""

import json
from pathlib import Path

GAS = "{kind: electron-gas, rs: %s, electrons: 2, polarisation: 1, lattice: bcc%s}"


def project(folder: Path, materials: dict[str, str], runs: dict, families: dict) -> Path:
    """Writes a project folder; materials are structure sections."""
    for name in ("materials", "methods"):
        (folder / name).mkdir(parents=True)
    for name, structure in materials.items():
        (folder / f"materials/{name}.yaml").write_text(structure)
    bare = "ansatz: {name: slater}\npretrain: {steps: 0}\nvmc: {steps: 0}\n"
    (folder / "methods/bare.yaml").write_text(bare)
    (folder / "methods/crystal.yaml").write_text(bare + "reference: localised\n")
    (folder / "methods/net.yaml").write_text("ansatz: {name: ferminet}\n")
    content = {"runs": runs, "families": families}
    (folder / "campaign.yaml").write_text(json.dumps(content))
    return folder


def gas(rs, sites=", sites: [2, 1, 1]"):
    twist = "twists: {points: [[0.25, 0.1, 0.05]]}\nmean_field: {method: plane-waves}\n"
    return f"structure: {GAS % (rs, sites)}\n{twist}"


def rocksalt(a):
    return (
        f"structure: {{kind: prototype, prototype: rocksalt, species: [Li, H], a_angstrom: {a}}}\n"
    )


CELL = "structure: {kind: chain, species: %s, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}\n"
CELLS = {f"c{n}": CELL % "H" + f"supercell: [{n}, 1, 1]\n" for n in (2, 3, 4)}
CELLS |= {"again": CELLS["c3"], "other": CELL % "He" + "supercell: [5, 1, 1]\n"}
CELLS |= {"molecule": "structure: {kind: molecule, name: H2}\n"}


def electrons(rs, number, polarisation, lattice):
    keys = f"rs: {rs}, electrons: {number}, polarisation: {polarisation}, lattice: {lattice}"
    plane_waves = "mean_field: {method: plane-waves}\n"
    return f"structure: {{kind: electron-gas, {keys}}}\n{plane_waves}"


FOURTEEN = electrons(1, 14, 0, "sc")


def energy_row(material, energy, n_cells=1, **keys):
    return {
        "material": material,
        "method": "net",
        "n_atoms": 2,
        "n_electrons": 2.0,
        "n_cells": n_cells,
        "energy_ha_per_cell": energy,
        "error_ha_per_cell": 1e-4,
        "target_reached": True,
    } | keys

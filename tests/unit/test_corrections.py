"""Finite-size corrections in families and contrasts: which runs have them, and their errors."""

import json

import numpy as np
import pytest

from engine.campaign import load
from engine.errors import ConfigError
from engine.stage.families import corrected
from tests.unit.families import CELLS, energy_row, gas, project, rocksalt


def test_gaussians_on_sites_have_no_twist_correction(tmp_path):
    gases = {name: gas(rs) for name, rs in (("a", 5), ("b", 5))}
    for method, refused in (("bare", False), ("crystal", True)):
        folder = project(tmp_path / method, gases, {name: [method] for name in gases}, {})
        text = {
            "runs": {"a": [method], "b": [method]},
            "contrasts": {"d": {"terms": {"a": 1, "b": -1}, "corrections": ["twist"]}},
        }
        (folder / "campaign.yaml").write_text(json.dumps(text))
        if not refused:
            load(root=folder).check()
            continue
        with pytest.raises(ConfigError, match="a/crystal has no twist correction"):
            load(root=folder).check()


def test_a_positron_in_a_supercell_is_no_term_of_a_contrast(tmp_path):
    """Energies are per primitive cell: two cells with one positron would have half of it."""
    with_positron = "charge: 1\npositrons: 1\nneutralising_background: true\n"
    for cells, refused in ((1, False), (2, True)):
        solid = rocksalt(4.0) + f"supercell: [{cells}, 1, 1]\n"
        materials = {"a": solid, "b": solid + with_positron}
        folder = project(tmp_path / str(cells), materials, {"a": ["bare"], "b": ["bare"]}, {})
        text = {
            "runs": {"a": ["bare"], "b": ["bare"]},
            "contrasts": {"d": {"terms": {"b": 1, "a": -1}}},
        }
        (folder / "campaign.yaml").write_text(json.dumps(text))
        if not refused:
            load(root=folder).check()
            continue
        with pytest.raises(
            ConfigError, match="'b' has a charge or a positron in 2 primitive cells"
        ):
            load(root=folder).check()


def test_sizes_with_a_structure_factor_have_the_potential_correction(tmp_path):
    family = {"analysis": "size", "materials": ["c2", "c3"], "corrections": ["potential"]}
    runs = {"c2": ["bare"], "c3": ["bare"]}
    solids = {name: rocksalt(4.0) + f"supercell: [{name[1]}, 1, 1]\n" for name in runs}
    for folder, materials in (("chains", CELLS), ("solids", solids)):
        folder = project(tmp_path / folder, materials, runs, {"f": family})
        with (folder / "methods/bare.yaml").open("a") as file:
            file.write("evaluate: {observables: [structure-factor]}\n")
    load(root=folder).check()
    with pytest.raises(ConfigError, match="chains and layers in vacuum need other formulas"):
        load(root=tmp_path / "chains").check()


@pytest.mark.parametrize(
    ("structure", "corrected", "message"),
    [
        (
            "{kind: prototype, prototype: graphene, species: [C, C], a_angstrom: 2.46, "
            "vacuum_angstrom: 20}",
            "potential",
            "chains and layers in vacuum",
        ),
        (
            "{kind: chain, species: H, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 12}",
            "potential",
            "chains and layers",
        ),
        (
            "{kind: atoms, species: [H, H], positions_bohr: [[0, 0, 0], [0, 0, 1.4]], "
            "lattice_bohr: [[3, 0, 0], [0, 30, 0], [1, 0, 30]]}",
            "potential",
            "chains and layers",
        ),
        (
            "{kind: electron-gas, rs: 1, electrons: 14, polarisation: 0, lattice: sc}\n"
            "mean_field: {method: plane-waves}",
            "kinetic",
            "determinant alone",
        ),
    ],
)
def test_contrasts_know_where_the_small_waves_are_no_correction(
    tmp_path, structure, corrected, message
):
    folder = project(tmp_path, {"a": f"structure: {structure}\n"}, {"a": ["bare"]}, {})
    with (folder / "methods/bare.yaml").open("a") as file:
        file.write("evaluate: {observables: [structure-factor]}\n")
    content = json.loads((folder / "campaign.yaml").read_text())
    content["contrasts"] = {"c": {"terms": {"a": 1}, "corrections": [corrected]}}
    (folder / "campaign.yaml").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        load(root=folder).check()


def test_corrections_of_one_structure_factor_have_opposite_errors():
    """A slope s makes both, as s and as 1/s; where they are equal their errors cancel."""
    row = energy_row("gas", -1.0)
    row |= {"potential_correction_ha_per_cell": 0.03, "kinetic_correction_ha_per_cell": 0.03}
    for name in ("potential", "kinetic"):
        row[f"{name}_correction_error_ha_per_cell"] = 4e-4
    assert corrected(row, ["potential"]) == pytest.approx((-0.97, np.hypot(1e-4, 4e-4)))
    assert corrected(row, ["kinetic", "potential"]) == pytest.approx((-0.94, 1e-4))

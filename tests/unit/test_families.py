"""Fits over families: infinite size, equations of state, and what is refused."""

import numpy as np
import pytest

from engine.campaign import load
from engine.config import FamilyConfig, parse
from engine.errors import ConfigError, DataError
from engine.io import table
from engine.stage import equation_of_state, sizes
from engine.stage.families import curves
from engine.units import HARTREE_PER_BOHR3_GPA
from tests.unit.families import CELLS, FOURTEEN, electrons, energy_row, gas, project, rocksalt
from tests.unit.test_fits import murnaghan

PHASES = {"analysis": "phases", "along": "rs", "materials": ["a", "b"]}


SIZE = {"analysis": "size", "materials": ["c2", "c3", "c4"], "powers": [1]}


def test_the_table_of_sizes(tmp_path):
    rows = [energy_row(f"c{n}", -1.0 + 0.2 / n, n_cells=n) for n in (2, 3, 4)]
    rows[1]["potential_correction_ha_per_cell"] = 0.01
    table.write(tmp_path / "energies.csv", [rows[1], rows[0], rows[2]])
    section = parse(FamilyConfig, SIZE, where="f")
    family = {
        **{k: getattr(section, k) for k in ("powers", "corrections", "literature")},
        "name": "cells",
        "literature_source": "",
        "points": [{"material": name, "x": None} for name in SIZE["materials"]],
    }
    sizes.write([family], tmp_path / "energies.csv", tmp_path / "sizes.csv")
    found = table.read(tmp_path / "sizes.csv")
    assert tuple(found[0]) == sizes.COLUMNS
    assert [row["n_particles"] for row in found] == [4, 6, 8]
    assert {round(row["limit_ha_per_particle"], 12) for row in found} == {-0.5}
    assert found[0]["energy_ha_per_particle"] == pytest.approx(-0.45)
    assert found[0]["size_correction_ha_per_particle"] == pytest.approx(-0.05)
    assert found[0]["size_correction_error_ha_per_particle"] > 0.5e-4
    with pytest.raises(DataError, match="no potential correction"):
        curves(family | {"corrections": ["potential"]}, rows)
    with pytest.raises(DataError, match="no method"):
        curves(family, rows[:2])


@pytest.mark.parametrize("order", [2, 3])
def test_the_table_of_equations_of_state(tmp_path, order):
    a = np.array([3.6, 3.9, 4.2, 4.5])
    points = [
        {"material": f"a{i}", "x": x, "volume_bohr3": 25 * x**3 / 16} for i, x in enumerate(a)
    ]
    slope = {2: 4.0, 3: 3.5}[order]
    energy = [murnaghan(p["volume_bohr3"], b1=slope) for p in points]
    rows = [energy_row(p["material"], e) for p, e in zip(points, energy, strict=True)]
    table.write(tmp_path / "energies.csv", rows)
    family = {"name": "f", "along": "a_angstrom", "corrections": [], "points": points}
    family["order"] = order
    family |= {"literature": 4.06, "literature_source": "somewhere"}
    equation_of_state.write([family], tmp_path / "energies.csv", tmp_path / "eos.csv")
    (row,) = table.read(tmp_path / "eos.csv")
    assert tuple(row) == equation_of_state.COLUMNS
    expected = (105.0 * 16 / 25) ** (1 / 3)
    assert row["lattice_constant_angstrom"] == pytest.approx(expected, rel=1e-6)
    assert row["lattice_constant_bohr"] == pytest.approx(expected / 0.529177210544, rel=1e-6)
    assert row["bulk_modulus_gpa"] == pytest.approx(1.2e-3 * HARTREE_PER_BOHR3_GPA, rel=1e-4)
    assert row["bulk_modulus_error_gpa"] > 0
    assert row["order"] == order and row["bulk_modulus_derivative"] == pytest.approx(slope)
    assert (row["bulk_modulus_derivative_error"] is None) == (order == 2)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"materials": ["a", "b"]}, "key 'along'"),
        ({"materials": ["a", "b"], "analysis": "size", "along": "rs"}, "key 'along'"),
        (SIZE | {"powers": [1, 1]}, "key 'powers'"),
        (SIZE | {"powers": [0]}, "key 'powers'"),
        (SIZE | {"powers": []}, "key 'powers'"),
        (SIZE | {"corrections": ["structure"]}, "key 'corrections'"),
        (SIZE | {"analysis": "sizes"}, "did you mean 'size'"),
        (PHASES | {"corrections": ["twist"]}, "key 'corrections'"),
        (PHASES | {"powers": [1, 2]}, "key 'powers'"),
        (PHASES | {"literature": 1.0}, "key 'literature'"),
        (PHASES | {"order": 2}, "key 'order'"),
        (PHASES | {"analysis": "equation-of-state", "order": 4}, "at least 2 and at most 3"),
    ],
)
def test_bad_sections(section, message):
    with pytest.raises(ConfigError, match=message):
        parse(FamilyConfig, section, where="family")


def test_phases_need_both_determinants(tmp_path):
    family = {"analysis": "phases", "along": "rs", "materials": ["g20", "g5"]}
    full = {"g5": ["bare", "crystal", "net"], "g20": ["bare", "crystal", "net"]}
    materials = {"g5": gas(5), "g20": gas(20)}
    (found,) = load(root=project(tmp_path, materials, full, {"w": family})).families("phases")
    assert [p["x"] for p in found["points"]] == [5.0, 20.0]
    methods = {"bare": "scf", "crystal": "localised", "net": "scf"}
    assert found["points"][0]["methods"] == methods
    assert found["points"][0]["determinants"] == ["bare", "crystal"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"materials": ["c2", "c2", "c3"]}, "'c2' is listed twice"),
        ({"materials": ["c2", "c3", "again"], "powers": [1, 2]}, "3 different numbers at least"),
        ({"materials": ["c2", "c3", "other"]}, "a crystal of He, 'c2' a crystal of H"),
        ({"materials": ["c2", "c3", "molecule"]}, "a molecule of H"),
        ({"materials": ["c2", "c3", "c4"]}, "no method runs for all materials"),
        ({"corrections": ["twist"]}, "c2/bare has no twist correction"),
        ({"corrections": ["potential"]}, "c2/bare has no potential correction"),
    ],
)
def test_sizes_that_cannot_be_extrapolated_are_refused(tmp_path, changes, message):
    """Before anything runs: otherwise it is found when every run is done."""
    family = {"analysis": "size", "materials": ["c2", "c3"], "powers": [1]} | changes
    runs = {name: ["bare"] for name in CELLS} | {"c4": ["net"]}
    with pytest.raises(ConfigError, match=message):
        load(root=project(tmp_path, CELLS, runs, {"f": family})).check()


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (CELLS["c2"], CELLS["c3"].replace("1.8", "3.6"), "spacing_bohr of 'b' is 3.6, of 'a' 1.8"),
        (FOURTEEN, electrons(5, 38, 0, "sc"), "rs of 'b' is 5.0, of 'a' 1.0"),
        (FOURTEEN, electrons(1, 7, 1, "sc"), "polarisation of 'b' is 1.0"),
        (FOURTEEN, electrons(1, 38, 0, "bcc"), "lattice of 'b' is bcc"),
    ],
    ids=["spacing", "rs", "polarisation", "lattice"],
)
def test_cells_of_other_matter_are_no_family(tmp_path, one, other, message):
    family = {"analysis": "size", "materials": ["a", "b"]}
    runs = {"a": ["bare"], "b": ["bare"]}
    with pytest.raises(ConfigError, match=message):
        load(root=project(tmp_path, {"a": one, "b": other}, runs, {"f": family})).check()


def test_equal_coordinates_are_refused(tmp_path):
    names = ["l1", "l2", "l3", "l4"]
    materials = {name: rocksalt(3.8 + 0.1 * max(i, 1)) for i, name in enumerate(names)}
    family = {"analysis": "equation-of-state", "along": "a_angstrom", "materials": names}
    folder = project(tmp_path, materials, {name: ["bare"] for name in names}, {"e": family})
    with pytest.raises(ConfigError, match="a_angstrom of the materials is"):
        load(root=folder).families()


def test_an_order_parameter_without_its_crystal_is_refused(tmp_path):
    """Before the training whose evaluation would fail."""
    folder = project(tmp_path, {"g": gas(5, "")}, {"g": ["net"]}, {})
    (folder / "methods/net.yaml").write_text("evaluate: {observables: [order-parameter]}\n")
    with pytest.raises(ConfigError, match="1 x 1 x 1 sites for 2 electrons"):
        load(root=folder).check()


def test_phases_without_the_crystal_are_refused(tmp_path):
    family = {"analysis": "phases", "along": "rs", "materials": ["g20", "g5"]}
    runs = {"g5": ["bare", "net"], "g20": ["bare", "crystal", "net"]}
    folder = project(tmp_path, {"g5": gas(5), "g20": gas(20)}, runs, {"w": family})
    with pytest.raises(ConfigError, match="reference"):
        load(root=folder).check()


@pytest.mark.parametrize(
    ("material", "message"),
    [
        (gas(5, ""), "no sites"),
        (gas(5, ", sites: [2, 2, 1]"), "2 x 2 x 1 sites for 2 electrons"),
        (gas(5).replace("polarisation: 1", "polarisation: 0"), "both spins"),
        (rocksalt(4.0), "no sites"),
    ],
)
def test_sites_that_hold_no_crystal_are_refused(tmp_path, material, message):
    folder = project(tmp_path, {"g": material}, {"g": ["crystal"]}, {})
    with pytest.raises(ConfigError, match=message):
        load(root=folder).check()


def test_a_network_is_not_told_the_sites(tmp_path):
    folder = project(tmp_path, {"g": gas(5)}, {"g": ["net"]}, {})
    (folder / "methods/net.yaml").write_text("reference: localised\n")
    with pytest.raises(ConfigError, match="not told where the sites are"):
        load(root=folder).check()


def test_the_crystal_of_a_gas_is_that_of_its_order_parameter(tmp_path):
    campaign = load(root=project(tmp_path, {"g": gas(5)}, {"g": ["crystal"]}, {}))
    section = campaign.sections("evaluate", "g", "crystal", 0)
    assert section["evaluate"]["sites"] == [2, 1, 1]
    section = campaign.sections("localised", "g", twist=0)
    assert (section["sites"], section["mean_field"]["method"]) == ([2, 1, 1], "localised")


def test_equations_of_state_are_of_one_shape(tmp_path):
    names = ["l1", "l2", "l3", "l4"]
    materials = {name: rocksalt(3.8 + 0.1 * i) for i, name in enumerate(names)}
    family = {"analysis": "equation-of-state", "along": "a_angstrom", "materials": names}
    runs = {name: ["bare"] for name in names}
    (found,) = load(root=project(tmp_path, materials, runs, {"e": family})).families()
    volume = [point["volume_bohr3"] for point in found["points"]]
    np.testing.assert_allclose(volume[0], (3.8 / 0.529177210544) ** 3 / 4, rtol=1e-9)
    for other, message in (
        (rocksalt(4.1).replace("rocksalt", "zincblende"), "prototype of 'l4' is zincblende"),
        (rocksalt(4.1) + "supercell: [2, 1, 1]\n", "n_cells of 'l4' is 2"),
        (rocksalt(4.1) + "twists: {grid: [2, 2, 2]}\n", "twists of 'l4' is"),
    ):
        (tmp_path / "materials/l4.yaml").write_text(other)
        with pytest.raises(ConfigError, match=message):
            load(root=tmp_path).families()
    for i, name in enumerate(names):
        layer = f"prototype: graphene, species: [C], a_angstrom: {2.4 + 0.1 * i}, vacuum_bohr: 20"
        (tmp_path / f"materials/{name}.yaml").write_text(f"structure: {{kind: prototype, {layer}}}")
    with pytest.raises(ConfigError, match="cube of the lattice constant"):
        load(root=tmp_path).families()


def test_a_method_without_a_minimum_takes_no_row_from_the_others(tmp_path, caplog):
    volume = np.array([80.0, 100.0, 120.0, 140.0, 160.0])
    points = [
        {"material": f"m{i}", "x": v ** (1 / 3), "volume_bohr3": v} for i, v in enumerate(volume)
    ]
    family = {
        "name": "e",
        "along": "a_bohr",
        "corrections": [],
        "order": 3,
        "literature": None,
        "literature_source": "",
        "points": points,
    }
    good = 1e-5 * (volume - 120) ** 2 - 1
    bad = -1e-3 * volume
    rows = [
        energy_row(point["material"], e, method=method)
        for method, curve in (("good", good), ("bad", bad))
        for point, e in zip(points, curve, strict=True)
    ]
    assert [row["method"] for row in equation_of_state._lines(family, rows)] == ["good"]
    assert "method bad: no row" in caplog.text
    with pytest.raises(DataError, match="no minimum"):
        equation_of_state._lines(family, [row for row in rows if row["method"] == "bad"])


def test_three_volumes_make_no_equation_of_state(tmp_path):
    names = ["l1", "l2", "l3"]
    materials = {name: rocksalt(3.8 + 0.1 * i) for i, name in enumerate(names)}
    family = {"analysis": "equation-of-state", "along": "a_angstrom", "materials": names}
    folder = project(tmp_path, materials, {name: ["bare"] for name in names}, {"e": family})
    with pytest.raises(ConfigError, match="four at least"):
        load(root=folder).check()
    family["order"] = 2
    (tmp_path / "second").mkdir()
    folder = project(
        tmp_path / "second", materials, {name: ["bare"] for name in names}, {"e": family}
    )
    load(root=folder).check()

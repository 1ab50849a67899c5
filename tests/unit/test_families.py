"""Fits over families: infinite size, equations of state, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.campaign import load
from engine.config import FamilyConfig, parse
from engine.errors import ConfigError, DataError
from engine.io import table
from engine.mean_field import plane_waves
from engine.stage import equation_of_state, sizes
from engine.stage.equation_of_state import birch_murnaghan
from engine.stage.families import corrected, curves
from engine.stage.fits import least_squares, propagated
from engine.stage.sizes import extrapolate
from engine.units import HARTREE_PER_BOHR3_GPA

CHAIN = {  # atoms -> hartree per atom, four twists; arXiv:2405.07599, plot data
    4: -0.573954,
    6: -0.570666,
    8: -0.568869,
    10: -0.567841,
    12: -0.567208,
    16: -0.566541,
    22: -0.566082,
}
QUARTER = {4: -0.582824, 6: -0.574634, 8: -0.571099, 10: -0.569286}
"""The same at twist 1/4 alone: a closed shell for every number of atoms."""
LIH = {  # lattice constant in bohr -> hartree per formula unit, and its correction
    6.4: (-8.165402, 0.019199),
    6.8: (-8.175212, 0.017821),
    7.2: (-8.179177, 0.016614),
    7.6: (-8.178939, 0.015314),
    7.9: (-8.175945, 0.014186),
    8.3: (-8.170945, 0.012913),
    8.7: (-8.164567, 0.0119),
    9.1: (-8.157392, 0.010682),
}
"""2x2x2, twist averages and structure-factor corrections of the same source; lattice constants are
rounded labels of 3.4, 3.6, ... 4.8 angstrom."""


@pytest.mark.parametrize(("cells", "powers"), [(CHAIN, [1, 2, 3]), (QUARTER, [2, 3])])
def test_the_published_chain_extrapolates_to_the_infinite_one(cells, powers):
    """AFQMC has -0.565695(309), LR-DMC -0.5652 hartree per atom."""
    n, energy = (np.array(x, float) for x in zip(*cells.items(), strict=True))
    limit = extrapolate(n, energy, np.full(len(n), 1e-5), powers)
    assert -0.5657 < limit.value < -0.5652
    assert abs(limit.value + 0.565695) < 3.1e-4 + limit.error
    assert limit.chi2_per_degree < 2 and 5e-5 < limit.error < 2e-4


def test_a_model_that_does_not_fit_shows_in_chi_squared_and_in_the_error():
    n, energy = (np.array(x, float) for x in zip(*CHAIN.items(), strict=True))
    limit = extrapolate(n, energy, np.full(len(n), 1e-5), [2])
    assert limit.chi2_per_degree > 1000
    assert 1 < abs(limit.value + 0.565393) / limit.error < 3


def test_the_determinant_of_the_gas_extrapolates_to_that_of_the_infinite_one(monkeypatch):
    """Exchange of a Fermi sea converges as N^(-2/3) after twist averaging; rs = 1, unpolarised."""
    monkeypatch.setattr(plane_waves, "ZONE_GRID", 4)
    n = np.array([14, 38, 54, 66, 114, 162])
    cells = [(4 * np.pi / 3 * k) ** (1 / 3) * np.eye(3) for k in n]
    averages = [
        plane_waves.zone_average(c, (k // 2, k // 2)) for c, k in zip(cells, n, strict=True)
    ]
    limit = extrapolate(n, np.array(averages) / n, np.zeros(6), [2 / 3])
    exact = 1.1049503 - 0.4581653
    assert abs(limit.value - exact) < limit.error < 4e-3
    wrong = extrapolate(n, np.array(averages) / n, np.zeros(6), [4 / 3])
    assert abs(wrong.value - exact) > 3 * wrong.error


def test_a_limit_is_exact_on_its_own_model():
    n = np.array([4.0, 6, 8, 12])
    energy = -0.5 + 0.3 / n - 0.7 / n**2
    limit = extrapolate(n, energy, np.full(4, 1e-4), [1, 2])
    assert limit.value == pytest.approx(-0.5, abs=1e-12)
    assert limit.model < 1e-12 and limit.statistical > 1e-4


def test_the_statistical_error_of_a_limit_is_its_scatter():
    n, rng = np.array([8.0, 16, 32, 64]), np.random.default_rng(1)
    fits = [
        extrapolate(n, -1 + 0.2 / n + 1e-3 * rng.normal(size=4), np.full(4, 1e-3), [1])
        for _ in range(400)
    ]
    scatter = np.std([fit.value for fit in fits])
    quiet = [fit.statistical for fit in fits if fit.chi2_per_degree <= 1]
    assert scatter == pytest.approx(quiet[0], rel=0.12)


def test_without_spare_points_the_model_error_is_that_of_a_lower_power():
    limit = extrapolate(np.array([2.0, 4]), np.array([-1.0, -1.1]), np.array([1e-3, 1e-3]), [1])
    assert limit.value == pytest.approx(-1.2) and limit.chi2_per_degree is None
    assert limit.model == pytest.approx(0.15, abs=1e-3)


def murnaghan(volume, e0=-8.0, v0=105.0, b0=1.2e-3, b1=3.5):
    """The third-order Birch-Murnaghan energy as it is usually written."""
    x = (v0 / volume) ** (2 / 3)
    return e0 + 9 * v0 * b0 / 16 * ((x - 1) ** 3 * b1 + (x - 1) ** 2 * (6 - 4 * x))


def test_an_equation_of_state_is_exact_on_its_own_model():
    volume = np.linspace(80, 140, 6)
    state = birch_murnaghan(volume, murnaghan(volume), np.full(6, 1e-5))
    found = [x[0] for x in (state.energy, state.volume, state.bulk_modulus, state.derivative)]
    np.testing.assert_allclose(found, [-8.0, 105.0, 1.2e-3, 3.5], rtol=1e-8)


def test_errors_of_an_equation_of_state_are_the_scatter_of_its_results():
    volume, rng, sigma = np.linspace(80, 140, 7), np.random.default_rng(3), 1e-4
    error = np.full(7, sigma)
    states = [
        birch_murnaghan(volume, murnaghan(volume) + sigma * rng.normal(size=7), error)
        for _ in range(300)
    ]
    exact = birch_murnaghan(volume, murnaghan(volume), error)
    for name in ("volume", "energy", "bulk_modulus", "derivative"):
        scatter = np.std([getattr(state, name)[0] for state in states])
        assert scatter == pytest.approx(getattr(exact, name)[1], rel=0.15), name


@pytest.mark.parametrize(
    ("corrected", "a", "bulk_modulus", "energy"),
    [(False, 7.331, 42.6, -8.17937), (True, 7.480, 36.4, -8.16350)],
)
def test_lithium_hydride_has_the_published_equation_of_state(corrected, a, bulk_modulus, energy):
    """Values of another fit of the same table, at the rounded lattice constants."""
    labels = np.array(list(LIH))
    raw, correction = np.array(list(LIH.values())).T
    state = birch_murnaghan(labels**3 / 4, raw + corrected * correction, np.zeros(8))
    assert (4 * state.volume[0]) ** (1 / 3) == pytest.approx(a, abs=2e-3)
    assert state.bulk_modulus[0] * HARTREE_PER_BOHR3_GPA == pytest.approx(bulk_modulus, abs=0.1)
    assert state.energy[0] == pytest.approx(energy, abs=2e-5)


def test_points_closer_to_the_curve_have_smaller_errors():
    """The lattice constants that the labels were rounded from scatter less."""
    raw = np.array(list(LIH.values()))[:, 0]
    exact = np.arange(3.4, 4.81, 0.2) / 0.529177210544
    rounded, true = (
        birch_murnaghan(a**3 / 4, raw, np.zeros(8)) for a in (np.array(list(LIH)), exact)
    )
    assert true.bulk_modulus[1] < 0.3 * rounded.bulk_modulus[1]
    assert true.bulk_modulus[0] * HARTREE_PER_BOHR3_GPA == pytest.approx(44.05, abs=0.1)


def test_energies_without_a_minimum_are_refused():
    volume = np.linspace(80, 140, 5)
    with pytest.raises(DataError, match="no minimum"):
        birch_murnaghan(volume, -(volume**0.5), np.zeros(5))


def test_coefficients_without_errors_have_the_scatter_as_error():
    x = np.arange(6.0)
    y = 1 + 2 * x + np.array([1, -1, 1, -1, 1, -1]) * 0.1
    fit = least_squares(np.vander(x, 2, increasing=True), y, np.zeros(6))
    value, error = propagated(lambda c: np.array([c[0] + c[1]]), fit)
    assert value[0] == pytest.approx(3, abs=0.15) and 0.01 < error[0] < 0.2
    assert fit.chi2_per_degree is None


# --- tables ------------------------------------------------------------------------------


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


def test_the_table_of_equations_of_state(tmp_path):
    a = np.array([3.6, 3.9, 4.2, 4.5])
    points = [
        {"material": f"a{i}", "x": x, "volume_bohr3": 25 * x**3 / 16} for i, x in enumerate(a)
    ]
    energy = [murnaghan(p["volume_bohr3"]) for p in points]
    rows = [energy_row(p["material"], e) for p, e in zip(points, energy, strict=True)]
    table.write(tmp_path / "energies.csv", rows)
    family = {"name": "f", "along": "a_angstrom", "corrections": [], "points": points}
    family |= {"literature": 4.06, "literature_source": "somewhere"}
    equation_of_state.write([family], tmp_path / "energies.csv", tmp_path / "eos.csv")
    (row,) = table.read(tmp_path / "eos.csv")
    assert tuple(row) == equation_of_state.COLUMNS
    expected = (105.0 * 16 / 25) ** (1 / 3)
    assert row["lattice_constant_angstrom"] == pytest.approx(expected, rel=1e-6)
    assert row["lattice_constant_bohr"] == pytest.approx(expected / 0.529177210544, rel=1e-6)
    assert row["bulk_modulus_gpa"] == pytest.approx(1.2e-3 * HARTREE_PER_BOHR3_GPA, rel=1e-4)
    assert row["bulk_modulus_error_gpa"] > 0


# --- configuration -----------------------------------------------------------------------


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
    ],
)
def test_bad_sections(section, message):
    with pytest.raises(ConfigError, match=message):
        parse(FamilyConfig, section, where="family")


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


def test_phases_need_both_determinants(tmp_path):
    family = {"analysis": "phases", "along": "rs", "materials": ["g20", "g5"]}
    full = {"g5": ["bare", "crystal", "net"], "g20": ["bare", "crystal", "net"]}
    materials = {"g5": gas(5), "g20": gas(20)}
    (found,) = load(root=project(tmp_path, materials, full, {"w": family})).families("phases")
    assert [p["x"] for p in found["points"]] == [5.0, 20.0]
    methods = {"bare": "scf", "crystal": "localised", "net": "scf"}
    assert found["points"][0]["methods"] == methods
    assert found["points"][0]["determinants"] == ["bare", "crystal"]


CELL = "structure: {kind: chain, species: %s, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}\n"
CELLS = {f"c{n}": CELL % "H" + f"supercell: [{n}, 1, 1]\n" for n in (2, 3, 4)}
CELLS |= {"again": CELLS["c3"], "other": CELL % "He" + "supercell: [5, 1, 1]\n"}
CELLS |= {"molecule": "structure: {kind: molecule, name: H2}\n"}


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


def electrons(rs, number, polarisation, lattice):
    keys = f"rs: {rs}, electrons: {number}, polarisation: {polarisation}, lattice: {lattice}"
    plane_waves = "mean_field: {method: plane-waves}\n"
    return f"structure: {{kind: electron-gas, {keys}}}\n{plane_waves}"


FOURTEEN = electrons(1, 14, 0, "sc")


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


def test_the_smallest_cell_may_be_there_twice():
    """Both are left out to see how far the limit moves."""
    n, error = np.array([4, 4, 6, 8]), np.full(4, 1e-4)
    energy = -1 + 0.1 / n + np.array([1e-4, -1e-4, 0, 0])
    limit = extrapolate(n, energy, error, [1])
    assert limit.value == pytest.approx(-1, abs=3e-4) and limit.model < 1e-3
    assert extrapolate(n[:3], energy[:3], error[:3], [1]).model < 0.1


def test_equal_coordinates_are_refused(tmp_path):
    names = ["l1", "l2", "l3", "l4"]
    materials = {name: rocksalt(3.8 + 0.1 * max(i, 1)) for i, name in enumerate(names)}
    family = {"analysis": "equation-of-state", "along": "a_angstrom", "materials": names}
    folder = project(tmp_path, materials, {name: ["bare"] for name in names}, {"e": family})
    with pytest.raises(ConfigError, match="a_angstrom of the materials is"):
        load(root=folder).families()


def test_corrections_of_one_structure_factor_have_opposite_errors():
    """A slope s makes both, as s and as 1/s; where they are equal their errors cancel."""
    row = energy_row("gas", -1.0)
    row |= {"potential_correction_ha_per_cell": 0.03, "kinetic_correction_ha_per_cell": 0.03}
    for name in ("potential", "kinetic"):
        row[f"{name}_correction_error_ha_per_cell"] = 4e-4
    assert corrected(row, ["potential"]) == pytest.approx((-0.97, np.hypot(1e-4, 4e-4)))
    assert corrected(row, ["kinetic", "potential"]) == pytest.approx((-0.94, 1e-4))


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

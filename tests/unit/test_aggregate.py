"""Twist averages and their tables."""

import csv
import math

import numpy as np
import pytest

from engine.errors import DataError
from engine.io import hdf5, table
from engine.io.trace import write_trace
from engine.stage.aggregate import (
    ENERGY_COLUMNS,
    TWIST_COLUMNS,
    _literature,
    collect,
    twist_average,
)
from engine.stage.averages import spread, weighted_error, weighted_mean
from tests.unit.evaluations import ENERGIES, ERRORS, SECTIONS, TWISTS, average_in, evaluation, trace


@pytest.fixture
def averaged(tmp_path):
    return average_in(tmp_path)


def test_the_row_is_the_weighted_mean_per_primitive_cell(averaged):
    [row] = table.read(averaged / "energy.csv")
    assert tuple(row) == ENERGY_COLUMNS
    assert row["energy_ha_per_cell"] == pytest.approx(
        (0.25 * -2.0 + 0.5 * -2.4 + 0.25 * -2.2) / 2, abs=1e-15
    )
    assert row["error_ha_per_cell"] == pytest.approx(
        math.sqrt(0.005**2 + 0.005**2 + 0.01**2) / 2, abs=1e-15
    )
    # E = -1.125; deviations 0.125, -0.075, 0.025
    assert row["twist_spread_ha_per_cell"] == pytest.approx(
        math.sqrt(0.25 * 0.125**2 + 0.5 * 0.075**2 + 0.25 * 0.025**2), abs=1e-15
    )
    assert row["literature_ha_per_cell"] == -1.0
    assert row["literature_error_ha_per_cell"] == 0.002
    assert row["difference_ha_per_cell"] == pytest.approx(-0.125, abs=1e-15)
    assert row["kinetic_ha_per_cell"] + row["potential_ha_per_cell"] == pytest.approx(
        row["energy_ha_per_cell"]
    )
    assert row["mean_field_ha_per_cell"] == pytest.approx(row["energy_ha_per_cell"] + 0.05)
    assert (row["n_atoms"], row["n_cells"], row["n_twists"], row["samples"]) == (2, 2, 3, 3000)
    assert row["tau_steps"] == 4.4
    assert row["target_reached"] is True
    assert row["hours"] == pytest.approx(3 * 0.1)  # 360 s at each twist, training included
    assert (row["device"], row["commit"], row["engine_version"], row["seed"]) == (
        "cpu",
        "abc",
        "0.1.0",
        5,
    )


def test_twists_are_never_pooled():
    # Pooling would count the scatter of twists as noise, or weigh twists by their samples.
    assert weighted_error([0.0, 0.0], [0.5, 0.5]) == 0.0
    assert spread([1.0, 3.0], [0.5, 0.5]) == 1.0
    assert weighted_mean([1.0, 3.0], [0.25, 0.75]) == 2.5


def test_one_row_for_each_twist(averaged):
    rows = table.read(averaged / "twists.csv")
    assert tuple(rows[0]) == TWIST_COLUMNS
    assert [row["energy_ha_per_cell"] for row in rows] == [-1.0, -1.2, -1.1]
    assert [row["frac_1"] for row in rows] == [0.0, 0.25, 0.5]
    assert [row["weight"] for row in rows] == [0.25, 0.5, 0.25]
    compiled = [
        [row[f"{stage}_compile_s"] for stage in ("pretrain", "vmc", "evaluate")] for row in rows
    ]
    assert compiled == [[7.5, 20.0, 3.0], [7.5, 10.0, 3.0], [7.5, 20 / 3, 3.0]]


def test_what_training_gained_at_its_end_is_said(tmp_path):
    training = []
    for k, gain_ha in enumerate((0.2, 0.0)):
        vmc, about = tmp_path / f"v{k}.h5", {"gain_ha": gain_ha, "gain_error_ha": 0.03}
        write_trace(vmc, {"seconds": np.ones(2)}, fingerprint="t", attributes=about)
        training.append((trace(tmp_path / f"p{k}.h5", [], 0.0), vmc))
    twist_average(
        SECTIONS | {"twists": TWISTS[:2]},
        results=[
            evaluation(tmp_path / f"{t['index']}.h5", t["frac"], -2.0, 0.01) for t in TWISTS[:2]
        ],
        training=training,
        energy=tmp_path / "e.csv",
        twists=tmp_path / "t.csv",
    )
    gains = [row["training_gain_ha_per_cell"] for row in table.read(tmp_path / "t.csv")]
    assert gains == pytest.approx([0.1, 0.0])  # two primitive cells
    [row] = table.read(tmp_path / "e.csv")  # weights 1/4 and 1/2
    assert row["training_gain_ha_per_cell"] == pytest.approx(0.1 / 3)
    assert row["training_gain_error_ha_per_cell"] == pytest.approx(0.015 * math.sqrt(5) / 3)


def test_no_gain_is_made_up_of_few_steps(averaged):
    for file in ("energy.csv", "twists.csv"):
        assert {row["training_gain_ha_per_cell"] for row in table.read(averaged / file)} == {None}


def test_one_unfinished_twist_is_said(tmp_path):
    sections = SECTIONS | {"twists": TWISTS[:1], "literature": None}
    result = evaluation(tmp_path / "0.h5", [0.0, 0.0, 0.0], -1.0, 0.1, converged=False)
    twist_average(
        sections,
        results=[result],
        training=[[trace(tmp_path / f"{name}.h5", [], 0.0) for name in ("p", "v")]],
        energy=tmp_path / "e.csv",
        twists=tmp_path / "t.csv",
    )
    [row] = table.read(tmp_path / "e.csv")
    assert row["target_reached"] is False
    assert row["literature_ha_per_cell"] is None and row["difference_ha_per_cell"] is None


def test_an_evaluation_of_another_twist_is_refused(tmp_path):
    result = evaluation(tmp_path / "0.h5", [0.5, 0.0, 0.0], -1.0, 0.1)
    with pytest.raises(DataError, match="is at twist"):
        twist_average(
            SECTIONS | {"twists": TWISTS[:1]},
            results=[result],
            training=[[trace(tmp_path / f"{name}.h5", [], 0.0) for name in ("p", "v")]],
            energy=tmp_path / "e.csv",
            twists=tmp_path / "t.csv",
        )
    assert not (tmp_path / "e.csv").exists()


def test_the_fingerprint_follows_the_evaluations(averaged, tmp_path):
    before = table.read(averaged / "energy.csv")[0]["fingerprint"]
    results = [
        evaluation(tmp_path / f"n{t['index']}.h5", t["frac"], e - 0.1, s)
        for t, e, s in zip(TWISTS, ENERGIES, ERRORS, strict=True)
    ]
    twist_average(
        SECTIONS,
        results=results,
        training=[(tmp_path / f"p{k}.h5", tmp_path / f"v{k}.h5") for k in range(3)],
        energy=tmp_path / "e.csv",
        twists=tmp_path / "t.csv",
    )
    assert table.read(tmp_path / "e.csv")[0]["fingerprint"] != before


def field(path, twist, total):
    hdf5.write(path, "mean_field", {"twist": np.array(twist), "total": total}, fingerprint="m")
    return path


def test_the_zone_corrects_for_the_twists_used(averaged, tmp_path):
    points = [
        {"index": 0, "frac": [0.0, 0.0, 0.0], "spin": 0, "weight": 0.125},
        {"index": 1, "frac": [0.125, 0.0, 0.0], "spin": 0, "weight": 0.875},
    ]
    arguments = {
        "results": [averaged / f"{k}.h5" for k in range(3)],
        "training": [(averaged / f"p{k}.h5", averaged / f"v{k}.h5") for k in range(3)],
        "energy": tmp_path / "zone.csv",
        "twists": tmp_path / "zone-twists.csv",
    }
    totals = (-1.0, -1.4)  # hartree per primitive cell
    zone = [
        field(tmp_path / f"z{p['index']}.h5", p["frac"], total)
        for p, total in zip(points, totals, strict=True)
    ]
    twist_average(SECTIONS | {"zone": points}, zone=zone, **arguments)
    (row,), (plain,) = (table.read(p) for p in (tmp_path / "zone.csv", averaged / "energy.csv"))
    # of the twists used (-2.25 + 0.1) / 2
    assert row["twist_correction_ha_per_cell"] == pytest.approx(-1.35 + 1.075, abs=1e-12)
    assert plain["twist_correction_ha_per_cell"] is None
    assert row["energy_ha_per_cell"] == plain["energy_ha_per_cell"]
    assert row["fingerprint"] != plain["fingerprint"]
    with pytest.raises(DataError, match=r"z1.h5: is at twist \[0.125, 0.0"):
        twist_average(SECTIONS | {"zone": points[:1] * 2}, zone=zone, **arguments)


def test_errors_of_extrapolated_energies_add_up(averaged, tmp_path):
    """They share their sign; and energies that have no kinetic part leave its column empty."""
    facts = {"estimator": "extrapolated", "kinetic_ha": None, "potential_ha": None}
    results = [
        evaluation(tmp_path / f"e{t['index']}.h5", t["frac"], e, s, **facts)
        for t, e, s in zip(TWISTS, ENERGIES, ERRORS, strict=True)
    ]
    training = [(averaged / f"p{k}.h5", averaged / f"v{k}.h5") for k in range(3)]
    paths = {"energy": tmp_path / "other.csv", "twists": tmp_path / "other-twists.csv"}
    twist_average(SECTIONS, results=results, training=training, **paths)
    (row,), (plain,) = (table.read(p) for p in (tmp_path / "other.csv", averaged / "energy.csv"))
    weights = [t["weight"] for t in TWISTS]
    linear = sum(w * s for w, s in zip(weights, ERRORS, strict=True)) / sum(weights) / 2
    assert row["error_ha_per_cell"] == pytest.approx(linear) and linear > plain["error_ha_per_cell"]
    assert row["energy_ha_per_cell"] == plain["energy_ha_per_cell"]
    assert row["kinetic_ha_per_cell"] is row["potential_ha_per_cell"] is None


def test_tables_are_joined(averaged, tmp_path):
    collect([averaged / "energy.csv"] * 2, tmp_path / "all.csv", ENERGY_COLUMNS)
    with open(tmp_path / "all.csv", newline="") as file:
        assert [row["material"] for row in csv.DictReader(file)] == ["chain", "chain"]


def test_a_table_keeps_all_digits_and_kinds(tmp_path):
    row = {"a": 0.1 + 0.2, "b": 7, "c": None, "d": True, "e": 'x, "y"', "material": "2"}
    table.write(tmp_path / "t.csv", [row])
    assert table.read(tmp_path / "t.csv") == [row]
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_names_that_look_like_numbers_stay_text(tmp_path):
    path = tmp_path / "twists.csv"
    row = {"twist": "012", "job_ids": "123_4", "hosts": "1e5", "contrast": "7"}
    table.write(path, [row])
    assert table.read(path) == [row]


def test_a_torn_table_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1\n")
    with pytest.raises(DataError, match="line 2 has 1 fields"):
        table.read(tmp_path / "t.csv")


@pytest.mark.parametrize("unit, factor", [("ha_per_electron", 3), ("ha_per_atom", 2)])
def test_literature_is_counted_per_what_its_unit_says(unit, factor):
    entry = {"value": -0.5, "unit": unit, "source": "a paper", "uncertainty": 0.1}
    sections = {"n_atoms": 2, "n_electrons": 3.0}
    columns = _literature(entry, sections, -1.0)
    assert columns["literature_ha_per_cell"] == -0.5 * factor
    assert columns["literature_error_ha_per_cell"] == pytest.approx(0.1 * factor)
    assert columns["difference_ha_per_cell"] == -1.0 + 0.5 * factor

"""A whole campaign in miniature: a molecule, and a two-electron cell at two twists."""

import re

import pytest

from engine.io import hdf5, table
from tests.workflow.conftest import Project
from tests.workflow.conftest import project as make_project


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = make_project.__wrapped__(tmp_path_factory.mktemp("miniature"))
    done = made.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_one_row_for_each_material_and_method(run: Project):
    rows = table.read(run.folder / "results/tables/energies.csv")
    assert [(r["material"], r["method"]) for r in rows] == [("h2", "net"), ("chain", "bare")]
    assert [(r["n_atoms"], r["n_cells"], r["n_twists"]) for r in rows] == [(2, 1, 1), (1, 2, 2)]
    for row in rows:
        assert row["error_ha_per_cell"] > 0
        assert row["hours"] > 0
        assert row["kinetic_ha_per_cell"] + row["potential_ha_per_cell"] == pytest.approx(
            row["energy_ha_per_cell"], abs=1e-4
        )
    assert rows[0]["difference_ha_per_cell"] == pytest.approx(
        rows[0]["energy_ha_per_cell"] + 1.1744757
    )


def test_the_average_is_that_of_the_twists(run: Project):
    twists = [
        t for t in table.read(run.folder / "results/tables/twists.csv") if t["material"] == "chain"
    ]
    row = table.read(run.folder / "results/chain/bare/energy.csv")[0]
    assert [t["weight"] for t in twists] == [0.5, 0.5]
    assert row["energy_ha_per_cell"] == pytest.approx(
        sum(t["energy_ha_per_cell"] for t in twists) / 2
    )
    result = hdf5.read(run.folder / "results/chain/bare/twist-001/evaluate/result.h5", "energy")
    assert result.attributes["twist"] == [0.5, 0.0, 0.0]
    assert result.attributes["energy_ha"] / 2 == pytest.approx(twists[1]["energy_ha_per_cell"])


def test_the_bare_determinant_has_the_energy_of_the_mean_field(run: Project):
    for row in table.read(run.folder / "results/chain/bare/twists.csv"):
        difference = row["energy_ha_per_cell"] - row["mean_field_ha_per_cell"]
        assert row["error_ha_per_cell"] < 0.01  # twists differ by a hundred times that
        assert abs(difference) < 5 * row["error_ha_per_cell"]


def test_the_twist_correction_is_the_mean_field_of_the_finer_grid(run: Project):
    zone = sorted((run.folder / "results/chain/mean_field/zone").glob("*.h5"))
    fields = [hdf5.read(path, "mean_field").data for path in zone]
    assert [list(f["twist"]) for f in fields] == [[0, 0, 0], [0.25, 0, 0], [0.5, 0, 0]]
    finer = (fields[0]["total"] + 2 * fields[1]["total"] + fields[2]["total"]) / 4
    [row] = table.read(run.folder / "results/chain/bare/energy.csv")
    correction = finer - row["mean_field_ha_per_cell"]
    assert row["twist_correction_ha_per_cell"] == pytest.approx(correction, abs=1e-9)
    assert abs(correction) > 1e-3
    [molecule] = table.read(run.folder / "results/h2/net/energy.csv")
    assert molecule["twist_correction_ha_per_cell"] is None


def test_the_report_opens_offline_and_holds_every_figure(run: Project):
    page = (run.folder / "results/report.html").read_text()
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\'\s>)]+)', page)
    assert addresses and all(a.startswith(("data:", "#")) for a in addresses)
    figures = sorted((run.folder / "results/figures").rglob("*.svg"))
    assert [f.name for f in figures] == ["twists.svg", "training.svg", "literature.svg"]
    assert page.count("data:image/svg+xml") == len(figures)
    assert all(f.with_suffix(".png").exists() for f in figures)


def test_every_number_of_the_report_is_one_of_the_tables(run: Project):
    page = (run.folder / "results/report.html").read_text()
    for row in table.read(run.folder / "results/tables/energies.csv"):
        assert f"{row['mean_field_ha_per_cell']:.6f}" in page
        assert row["fingerprint"] in page
    for row in table.read(run.folder / "results/tables/twists.csv"):
        assert f"{row['potential_ha_per_cell']:.4f}" in page


def test_logs_and_benchmarks_mirror_the_results(run: Project):
    for stage in ("pretrain", "vmc", "evaluate"):
        assert "jax" in (run.folder / f"logs/h2/net/twist-000/{stage}.log").read_text()
        assert (run.folder / f"logs/h2/net/twist-000/{stage}.benchmark.tsv").exists()
    assert (run.folder / "logs/chain/mean_field/scf/twist-001.benchmark.tsv").exists()


def test_no_torn_file_and_only_finished_states_are_left(run: Project):
    files = [p for p in (run.folder / "results").rglob("*") if p.is_file()]
    assert [p for p in files if p.suffix in (".part", ".lock")] == []
    folders = [p.parent for p in files if p.parent.name == "state" and p.suffix == ".h5"]
    assert len(folders) == len(set(folders))  # the last state of a stage alone


def test_a_second_run_has_nothing_to_do(run: Project):
    run.edit("methods/net.yaml", "ansatz:", "# a remark\nansatz:")
    assert run.plan() == set()

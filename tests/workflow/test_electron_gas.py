"""A whole campaign of an electron gas: no nuclei anywhere, observables in table and report."""

import numpy as np
import pytest

from engine.io import hdf5, table
from engine.io.observables import unpack
from tests.workflow.conftest import Project
from tests.workflow.conftest import project as make_project

CONTRAST = "contrasts: {pair: {terms: {gas: 0.5}, corrections: [twist]}}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = make_project.__wrapped__(tmp_path_factory.mktemp("gas"))
    made.write(
        "materials/gas.yaml",
        """
        description: two electrons
        structure: {kind: electron-gas, rs: 2.0, electrons: 2, polarisation: 0, lattice: bcc}
        mean_field: {method: plane-waves}
        twists: {points: [[0, 0, 0], [0.1, 0.2, 0.3]], weights: [1, 3]}
        literature: {value: -0.5, unit: ha_per_electron, source: somewhere}
        """,
    )
    made.edit(
        "methods/bare.yaml",
        "checkpoint_steps: 100",
        "checkpoint_steps: 100, wave_shells: 3, bins: 8, grid: 2,"
        " observables: [structure-factor, momentum-distribution, density, polarisation]",
    )
    made.edit("campaign.yaml", "h2: [net]\n", "gas: [bare]\n")
    made.edit(
        "campaign.yaml",
        "  chain: [bare]",
        "contrasts: {pair: {terms: {gas: 0.5}, corrections: [twist]}}",
    )
    done = made.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_the_row_counts_electrons_and_has_the_correction_it_can_have(run: Project):
    (row,) = table.read(run.folder / "results/tables/energies.csv")
    assert (row["n_atoms"], row["n_electrons"], row["n_twists"]) == (0, 2, 2)
    assert row["literature_ha_per_cell"] == -1.0
    assert abs(row["energy_ha_per_cell"] - row["mean_field_ha_per_cell"]) < (
        4 * row["error_ha_per_cell"]
    )
    assert np.isfinite(row["twist_correction_ha_per_cell"])
    for name in ("potential", "kinetic"):  # of a determinant alone they mean nothing
        assert row[f"{name}_correction_ha_per_cell"] is None


def test_contrasts_have_a_table_and_a_place_in_the_report(run: Project):
    (row,) = table.read(run.folder / "results/tables/energies.csv")
    (contrast,) = table.read(run.folder / "results/tables/contrasts.csv")
    total = row["energy_ha_per_cell"] + row["twist_correction_ha_per_cell"]
    assert contrast["value_ha"] == pytest.approx(0.5 * total)
    assert contrast["corrections"] == "twist"
    assert contrast["error_ha"] == pytest.approx(0.5 * row["error_ha_per_cell"])
    assert "Differences" in (run.folder / "results/report.html").read_text()


def test_observables_are_stored_and_drawn(run: Project):
    folder = run.folder / "results/gas/bare"
    data = hdf5.read(folder / "twist-001/evaluate/result.h5", "energy").data
    found = unpack(data)
    assert {"structure_factor", "density", "polarisation"} < set(found)
    assert found["momentum_distribution"].value.max() == pytest.approx(1)
    assert (run.folder / "results/figures/gas/bare/observables.png").exists()
    page = (run.folder / "results/report.html").read_text()
    assert "per electron" in page and "mean-field twist correction" in page

"""A whole campaign of an electron gas: no nuclei anywhere, observables in table and report."""

import numpy as np
import pytest

from engine.io import hdf5, table
from engine.io.observables import unpack
from tests.workflow.conftest import Project
from tests.workflow.conftest import project as make_project

FITS = """
contrasts: {pair: {terms: {gas/bare: 0.5}, corrections: [twist, potential]}}
families:
  dilution: {analysis: phases, along: rs, materials: [thin, gas]}
  cells: {analysis: size, materials: [gas, thin]}
""".strip()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = make_project.__wrapped__(tmp_path_factory.mktemp("gas"))
    for name, rs, sites in (("gas", 2, "[2, 1, 1]"), ("thin", 20, "[2, 2, 1]")):
        count = 2 if name == "gas" else 4
        made.write(
            f"materials/{name}.yaml",
            f"""
            description: polarised electrons
            structure: {{kind: electron-gas, rs: {rs}, electrons: {count}, polarisation: 1,
              lattice: bcc, sites: {sites}}}
            mean_field: {{method: plane-waves}}
            twists: {{points: [[0.05, 0.1, 0.2], [0.1, 0.2, 0.3]], weights: [1, 3]}}
            literature: {{value: -0.5, unit: ha_per_electron, source: somewhere}}
            """,
        )
    made.edit(
        "methods/bare.yaml",
        "checkpoint_steps: 100",
        "checkpoint_steps: 100, wave_shells: 3, bins: 8, grid: 2,"
        " observables: [structure-factor, momentum-distribution, density, polarisation,"
        " order-parameter, pair-density]",
    )
    bare = (made.folder / "methods/bare.yaml").read_text()
    made.write("methods/crystal.yaml", "reference: localised\n" + bare)
    made.edit("campaign.yaml", "h2: [net]\n", "gas: [bare, crystal]\n  thin: [bare, crystal]\n")
    made.edit("campaign.yaml", "  chain: [bare]", FITS)
    done = made.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def rows(run: Project):
    """Returns the rows of energies.csv by run."""
    found = table.read(run.folder / "results/tables/energies.csv")
    return {(row["material"], row["method"]): row for row in found}


def test_both_determinants_have_their_energies_and_their_order(run: Project):
    found = {
        (row["x"], row["method"]): row
        for row in table.read(run.folder / "results/tables/phases.csv")
    }
    assert list(found) == [(2.0, "bare"), (2.0, "crystal"), (20.0, "bare"), (20.0, "crystal")]
    for (_, method), row in found.items():
        other = "localised" if method == "crystal" else "plane_waves"
        assert abs(row[f"to_{other}_ha_per_electron"]) < 4.5 * row["error_ha_per_electron"]
    order = {key: row["order_parameter"] for key, row in found.items()}
    assert order[20.0, "crystal"] > order[20.0, "bare"] + 0.05
    assert (run.folder / "results/figures/families/dilution.png").exists()


def test_the_sizes_of_a_family_have_a_table_and_a_figure(run: Project):
    found = table.read(run.folder / "results/tables/sizes.csv")
    assert [(r["method"], r["n_particles"]) for r in found] == [
        ("bare", 2),
        ("bare", 4),
        ("crystal", 2),
        ("crystal", 4),
    ]
    assert (run.folder / "results/figures/families/cells.png").exists()
    page = (run.folder / "results/report.html").read_text()
    assert "Families: sizes" in page and "Families: phases" in page


def test_the_row_counts_electrons_and_has_its_corrections(run: Project):
    row = rows(run)["gas", "bare"]
    assert (row["n_atoms"], row["n_electrons"], row["n_twists"]) == (0, 2, 2)
    assert row["literature_ha_per_cell"] == -1.0
    assert abs(row["energy_ha_per_cell"] - row["mean_field_ha_per_cell"]) < (
        4 * row["error_ha_per_cell"]
    )
    names = ("twist", "potential", "kinetic")
    assert all(np.isfinite(row[f"{name}_correction_ha_per_cell"]) for name in names)


def test_contrasts_have_a_table_and_a_place_in_the_report(run: Project):
    row = rows(run)["gas", "bare"]
    (contrast,) = table.read(run.folder / "results/tables/contrasts.csv")
    names = ("energy", "twist_correction", "potential_correction")
    total = sum(row[f"{name}_ha_per_cell"] for name in names)
    assert contrast["value_ha"] == pytest.approx(0.5 * total)
    assert contrast["error_ha"] > 0.5 * row["error_ha_per_cell"]
    assert contrast["corrections"] == "twist potential"
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

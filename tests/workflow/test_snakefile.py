"""The Snakefile itself: lint, shipped campaigns, targets, refusal of bad input."""

import os

import pytest

from tests.workflow.conftest import ROOT, Project


@pytest.fixture
def shipped(tmp_path):
    """Returns the repository's own materials, methods and campaigns in an empty folder."""
    for name in ("materials", "methods", "learned", "campaign.yaml", "demo.yaml", "wigner.yaml"):
        os.symlink(ROOT / name, tmp_path / name)
    return Project(tmp_path)


def test_lint(shipped):
    done = shipped.snakemake("--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_whole_campaign_dry_runs(shipped):
    planned = shipped.plan()
    assert {
        ("structure", "diamond"),
        ("vmc", "lih-cell-twists"),
        ("integrals", "h2o-sto3g"),
        ("twist_figure", "h4-chain"),
        ("literature_figure", ""),
        ("reference", "silicon-gth"),
        ("references_figure", ""),
        ("family_figure", "h10-open-chain"),
        ("report", ""),
    } <= planned
    fock = {m for rule, m in planned if rule == "integrals"}
    assert {"h2o-sto3g", "h10-open-chain-r36", "graphene-gth"} < fock
    assert fock == {m for rule, m in planned if rule == "reference_row"}
    assert not {"diamond", "h10-chain", "graphene"} & fock


def test_the_phases_of_the_electron_gas_dry_run(shipped):
    planned = shipped.plan("--config", "campaign=wigner.yaml")
    rules = {rule for rule, _ in planned}
    assert {"mean_field", "localised", "phases", "family_figure", "report"} < rules
    assert not {"sizes", "equations_of_state", "references"} & rules
    assert ("family_figure", "wigner") in planned


def test_the_demo_dry_runs(shipped):
    planned = shipped.plan("--config", "campaign=demo.yaml")
    assert {m for _, m in planned} == {"h2", "h4-chain", "h4-chain-gamma", ""}


@pytest.mark.parametrize("transfer", [True, False])
def test_a_later_twist_waits_for_the_first_one_where_networks_are_transferred(project, transfer):
    if transfer:
        project.edit("methods/net.yaml", "vmc:\n", "vmc:\n  transfer_steps: 2\n")
    planned = project.plan("results/chain/net/twist-001/pretrain/checkpoint.h5")
    assert (("vmc", "chain") in planned) == transfer


def test_another_geometry_waits_for_the_network_it_starts_from(project):
    project.edit("campaign.yaml", "chain: [bare]", "chain: [bare]\n  wide: [net]")
    wide = (project.folder / "materials/chain.yaml").read_text()
    keys = "overrides: {net: {vmc: {transfer_from: chain, transfer_steps: 2}}}\n"
    (project.folder / "materials/wide.yaml").write_text(wide + keys)
    for twist in ("000", "001"):
        planned = project.plan(f"results/wide/net/twist-{twist}/pretrain/checkpoint.h5")
        assert {("vmc", "chain"), ("pretrain", "chain")} <= planned


def test_members_of_a_group_wait_for_its_one_training(project):
    project.edit("methods/net.yaml", "ferminet", "transferable")
    project.edit("campaign.yaml", "chain: [bare]", "chain: [bare, net]")
    group = "joint:\n  both: {method: net, materials: [chain], steps: 4}\n"
    project.edit("campaign.yaml", "runs:", f"{group}runs:")
    planned = project.plan("results/chain/net/twist-001/evaluate/result.h5")
    assert ("joint", "both") in planned
    assert {rule for rule, material in planned if material == "chain"} == {
        "structure",
        "mean_field",
        "pretrain",
        "vmc",
        "evaluate",
    }
    assert ("joint", "both") not in project.plan("results/h2/net/energy.csv")
    project.edit("campaign.yaml", "materials: [chain]", "materials: [chain, h2]")
    assert "kind of cell of 'h2' is open" in project.refused()


def test_a_group_waits_for_the_network_it_starts_from(project):
    project.edit("methods/net.yaml", "ferminet", "transferable")
    project.edit("campaign.yaml", "chain: [bare]", "chain: [bare]\n  wide: [net]")
    wide = (project.folder / "materials/chain.yaml").read_text()
    (project.folder / "materials/wide.yaml").write_text(wide)
    group = "joint:\n  all: {method: net, materials: [wide], steps: 4, transfer_from: chain}\n"
    project.edit("campaign.yaml", "runs:", f"{group}runs:")
    planned = project.plan("results/wide/net/twist-001/evaluate/result.h5")
    assert {("vmc", "chain"), ("pretrain", "wide"), ("joint", "all")} <= planned


def test_bad_input_stops_before_any_job_with_the_message_alone(project):
    project.edit("materials/chain.yaml", "grid:", "gird:")
    message = project.refused()
    assert "materials/chain.yaml" in message and "'gird'" in message and "'grid'" in message
    assert "Traceback" not in message
    assert not (project.folder / "results").exists()


BASIS = "basis: sto-3g"
BAD = {
    "unknown basis": (BASIS, "basis: sto-3h", ["'basis'", "'sto-3h'", "'sto-3g'"]),
    "basis without an element": (
        "species: H",
        "species: Xe",
        ["'basis'", "'sto-3g' for element Xe", "for Xe: ano"],
    ),
    "unknown functional": (
        BASIS,
        "method: rks\n  functional: pbbe",
        ["'functional'", "'pbbe'", "'pbe'"],
    ),
    "unknown fitting basis": (
        BASIS,
        "auxiliary_basis: weygend",
        ["'auxiliary_basis'", "'weygend'", "'weigend'"],
    ),
    "twist along shortened vacuum": (
        f"grid: [2, 1, 1]\n  zone: [4, 1, 1]\nmean_field:\n  {BASIS}",
        f"grid: [2, 2, 1]\nmean_field:\n  {BASIS}\n  vacuum_bohr: 9",
        ["'vacuum_bohr'", "lattice vector 2", "vacuum"],
    ),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "-"))
def test_a_mean_field_that_cannot_be_computed_stops_before_any_job(project, case):
    old, new, pieces = BAD[case]
    project.edit("materials/chain.yaml", old, new)
    message = project.refused()
    for piece in ["materials/chain.yaml", "'mean_field'", *pieces]:
        assert piece in message, message
    assert "Traceback" not in message
    assert not (project.folder / "results").exists()


def test_an_edited_structure_file_repeats_the_material(project):
    project.write("materials/h2.xyz", "2\n\nH 0 0 0\nH 0.74 0 0\n")
    project.write(
        "materials/h2.yaml", "structure: {kind: file, path: h2.xyz}\nmean_field: {basis: sto-3g}\n"
    )
    done = project.snakemake("results/h2/system.h5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.plan("results/h2/system.h5") == set()
    project.write("materials/h2.xyz", "2\n\nH 0 0 0\nH 0.75 0 0\n")
    assert project.plan("results/h2/system.h5") == {("structure", "h2")}


def test_what_stops_a_job_is_in_its_log_and_on_the_screen(project):
    project.write(
        "materials/h2.yaml",
        "structure: {kind: atoms, species: [Be], positions_bohr: [[0, 0, 0]]}\n"
        "mean_field: {basis: 6-31g, max_cycles: 1, convergence_ha: 1.0e-14}\n",
    )
    done = project.snakemake("--retries", "0", "results/h2/mean_field/scf/twist-000.h5")
    assert done.returncode != 0
    for text in (
        (project.folder / "logs/h2/mean_field/scf/twist-000.log").read_text(),
        done.stdout + done.stderr,
    ):
        assert "did not converge in 1 cycles" in text and "remedy:" in text
    assert not (project.folder / "results/h2/mean_field/scf/twist-000.h5").exists()

"""Learned Hamiltonians in a campaign: checks before anything runs, and the plan of jobs."""

import dataclasses
import time
from pathlib import Path

import pytest

from engine.campaign import Campaign, load
from engine.config import parse
from engine.config.learned import LabelsConfig, LearnedConfig, check_reference, learned_name
from engine.errors import ConfigError
from engine.io.attempt import Attempt, write
from engine.stage.status import status
from tests.workflow.conftest import Project
from tests.workflow.conftest import project as make_project

ROOT = Path(__file__).resolve().parents[2]
MODEL = """
    labels: {materials: [h2], geometries: 5, train: 2, validation: 1}
    mean_field: {method: rhf, basis: sto-3g}
    model: {channels: 3, input_channels: 2, output_channels: 2, layers: 1, hidden: 4, radial: 4}
    learn: {steps: 3}
    """


@pytest.fixture
def project(tmp_path):
    made = make_project.__wrapped__(tmp_path)
    made.write("learned/h2.yaml", MODEL)
    text = (made.folder / "methods/net.yaml").read_text()
    made.write("methods/net.yaml", "reference: learned-h2\n" + text)
    return made


def campaign(made: Project) -> Campaign:
    return load("campaign.yaml", root=made.folder)


def test_a_method_may_name_a_learned_reference(project):
    campaign(project).check()
    found = campaign(project).learned_sections("learned_mean_field", "h2", "h2", 0)
    assert found["learned"] == "h2" and found["mean_field"]["basis"] == "sto-3g"
    assert found["use"]["converge"] and found["twist"]["index"] == 0
    labels = campaign(project).learned_sections("labels", "h2", "h2")
    assert labels["material"] == "h2" and labels["labels"]["geometries"] == 5
    assert set(campaign(project).learned_sections("learn", "h2")) == {
        "name",
        "guess",
        "mean_field",
        "model",
        "flow",
        "learn",
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("methods/net.yaml", "learned-h2", "learned-h3", "unknown learned 'h3'.*'h2'"),
        ("methods/net.yaml", "learned-h2", "model-h2", "scf, localised, or learned-<name>"),
        ("learned/h2.yaml", "basis: sto-3g", "basis: 6-31g", "mean_field.basis is 'sto-3g'"),
        ("learned/h2.yaml", "method: rhf", "method: uhf", "rhf or rks: one matrix"),
        ("learned/h2.yaml", "[h2]", "[h2, chain]", "'chain' is a crystal"),
        ("learned/h2.yaml", "[h2]", "[h3]", "unknown material 'h3'"),
        ("learned/h2.yaml", "train: 2", "train: 4", "more than 5: what is left over tests"),
        ("learned/h2.yaml", "steps: 3", "stepz: 3", "unknown key 'stepz'"),
        ("learned/h2.yaml", "train: 2", "train: 2, kmesh: [3, 1]", "three positive integers"),
        ("learned/h2.yaml", "train: 2", "train: 2, kmesh: [3, 1, 1]", "'h2' is a molecule"),
        ("learned/h2.yaml", "train: 2", "train: 2, strain: 0.1", "a strain without a lattice"),
        ("learned/h2.yaml", "[h2]", "[chain], kmesh: [5, 1, 1], sampling: md", "dynamics"),
        ("learned/h2.yaml", "train: 2", "train: 2, shared_with: h3", "labels of 'h3'"),
        ("campaign.yaml", "seed: 3", "seed: 3\nlearned: [h5]", "unknown learned 'h5'"),
    ],
)
def test_what_cannot_be_is_refused_at_once(project, file, old, new, words):
    project.edit(file, old, new)
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        campaign(project).check()


def test_an_element_that_is_not_learned_is_refused(project):
    lithium = (project.folder / "materials/h2.yaml").read_text().replace("[H, H]", "[Li, H]")
    project.write("materials/lih.yaml", lithium)
    project.edit("campaign.yaml", "h2: [net]", "lih: [net]")
    with pytest.raises(ConfigError, match="element Li is not among those learned .* 'h2'"):
        campaign(project).check()


def test_a_crystal_cannot_use_a_model_of_molecules(project):
    project.edit("campaign.yaml", "chain: [bare]", "chain: [net]")
    with pytest.raises(ConfigError, match="'chain' is a crystal"):
        campaign(project).check()


def test_the_plan_makes_labels_trains_and_predicts_before_pretraining(project):
    done = project.snakemake("-n", "results/h2/net/energy.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    wanted = [
        "h2: labels for the learned Hamiltonian h2",
        "h2: training the learned Hamiltonian",
        "h2: mean field at twist 000 by learned Hamiltonian h2",
        "h2 net: pretraining at twist 000",
    ]
    places = [text.index(line) for line in wanted]
    assert places == sorted(places)
    assert "results/h2/mean_field/scf" not in text


CRYSTAL = """
    labels: {materials: [chain], kmesh: [4, 1, 1], geometries: 5, train: 2, validation: 1}
    mean_field: {method: rks, basis: sto-3g}
    model: {cutoff_bohr: 3}
    learn: {steps: 3}
    """


@pytest.fixture
def crystal(project):
    """Returns a project whose chain uses a model of another functional, and that lists another."""
    project.write("learned/chain.yaml", CRYSTAL)
    text = (project.folder / "methods/net.yaml").read_text()
    project.write("methods/solid.yaml", text.replace("learned-h2", "learned-chain"))
    project.edit("campaign.yaml", "chain: [bare]", "chain: [solid]")
    return project


def test_a_crystal_may_start_from_a_model_of_another_functional(crystal):
    made = campaign(crystal)
    made.check()
    assert set(made.learned_names()) == {"h2", "chain"}
    sections = made.learned_sections("learned_hamiltonian", "chain", "chain")
    assert sections == {"material": "chain", "learned": "chain"}
    crystal.edit("learned/chain.yaml", "cutoff_bohr: 3}", "cutoff_bohr: 3}\nuse: {converge: false}")
    with pytest.raises(ConfigError, match="mean_field.method is 'rhf'"):
        campaign(crystal).check()


def test_other_cores_than_those_of_the_model_are_refused(crystal):
    text = (crystal.folder / "materials/chain.yaml").read_text()
    soft = text.replace(
        "mean_field:", "pseudopotentials: {H: gth-pade-q1}\nmean_field:\n  integrals: fft"
    )
    crystal.write("materials/soft.yaml", soft)
    crystal.edit("campaign.yaml", "chain: [solid]", "soft: [solid]")
    with pytest.raises(ConfigError, match="pseudopotential gth-pade-q1 of H, the model None"):
        campaign(crystal).check()


def test_one_matrix_serves_all_twists_of_a_crystal(crystal):
    done = crystal.snakemake("-n", "results/chain/solid/energy.csv")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert text.count("chain: real-space blocks by learned Hamiltonian chain") == 1
    twists = len(campaign(crystal).twists("chain"))
    assert text.count("by learned Hamiltonian chain") == 1 + twists >= 3
    assert "results/chain/mean_field/scf" not in text


def test_shared_labels_are_made_once(project):
    other = MODEL.replace("validation: 1}", "validation: 1, shared_with: h2}")
    project.write("learned/half.yaml", other.replace("steps: 3", "steps: 3, train_limit: 1"))
    project.edit("campaign.yaml", "seed: 3", "seed: 3\nlearned: [half]")
    campaign(project).check()
    done = project.snakemake("-n", "results/learned/half/errors.csv")
    text = done.stdout + done.stderr
    assert done.returncode == 0 and text.count("h2: labels for the learned Hamiltonian") == 1
    assert "results/learned/half/labels" not in text
    project.edit("learned/half.yaml", "train: 2", "train: 3")
    with pytest.raises(ConfigError, match="are not those of 'h2'"):
        campaign(project).check()


def test_the_report_has_the_cards_and_figures_of_listed_models(project):
    done = project.snakemake("-n", "results/report.html")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    for name in ("learning.svg", "parity.svg"):
        assert f"results/figures/learned/h2/{name}" in text
    assert "results/tables/learned.csv" in text and "sizes.svg" not in text


def test_the_table_of_errors_is_a_target_of_its_own(project):
    done = project.snakemake("-n", "results/learned/h2/errors.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "h2: errors of the learned Hamiltonian" in done.stdout + done.stderr


def test_every_shipped_model_resolves():
    names = sorted(p.stem for p in (ROOT / "learned").glob("*.yaml"))
    assert names
    found = load("campaign.yaml", root=ROOT)
    for name in names:
        assert isinstance(found.learned(name), LearnedConfig)


def test_names_of_references():
    assert learned_name("scf") is None and learned_name("learned-a-1") == "a-1"
    check_reference("scf", "here")
    with pytest.raises(ConfigError, match="here, key 'reference'"):
        check_reference("learned-", "here")


def test_materials_are_listed_once():
    data = {"materials": ["h2", "h2"]}
    with pytest.raises(ConfigError, match="each once"):
        parse(LabelsConfig, data, where="labels")
    assert dataclasses.replace(parse(LabelsConfig, {"materials": ["h2"]})).geometries == 700


@pytest.mark.slow
def test_a_whole_run_from_labels_to_an_energy(project):
    project.edit("learned/h2.yaml", "geometries: 5", "geometries: 12")
    project.edit("learned/h2.yaml", "train: 2", "train: 8")
    project.edit("learned/h2.yaml", "steps: 3", "steps: 100")
    done = project.snakemake("results/h2/net/energy.csv", "results/learned/h2/errors.csv")
    assert done.returncode == 0, done.stdout + done.stderr
    log = project.folder / "logs/h2/mean_field/learned-h2/twist-000.log"
    assert "learned Hamiltonian: novelty" in log.read_text()


def test_status_tells_how_far_labels_and_training_are(project):
    made, folder = campaign(project), project.folder / "results/learned/h2"
    line = status(made, project.folder)[0]
    assert (line.material, line.method, line.stage, line.state) == (
        "learned",
        "h2",
        "learn",
        "waiting",
    )
    project.write("results/learned/h2/labels/state-h2/geometry-000000.h5", "x")
    line = status(made, project.folder)[0]
    assert (line.stage, line.note) == ("labels", "1 geometries labelled")
    numbers = {"loss": 0.1}
    running = Attempt(
        1, "running", "", 0.0, time.time(), 0, 40, 100, 0.5, numbers, 1, "cpu", ("a",), "", 1
    )
    write(folder / "state", running)
    line = status(made, project.folder)[0]
    assert (line.stage, line.state, line.step, line.steps) == ("learn", "running", 40, 100)
    assert line.left_s == 30
    project.write("results/learned/h2/model.h5", "x")
    assert status(made, project.folder)[0].state == "done"

"""The state of a campaign, read from its files."""

import dataclasses
import json
import time
import types

import pytest

from engine.__main__ import main
from engine.io import attempt, hdf5
from engine.stage import status

CAMPAIGN = "seed: 1\nruns: {h2: [net], chain: [net]}\n"
H2 = "structure: {kind: molecule, name: H2}\n"
CHAIN = """
structure: {kind: chain, species: H, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}
supercell: [2, 1, 1]
twists: {grid: [2, 1, 1]}
"""
NOW = time.time()
RUNNING = attempt.Attempt(
    number=1,
    outcome="running",
    reason="",
    started=NOW - 100,
    updated=NOW,
    first_step=0,
    step=50,
    steps=200,
    seconds_per_step=2.0,
    numbers={"energy_ha": -2.2, "error_ha": 0.02, "acceptance": 0.5},
    devices=1,
    device="cpu",
    hosts=("node1",),
    job="17",
    pid=1,
)


class Folder:
    """A campaign of a molecule and a chain with two twists."""

    def __init__(self, root):
        self.root = root
        for name, text in {
            "campaign.yaml": CAMPAIGN,
            "materials/h2.yaml": H2,
            "materials/chain.yaml": CHAIN,
            "methods/net.yaml": "{}\n",
        }.items():
            self.make(name, text)

    def make(self, path, text=""):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def trained(self, material, twist="000"):
        for name in ("system.h5", f"mean_field/scf/twist-{twist}.h5"):
            self.make(f"results/{material}/{name}")
        self.make(f"results/{material}/net/twist-{twist}/pretrain/checkpoint.h5")

    def tries(self, record, material="chain", twist="000"):
        attempt.write(self.root / f"results/{material}/net/twist-{twist}/vmc/state", record)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder at the time of the records, however long other tests took."""
    monkeypatch.setattr(status, "time", types.SimpleNamespace(time=lambda: NOW))
    return Folder(tmp_path)


@pytest.fixture
def lines(folder, capsys):
    def read(*arguments):
        main(["status", "--root", str(folder.root), "--json", *arguments])
        return json.loads(capsys.readouterr().out)

    return read


def test_nothing_has_started(lines):
    assert [(x["material"], x["twist"], x["stage"], x["state"]) for x in lines()] == [
        ("h2", "000", "structure", "waiting"),
        ("chain", "000", "structure", "waiting"),
        ("chain", "001", "structure", "waiting"),
    ]


def test_what_can_start_is_queued_while_the_workflow_runs(folder, lines):
    folder.make(".snakemake/locks/0.lock")
    folder.make("results/chain/system.h5")
    first, second, _ = lines()
    assert (first["stage"], first["state"]) == ("structure", "queued")
    assert (second["stage"], second["state"]) == ("mean_field", "queued")


def test_a_twist_that_starts_from_a_trained_network_waits_for_it(folder, lines):
    folder.make("methods/net.yaml", "vmc: {transfer_steps: 100}\n")
    folder.make(".snakemake/locks/0.lock")
    for name in ("system.h5", "mean_field/scf/twist-000.h5", "mean_field/scf/twist-001.h5"):
        folder.make(f"results/chain/{name}")
    _, first, second = lines()
    assert (first["stage"], first["state"]) == ("pretrain", "queued")
    assert (second["state"], second["note"]) == ("waiting", "for chain/net/twist-000")
    folder.make("results/chain/net/twist-000/vmc/checkpoint.h5")
    assert lines()[2]["state"] == "queued"


def test_running_per_primitive_cell_with_time_left(folder, lines):
    folder.trained("chain")
    folder.tries(RUNNING)
    [line] = lines("chain")[:1]
    assert (line["stage"], line["state"], line["step"]) == ("vmc", "running", 50)
    assert line["energy_ha_per_cell"] == pytest.approx(-1.1)
    assert line["error_ha_per_cell"] == pytest.approx(0.01)
    assert line["left_s"] == pytest.approx(300)
    assert line["note"] == "job 17 on node1"


@pytest.mark.parametrize(
    ("changes", "state", "note"),
    [
        ({"updated": NOW - 7200}, "silent", "no sign of life from node1 for 2.0 h"),
        ({"updated": NOW - 600, "seconds_per_step": 100.0}, "running", "job 17 on node1"),
        ({"outcome": "stopped", "reason": "stopped by signal 15"}, "stopped", "signal 15"),
        ({"outcome": "failed", "reason": "runaway energy"}, "failed", "runaway energy"),
    ],
)
def test_how_an_attempt_stands(folder, lines, changes, state, note):
    folder.trained("chain")
    folder.tries(dataclasses.replace(RUNNING, **changes))
    line = lines("chain")[0]
    assert line["state"] == state and note in line["note"]


def test_a_failure_before_the_first_step_is_read_from_the_log(folder, lines):
    folder.trained("h2")
    log = "2026-01-01 00:00:00,0 CRITICAL engine: DataError: other twist\n  expected: this one\n"
    folder.make("logs/h2/net/twist-000/vmc.log", log)
    line = lines("h2")[0]
    assert (line["state"], line["note"]) == ("failed", "other twist")


def test_a_result(folder, lines):
    folder.trained("chain")
    base = folder.root / "results/chain/net/twist-000"
    (base / "vmc").mkdir()
    (base / "vmc/checkpoint.h5").touch()
    facts = {"energy_ha": -2.2, "error_ha": 0.002, "steps": 300, "acceptance": 0.5}
    facts |= {"converged": True, "attempts": 2, "job_ids": "17 18"}
    hdf5.write(
        base / "evaluate/result.h5", "energy", {"energy_ha": 1.0}, fingerprint="f", attributes=facts
    )
    line = lines("chain")[0]
    assert (line["state"], line["job"], line["attempts"]) == ("done", "17 18", 2)
    assert line["energy_ha_per_cell"] == pytest.approx(-1.1)


def test_second_quantisation_has_a_stage_more(folder, lines):
    folder.make("methods/net.yaml", "space: fock\n")
    folder.make(".snakemake/locks/0.lock")
    folder.make("results/h2/system.h5")
    folder.make("results/h2/mean_field/scf/twist-000.h5")
    assert (lines("h2")[0]["stage"], lines("h2")[0]["state"]) == ("integrals", "queued")


def test_for_people(folder, capsys):
    folder.trained("chain")
    folder.tries(RUNNING)
    main(["status", "--root", str(folder.root)])
    text = capsys.readouterr().out
    assert "-1.100(10)" in text and "50/200" in text and "5 min" in text
    assert text.splitlines()[-1] == "2 waiting, 1 running"


def test_an_unknown_material(folder):
    with pytest.raises(SystemExit, match="no material 'h3'.*(?s:.*)did you mean 'h2'"):
        main(["status", "--root", str(folder.root), "h3"])


def test_the_training_of_a_group_has_a_line_of_its_own(folder, lines):
    folder.make("methods/net.yaml", "ansatz: {name: transferable}\noptimizer: {name: spring}\n")
    group = "joint: {chains: {method: net, materials: [chain]}}\n"
    folder.make("campaign.yaml", CAMPAIGN + group)
    folder.make("results/joint/chains/state/empty")
    attempt.write(folder.root / "results/joint/chains/state", RUNNING)
    line = next(x for x in lines("chain") if x["material"] == "joint")
    assert (line["method"], line["stage"], line["state"]) == ("chains", "joint", "running")
    assert (line["step"], line["left_s"]) == (50, 300)
    assert line["energy_ha_per_cell"] is None  # of whom?
    assert not [x for x in lines("h2") if x["material"] == "joint"]
    folder.make("results/joint/chains/checkpoint.h5")
    assert next(x for x in lines() if x["material"] == "joint")["state"] == "done"

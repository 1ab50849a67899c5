"""What jobs ask for, and what SLURM is asked before they do."""

import dataclasses
import re
import subprocess
from pathlib import Path

import pytest

from engine.cluster import slurm
from engine.cluster.resources import Size, model_resources, resources
from engine.cluster.site import Pool, Site, read_site
from engine.config import FockMethodConfig, MethodConfig, parse
from engine.errors import ConfigError, DataError
from engine.io import document

ROOT = Path(__file__).resolve().parents[2]

CPU = {"partition": "cpu", "max_runtime_min": 60, "cpus": 8, "mem_mb": 32000}
GPU = {"partition": "gpu", "max_runtime_min": 1440, "cpus": 64, "mem_mb": 250000, "gpus": 4}
SMALL = Size(electrons=4, atoms=2, n_cells=2, periodic=True)
LARGE = Size(electrons=108, atoms=2, n_cells=27, periodic=True)
METHOD = parse(MethodConfig, {}, where="")


def ask(stage, size=SMALL, attempt=1, method=METHOD, **site):
    return resources(stage, size, read_site({"cpu": CPU} | site), attempt, method)


def test_a_larger_system_asks_for_more_up_to_the_limit():
    small, large = ask("vmc"), ask("vmc", LARGE)
    assert small["runtime"] < large["runtime"] == CPU["max_runtime_min"]
    assert small["mem_mb"] < large["mem_mb"] <= CPU["mem_mb"]


def test_more_walkers_ask_for_more_time():
    sampler = dataclasses.replace(METHOD.sampler, walkers=20000)
    assert (
        ask("evaluate", method=dataclasses.replace(METHOD, sampler=sampler))["runtime"]
        > ask("evaluate")["runtime"]
    )


@pytest.mark.parametrize("stage", ["mean_field", "pretrain", "vmc", "evaluate"])
def test_another_attempt_gets_more_memory(stage):
    memory = [ask(stage, attempt=a)["mem_mb"] for a in (1, 2, 3, 50)]
    assert memory == sorted(set(memory)) and memory[-1] <= CPU["mem_mb"]


def test_every_stage_of_the_workflow_has_resources():
    """The names that rules ask for: a stage that is missing stops the whole campaign."""
    asked = {
        name
        for path in (ROOT / "workflow/rules").glob("*.smk")
        for name in re.findall(r'asked\("(\w+)"\)', path.read_text())
    }
    of_models = {"learn", "learned_errors"}
    fock = parse(FockMethodConfig, {"space": "fock"}, where="")
    for stage in asked - of_models - {"joint"}:
        for method in (METHOD, fock):
            if stage in ("integrals", "reference") and method is METHOD:
                continue
            assert ask(stage, method=method)["mem_mb"] > 0
    assert {"mean_field", "integrals", "reference", "pretrain", "vmc", "evaluate"} <= asked


def test_a_learned_hamiltonian_is_trained_where_networks_are():
    site = read_site({"cpu": CPU, "gpu": GPU})
    learn, errors = (model_resources(stage, site, 1) for stage in ("learn", "learned_errors"))
    assert (learn["slurm_partition"], errors["slurm_partition"]) == ("gpu", "cpu")
    assert "gpu" in learn["slurm_extra"] and "gpu" not in errors["slurm_extra"]
    assert model_resources("learned_errors", site, 2)["mem_mb"] > errors["mem_mb"]


def test_the_mean_field_gets_more_time_too_for_it_starts_from_the_beginning():
    assert ask("mean_field", attempt=2)["runtime"] > ask("mean_field")["runtime"]
    assert ask("vmc", attempt=2)["runtime"] == ask("vmc")["runtime"]


def test_second_quantisation_asks_for_one_device():
    method = parse(FockMethodConfig, {"space": "fock"}, where="")
    large = dataclasses.replace(method.selection, core=10 * method.selection.core)
    small = ask("vmc", method=method, gpu=GPU, gpus=4, nodes=2)
    assert small["slurm_extra"] == "--gpus-per-node=1" and "nodes" not in small
    larger = ask("vmc", method=dataclasses.replace(method, selection=large), gpu=GPU)
    assert larger["mem_mb"] > small["mem_mb"] and larger["runtime"] >= small["runtime"]


def test_what_lies_outside_of_many_determinants_takes_time_and_its_buffer_memory():
    """An energy of second order is made of slices, and a killed one starts from the beginning."""

    def method(buffer, estimator):
        sections = {"selection": {"core": 512, "buffer": buffer}}
        sections["evaluate"] = {"estimator": estimator, "max_steps": 20}
        return parse(FockMethodConfig, {"space": "fock"} | sections, where="")

    chain = Size(electrons=30, atoms=30, n_cells=1, periodic=False)
    site = {"cpu": CPU | {"max_runtime_min": 10**6, "mem_mb": 10**6}}
    small, large, bound = (
        ask("evaluate", chain, method=method(*options), **site)
        for options in (
            (2_000_000, "projected-pt2"),
            (20_000_000, "projected-pt2"),
            (2_000_000, "projected"),
        )
    )
    assert small["runtime"] > large["runtime"] and small["runtime"] > bound["runtime"]
    assert large["mem_mb"] > small["mem_mb"]
    again = ask("evaluate", chain, attempt=2, method=method(2_000_000, "projected"), **site)
    assert again["runtime"] > bound["runtime"]


def test_gpus_and_nodes():
    asked = ask("vmc", gpu=GPU, gpus=4, nodes=2, account="me", qos="long")
    assert asked["slurm_partition"] == "gpu"
    assert asked["slurm_extra"] == "--gpus-per-node=4"
    assert (asked["nodes"], asked["tasks"], asked["mpi"]) == (2, 2, "srun")
    assert (asked["slurm_account"], asked["qos"]) == ("me", "long")
    field = ask("mean_field", gpu=GPU, gpus=4, nodes=2)
    assert field["slurm_partition"] == "cpu" and "nodes" not in field and not field["slurm_extra"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpu": GPU, "gpus": 8}, "key 'gpus'.*8 GPUs per node.*at most 4"),
        ({"gpu": GPU | {"gpus": 0}}, "a pool for GPUs without GPUs"),
        ({"gpu": GPU | {"gpu_option": "--gpus-per-node=1"}}, "gpu_option.*{n}"),
        ({"gpu": GPU | {"gpu_option": "--gres=gpu:{n}"}}, "gpu_option.*executor"),
        ({"cpus": 9}, "9 CPU cores per node.*at most 8"),
        ({"acount": "me"}, "unknown key 'acount'.*did you mean 'account'"),
        ({"cpu": CPU | {"max_runtime_min": 0}}, "max_runtime_min.*at least 1"),
    ],
)
def test_a_wrong_site_file(changes, words):
    with pytest.raises(ConfigError, match=f"(?s)profiles/slurm/site.yaml.*{words}"):
        read_site({"cpu": CPU} | changes)


@pytest.mark.parametrize(
    ("gres", "count"),
    [
        ("(null)", 0),
        ("gpu:4", 4),
        ("gpu:a100:4(S:0-1),shard:8", 4),
        ("gpu", 1),
        ("gpu:fake:2(IDX:0,1),gpu:other:1", 3),
    ],
)
def test_gpus_of_a_node(gres, count):
    assert slurm.gres_gpus(gres) == count


@pytest.mark.parametrize(
    ("text", "expected"),
    [("01:00:00", 60), ("7-00:00:00", 10080), ("UNLIMITED", float("inf"))],
)
def test_minutes(text, expected):
    assert slurm.minutes(text) == expected


@pytest.fixture
def cluster(monkeypatch):
    """A SLURM that gives prepared answers; returns the commands it was asked."""
    answers = {
        "scontrol": "PartitionName=cpu MaxTime=01:00:00 State=UP\n"
        "PartitionName=gpu MaxTime=1-00:00:00 State=UP\n",
        "sinfo": "gpu:a100:4(S:0-1)\n",
        "sacctmgr": "mine\nother\n",
        "squeue": "",
        "scancel": "",
    }
    asked = []

    def run(command, **_):
        asked.append(list(command))
        return subprocess.CompletedProcess(command, 0, stdout=answers[command[0]], stderr="")

    monkeypatch.setattr(slurm.subprocess, "run", run)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: f"/usr/bin/{name}")
    return answers, asked


def test_a_site_that_can_be_submitted_to(cluster):
    slurm.check_site(read_site({"cpu": CPU, "gpu": GPU, "account": "mine"}), "site")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cpu": CPU | {"partition": "cpus"}}, "no partition 'cpus'.*did you mean 'cpu'"),
        ({"cpu": CPU | {"max_runtime_min": 61}}, "61 minutes.*at most 60"),
        ({"gpu": GPU | {"gpus": 8}}, "8 GPUs.*at most 4"),
        ({"account": "mines"}, "no account 'mines'.*did you mean 'mine'"),
    ],
)
def test_what_slurm_does_not_have(cluster, changes, words):
    with pytest.raises(ConfigError, match=f"(?s){words}"):
        slurm.check_site(read_site({"cpu": CPU} | changes), "site")


def test_no_slurm_on_the_path(monkeypatch):
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="(?s)no sbatch.*on the PATH.*profiles/local"):
        slurm.check_site(read_site({"cpu": CPU}), "site")


def test_a_silent_slurm(monkeypatch):
    monkeypatch.setattr(slurm.shutil, "which", lambda name: name)

    def fails(command, **_):
        raise subprocess.CalledProcessError(1, command, stderr="Unable to contact controller")

    monkeypatch.setattr(slurm.subprocess, "run", fails)
    with pytest.raises(DataError, match="Unable to contact controller"):
        slurm.check_site(read_site({"cpu": CPU}), "site")


def test_jobs_left_behind_are_waited_for_or_cancelled(cluster, tmp_path, monkeypatch):
    answers, asked = cluster
    rows = [
        f"1|RUNNING|psilattice-x|{tmp_path}|rule_vmc_wildcards_h2_net_000",
        f"2|PENDING|psilattice-x|{tmp_path}|rule_vmc_wildcards_h2_net_001",
        "3|RUNNING|psilattice-y|/elsewhere|rule_vmc_wildcards_h2_net_000",
        f"4|RUNNING|something|{tmp_path}|",
    ]
    answers["squeue"] = "\n".join(rows)
    assert [job.number for job in slurm.left_behind(tmp_path)] == ["1", "2"]
    said = []
    monkeypatch.setattr(slurm.time, "sleep", lambda _: answers.update(squeue=""))
    slurm.settle(tmp_path, said.append)
    assert ["scancel", "--state=PENDING", "2"] in asked
    assert "waiting for 1 jobs" in said[1] and "1 (vmc h2_net_000)" in said[1]


def test_jobs_of_a_workflow_that_is_alive_are_left_alone(cluster, tmp_path):
    answers, asked = cluster
    answers["squeue"] = f"2|PENDING|psilattice-x|{tmp_path}|rule_vmc"
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.output.lock").touch()
    slurm.settle(tmp_path, print)
    assert asked == []


def test_every_key_of_the_site_file_is_explained():
    text = (ROOT / "docs/cluster.md").read_text()
    for cls in (Site, Pool):
        for field in dataclasses.fields(cls):
            assert f"`{field.name}`" in text, field.name


def test_the_shipped_site_file_is_valid():
    site = read_site(document.read(ROOT / "profiles/slurm/site.yaml")["site"])
    assert site.network is site.cpu

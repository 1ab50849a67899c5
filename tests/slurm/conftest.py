"""A small campaign on a real SLURM, and the accidents it has to survive.

Wants a SLURM on the PATH whose jobs see this folder and a partition of at least one minute;
accidents to nodes need an administrator. `make test-slurm` runs two accidents at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.io import attempt, hdf5

ROOT = Path(__file__).resolve().parents[2]
MATERIAL = """\
structure: {kind: atoms, species: [H, H], positions_bohr: [[-0.7, 0, 0], [0.7, 0, 0]]}
mean_field: {basis: sto-3g}
"""
METHOD = """\
ansatz: {name: ferminet, layers: 1, width: 8, pair_width: 4, determinants: 1}
sampler: {walkers: 32, moves: %(moves)d, equilibration: 5}
optimizer: {name: adam}
pretrain: {steps: 5}
vmc: {steps: %(steps)d, checkpoint_steps: 20}
evaluate: {min_steps: 10, max_steps: 10, checkpoint_steps: 10}
"""
SITE = """\
site:
  cpu: {partition: %(partition)s, max_runtime_min: %(minutes)d, cpus: 1, mem_mb: %(memory)d}
  cpus: 1
  memory_factor: %(factor)s
  nodes: %(nodes)d
"""
LATE = """\
import os, subprocess
rename = os.replace
def late(source, target):
    if str(target).endswith(("checkpoint.h5", "trace.h5", "result.h5")):
        command = ["sh", "-c", "sleep %(seconds)d; mv $0 $1", str(source), str(target)]
        subprocess.Popen(command, start_new_session=True)
    else:
        rename(source, target)
os.replace = late
"""
"""A file system that shows outputs some seconds after they were written."""
DRIVER = """\
import asyncio
from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor
Executor.sleep = lambda executor: asyncio.sleep(2)
main()
"""
"""Snakemake that looks at the queue every two seconds, not ever more rarely."""
STEPS, MOVES = 220, 1000
"""An optimisation of ten seconds."""
TABLE = "results/h2/net/energy.csv"
UNHARMED = "same numbers, no job lost"
OUTCOMES: dict[str, str] = {}
"""Accident -> what became of it, printed at the end."""


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def partition() -> str:
    """Returns the partition to test in: the default one, marked with a star."""
    names = ask("sinfo", "--noheader", "--format", "%P").split()
    return next((n.rstrip("*") for n in names if n.endswith("*")), names[0])


class Cluster:
    """A campaign in a folder of its own, and what happens to its jobs."""

    def __init__(self, folder: Path, compiled: Path | None = None):
        self.folder = folder
        self.compiled = compiled
        self.surroundings: dict[str, str] = {}
        self.drivers: list[subprocess.Popen] = []
        for name in ("materials", "methods", "profiles/slurm"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "materials/h2.yaml").write_text(MATERIAL)
        (folder / "campaign.yaml").write_text("seed: 3\nruns: {h2: [net]}\n")
        self.method()
        self.site()

    def method(self, steps=STEPS, moves=MOVES):
        (self.folder / "methods/net.yaml").write_text(METHOD % {"steps": steps, "moves": moves})

    def site(self, minutes=5, memory=4000, factor=0.5, where=None, nodes=1):
        text = SITE % {
            "partition": where or partition(),
            "minutes": minutes,
            "memory": memory,
            "factor": factor,
            "nodes": nodes,
        }
        (self.folder / "profiles/slurm/site.yaml").write_text(text)

    def late_files(self, seconds: int) -> None:
        """Makes the outputs of jobs appear late."""
        folder = self.folder / "late"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(LATE % {"seconds": seconds})
        self.surroundings["PYTHONPATH"] = str(folder)

    def neighbour(self) -> None:
        """Adds a material whose optimisation fails at once and always: it runs away by decree."""
        text = MATERIAL + "overrides: {net: {vmc: {runaway_ha_per_particle: 1.0e-9}}}\n"
        (self.folder / "materials/doomed.yaml").write_text(text)
        (self.folder / "campaign.yaml").write_text("seed: 3\nruns: {h2: [net], doomed: [net]}\n")

    def start(self, *arguments: str, target: str = "trained", retries: int = 6):
        """Starts the workflow with the profile a user has, waiting times shortened.

        Most accidents happen to the optimisation, and its target is the trained network.
        """
        command = [sys.executable, "-c", DRIVER, "--snakefile", str(ROOT / "Snakefile")]
        command += ["--profile", str(ROOT / "profiles/slurm"), "--directory", str(self.folder)]
        command += ["--retries", str(retries), "--latency-wait", "15"]
        command += ["--slurm-init-seconds-before-status-checks", "2"]
        command += ["--max-status-checks-per-second", "2", target, *arguments]
        surroundings = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
        surroundings["XDG_CACHE_HOME"] = str(self.folder / ".cache")
        if self.compiled:
            surroundings["JAX_COMPILATION_CACHE_DIR"] = str(self.compiled)
        with open(self.folder / "driver.log", "a") as log:
            driver = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | surroundings | self.surroundings,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.drivers.append(driver)
        return driver

    def finish(self, driver: subprocess.Popen, timeout=1200, good=True) -> str:
        """Waits for the workflow; returns what it printed."""
        try:
            status = driver.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, signal.SIGKILL)
            raise
        text = (self.folder / "driver.log").read_text()
        assert (status == 0) == good, text[-6000:]
        return text

    @property
    def stage(self) -> Path:
        return self.folder / "results/h2/net/twist-000/vmc"

    def state(self, step: int, timeout=900) -> Path:
        """Waits until the optimisation has saved its state at a step, or a later one."""
        return self.until(lambda: self._saved(step), timeout, f"a state at step {step}")

    def _saved(self, step: int) -> Path | None:
        found = sorted((self.stage / "state").glob("step-*.h5"))
        late = [p for p in found if int(p.stem.removeprefix("step-")) >= step]
        return late[-1] if late else None

    def until(self, condition, timeout=900, what="the condition"):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.2)
        log = (self.folder / "driver.log").read_text()
        raise AssertionError(f"waited {timeout} s for {what}\n{log[-3000:]}")

    def attempts(self) -> list[attempt.Attempt]:
        return attempt.read(self.stage / "state")

    def job(self) -> str:
        """Returns the batch job that runs the optimisation."""
        return self.attempts()[-1].job

    def queue(self) -> list[str]:
        """Returns the batch jobs of this folder that are not over."""
        rows = ask("squeue", "--me", "--noheader", "--format", "%i|%Z").split()
        return [r.split("|")[0] for r in rows if r.endswith(f"|{self.folder}")]

    def clean(self) -> None:
        for driver in self.drivers:
            if driver.poll() is None:
                os.killpg(driver.pid, signal.SIGKILL)
        if jobs := self.queue():
            subprocess.run(["scancel", "--signal=KILL", *jobs], check=False)
            subprocess.run(["scancel", *jobs], check=False)


def same(found: Path, expected: Path) -> None:
    """Compares every number of the optimisation but the times, bit for bit.

    Those of the evaluation too, where `found` came as far as the table.
    """
    base = "results/h2/net/twist-000"
    pairs = [("vmc/checkpoint", "checkpoint"), ("vmc/trace", "trace")]
    if (found / TABLE).exists():
        pairs += [("evaluate/blocks", "blocks"), ("evaluate/result", "energy")]
    for name, kind in pairs:
        one, two = (hdf5.read(f / f"{base}/{name}.h5", kind).data for f in (found, expected))
        assert one.keys() == two.keys()
        for path in one.keys() - {"seconds"}:
            np.testing.assert_array_equal(one[path], two[path], err_msg=f"{name}: {path}")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The same campaign without accidents."""
    if not shutil.which("sbatch"):
        pytest.fail("no SLURM on the PATH: docs/cluster.md says how to get one to test on")
    folder = tmp_path_factory.mktemp("undisturbed")
    made = Cluster(folder, folder / "compiled")
    made.finish(made.start(target=TABLE))
    assert len(made.attempts()) == 1
    return folder


@pytest.fixture
def cluster(undisturbed, tmp_path, tmp_path_factory, request):
    """A campaign that has come as far as pretraining; the mark `alone` keeps others waiting."""
    alone = request.node.get_closest_marker("alone")
    with held(tmp_path_factory, fcntl.LOCK_EX if alone else fcntl.LOCK_SH):
        made = prepared(undisturbed, tmp_path)
        yield made
        made.clean()


@contextlib.contextmanager
def held(factory: pytest.TempPathFactory, how: int):
    """A lock among the processes of this test run."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    with open(shared / "cluster.lock", "w") as file:
        fcntl.flock(file, how)
        yield


def prepared(undisturbed: Path, folder: Path) -> Cluster:
    made = Cluster(folder, undisturbed / "compiled")
    for part in ("results/h2/system.h5", "results/h2/structure.extxyz", "results/h2/mean_field"):
        _copy(undisturbed / part, folder / part)
    _copy(
        undisturbed / "results/h2/net/twist-000/pretrain",
        folder / "results/h2/net/twist-000/pretrain",
    )
    shutil.copytree(undisturbed / ".snakemake", folder / ".snakemake")
    return made


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def pytest_runtest_logreport(report):
    if report.when == "call" and "slurm" in report.keywords:
        name = report.nodeid.split("::test_")[-1].replace("_", " ")
        OUTCOMES[name] = UNHARMED if report.passed else report.outcome.upper()


def pytest_terminal_summary(terminalreporter):
    if OUTCOMES:
        width = max(map(len, OUTCOMES))
        terminalreporter.section("accidents")
        for name, outcome in OUTCOMES.items():
            terminalreporter.write_line(f"{name.ljust(width)}  {outcome}")
        other = sum(outcome != UNHARMED for outcome in OUTCOMES.values())
        terminalreporter.write_line(f"accidents {len(OUTCOMES)}, with another outcome {other}")

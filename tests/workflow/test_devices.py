"""Walkers over several devices and processes: the same walkers, the same energies.

The processors of a CPU stand in for devices; each case runs in processes of its own, since JAX
counts its devices once.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.io import attempt, hdf5
from tests.chain import TINY, inputs, sections, stages

ROOT = Path(__file__).resolve().parents[2]
COMPILER = os.environ.get("XLA_FLAGS", "")
CRYSTAL = {
    "structure": {
        "kind": "atoms",
        "species": ["He"],
        "positions_bohr": [[0, 0, 0]],
        "lattice_bohr": [[4, 0, 0], [0, 4, 0], [0, 1, 4]],
    },
    "mean_field": {"basis": "sto-3g"},
}
METHOD = TINY | {
    "precision": "float64",
    "hamiltonian": {"chunk": 4},
    "optimizer": {"name": "kfac", "learning_rate": 1e-2},
}
CODE = (
    "import json, sys; from pathlib import Path; from engine import devices; "
    "devices.join_processes(); from tests.chain import stages; "
    "folder = Path(sys.argv[1]); stages(folder, json.loads((folder / 'run.json').read_text()))"
)


def start(folder, run, devices, **surroundings):
    (folder / "run.json").write_text(json.dumps(run))
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": f"{COMPILER} --xla_force_host_platform_device_count={devices}",
        }
        | surroundings,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors


@pytest.fixture(scope="module")
def run():
    return sections(CRYSTAL, METHOD, (0.25, 0, 0.5), "complex")


@pytest.fixture(scope="module")
def alone(tmp_path_factory, run):
    """The stages with one device."""
    folder = tmp_path_factory.mktemp("alone")
    stages(folder, run)
    return folder


def compare(folder, alone):
    """Walkers and energies agree to the rounding of sums."""
    for file, kind in (("checkpoint", "checkpoint"), ("blocks", "blocks"), ("result", "energy")):
        expected, found = (hdf5.read(f / f"{file}.h5", kind).data for f in (alone, folder))
        assert expected.keys() == found.keys()
        for path in expected.keys() - {"seconds"}:
            np.testing.assert_allclose(
                found[path], expected[path], rtol=1e-6, atol=1e-8, err_msg=f"{file}: {path}"
            )


def test_four_devices_give_the_energies_of_one(tmp_path, run, alone):
    inputs(tmp_path, run)
    finished(start(tmp_path, run, devices=4))
    compare(tmp_path, alone)
    assert attempt.read(tmp_path / "vmc-state")[0].devices == 4


@pytest.mark.parametrize("pretrained", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_two_processes_give_the_energies_of_one_and_one_of_them_writes(
    tmp_path, run, alone, pretrained
):
    """From the pretrained network of one, since two processes compile everything twice."""
    inputs(tmp_path, run)
    if pretrained:
        shutil.copy(alone / "pretrained.h5", tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    several = {
        "PSILATTICE_PORT": str(port),
        "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
        "SLURM_NTASKS": "2",
    }
    pair = [start(tmp_path, run, 1, SLURM_PROCID=str(i), **several) for i in range(2)]
    for process in pair:
        finished(process)
    compare(tmp_path, alone)
    [record] = attempt.read(tmp_path / "vmc-state")
    assert record.devices == 2 and record.pid == pair[0].pid


def test_a_run_continues_on_another_number_of_devices(tmp_path, run, alone):
    """Interrupted by its deadline after one step on two devices, then finished on one."""
    inputs(tmp_path, run)
    process = start(tmp_path, run, 2, SLURM_JOB_END_TIME="1")
    _, errors = process.communicate(timeout=600)
    assert "before the job's time limit" in errors
    stages(tmp_path, run)
    compare(tmp_path, alone)
    assert [a.devices for a in attempt.read(tmp_path / "pretrain-state")] == [2, 1]


def test_walkers_that_cannot_be_split(tmp_path, run):
    inputs(tmp_path, run)
    process = start(tmp_path, run, devices=5)
    _, errors = process.communicate(timeout=600)
    assert process.returncode and ConfigError.__name__ in errors
    assert "32 walkers on 5 devices" in errors and "a multiple of 5" in errors


SPRING = """
import json
import jax, jax.numpy as jnp, numpy as np
from engine import devices
from engine.config import OptimizerConfig
from engine.optimizer import make_optimizer
from engine.types import LogPsi, Wavefunction
jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(1)
params = {"w": jnp.asarray(rng.normal(size=8)), "v": jnp.asarray(rng.normal(size=3))}
def apply(p, walker, system, reference):
    x = walker.ravel()
    return LogPsi(jnp.sin(jnp.outer(x, x[:3]).ravel()[:8] @ p["w"]), x[:3] @ p["v"] + p["w"][0])
real, imag = rng.normal(size=(2, 16))
batch = devices.split((rng.normal(size=(16, 2, 3)), real - real.mean(), imag - imag.mean()))
batch = (*batch, *devices.copied((jnp.zeros(()), jnp.zeros(()))))
options = OptimizerConfig(name="spring", learning_rate=0.1, norm_constraint=1e9)
spring = make_optimizer(Wavefunction(lambda *_: params, apply), options, is_complex=True)
params = devices.copied(params)
state = devices.copied(spring.init(params, None, batch))
for _ in range(2):
    params, state, _ = spring.step(params, state, None, batch)
held = jax.jit(devices.columns)(devices.split(jnp.zeros((16, 8)))).sharding.shard_shape((16, 8))
print(json.dumps([held, *(params[name].tolist() for name in "wv")]))
"""


def test_spring_gives_the_step_of_one_device_and_no_device_holds_all_derivatives():
    held, found = {}, {}
    for count in (1, 4):
        flags = {"XLA_FLAGS": f"{COMPILER} --xla_force_host_platform_device_count={count}"}
        done = subprocess.run(
            [sys.executable, "-c", SPRING],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"} | flags,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        held[count], *found[count] = json.loads(done.stdout)
    assert held == {1: [16, 8], 4: [16, 2]}
    for four, one in zip(found[4], found[1], strict=True):
        np.testing.assert_allclose(four, one, rtol=1e-10)

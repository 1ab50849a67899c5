"""A stage killed without warning and started again ends with the same bits.

The killed process gets SIGKILL as soon as its second saved state is on disk; nothing it could
do at exit is left to it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.io import checkpoint, hdf5
from engine.stage import loop, runtime
from tests.chain import TINY, sections, stages

MATERIALS = {
    "molecule, KFAC": (
        {
            "structure": {
                "kind": "atoms",
                "species": ["H", "H"],
                "positions_bohr": [[0, 0, 0], [0, 0, 1.4]],
            },
            "mean_field": {"basis": "sto-3g"},
        },
        "kfac",
        (0, 0, 0),
        "real",
    ),
    "twisted crystal, Adam": (
        {
            "structure": {
                "kind": "atoms",
                "species": ["He"],
                "positions_bohr": [[0, 0, 0]],
                "lattice_bohr": [[4, 0, 0], [0, 4, 0], [0, 1, 4]],
            },
            "mean_field": {"basis": "sto-3g"},
        },
        "adam",
        (0.25, 0, 0.5),
        "complex",
    ),
}
TIMES = ("seconds",)
"""Columns and attributes that are not results."""


@pytest.fixture
def programs(monkeypatch):
    """Programs compiled or loaded by the process after each step, for every trace."""
    counts, plain = {}, loop.Trace.append

    def append(trace, row):
        made = runtime.compilation()
        total = made["programs_compiled"] + made["programs_loaded"]
        counts.setdefault(id(trace), (trace, []))[1].append(total)
        plain(trace, row)

    monkeypatch.setattr(loop.Trace, "append", append)
    return counts


@pytest.mark.parametrize("name", MATERIALS)
def test_killed_stages_resume_bit_for_bit(tmp_path, name, programs):
    material, optimizer, twist, number = MATERIALS[name]
    method = TINY | {"optimizer": {"name": optimizer, "learning_rate": 1e-2}}
    run = sections(material, method, twist, number)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    runtime.configure()
    before = sum(runtime.compilation()[f"programs_{what}"] for what in ("compiled", "loaded"))
    stages(whole, run)
    assert len(programs) == 3  # pretraining, training, evaluation
    for _, counted in programs.values():
        assert counted[0] > before
        before = counted[-1]
        assert set(counted[1:]) == {counted[0]}, "compiled after the first step"
    for stage in ("pretrain", "vmc", "evaluate"):
        kill_in(stage, killed, run)
    stages(killed, run)
    for file, kind in (
        ("pretrained", "checkpoint"),
        ("checkpoint", "checkpoint"),
        ("vmc_trace", "trace"),
        ("blocks", "blocks"),
        ("result", "energy"),
    ):
        expected, found = (
            hdf5.read(folder / f"{file}.h5", kind).data for folder in (whole, killed)
        )
        assert expected.keys() == found.keys()
        for path in expected.keys() - set(TIMES):
            np.testing.assert_array_equal(found[path], expected[path], err_msg=f"{file}: {path}")
    assert not list(killed.glob("*.lock"))


def kill_in(stage: str, folder: Path, run: dict) -> None:
    """Starts the stages in a process of their own and kills it in the middle of `stage`."""
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run))
    code = (
        "import json, sys; from pathlib import Path; from tests.chain import stages; "
        "folder = Path(sys.argv[1]); stages(folder, json.loads((folder / 'run.json').read_text()))"
    )
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        stderr=subprocess.PIPE,
    )
    state = folder / f"{stage}-state" / "step-000000010.h5"
    deadline = time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert state.exists() or checkpoint.newest_state(state.parent) != "none was saved yet", (
        errors.decode()
    )

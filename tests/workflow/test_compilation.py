"""Twists and strains of a material share their programs: the second job compiles nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from engine.io import hdf5
from tests.chain import TINY, sections

ROOT = Path(__file__).resolve().parents[2]
LATTICE = np.array([[4, 0, 0], [0, 4, 0], [0, 1, 5]])
STRAIN = np.array([1.03, 1.03, 0.98])
RUN = (
    "import json, sys; from pathlib import Path; from tests.chain import stages; "
    "folder = Path(sys.argv[1]); stages(folder, json.loads((folder / 'run.json').read_text()))"
)


def crystal(strain) -> dict:
    """Returns a material whose lattice vectors are strained by three factors."""
    structure = {
        "kind": "atoms",
        "species": ["H", "H"],
        "positions_bohr": [[0, 0, 0], [0, 0, 1.4]],
        "lattice_bohr": (LATTICE * np.reshape(strain, (3, 1))).tolist(),
    }
    return {"structure": structure, "mean_field": {"basis": "sto-3g"}}


def programs(folder: Path, strain, twist, cache: Path) -> dict[str, dict]:
    """Runs the stages at a twist in a process of their own; returns what each compiled."""
    folder.mkdir()
    run = sections(crystal(strain), TINY, twist, "complex")
    (folder / "run.json").write_text(json.dumps(run))
    environment = {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", RUN, str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    files = {"pretrain_trace": "trace", "vmc_trace": "trace", "result": "energy"}
    return {name: hdf5.read(folder / f"{name}.h5", kind).attributes for name, kind in files.items()}


def test_another_twist_and_strain_loads_every_program_from_the_cache(tmp_path):
    cache = tmp_path / "cache"
    first = programs(tmp_path / "first", np.ones(3), (0.0, 0.0, 0.0), cache)
    assert first["vmc_trace"]["programs_compiled"] > 0
    other = programs(tmp_path / "other", STRAIN, (0.25, -0.25, 0.5), cache)
    for stage, facts in other.items():
        assert facts["programs_compiled"] == 0, stage
        assert facts["programs_loaded"] > 0, stage

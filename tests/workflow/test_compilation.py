"""All twists of a material share their programs: the second job compiles nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

from engine.io import hdf5
from tests.chain import TINY, sections

ROOT = Path(__file__).resolve().parents[2]
CRYSTAL = {
    "structure": {
        "kind": "atoms",
        "species": ["H", "H"],
        "positions_bohr": [[0, 0, 0], [0, 0, 1.4]],
        "lattice_bohr": [[4, 0, 0], [0, 4, 0], [0, 1, 5]],
    },
    "mean_field": {"basis": "sto-3g"},
}
RUN = (
    "import json, sys; from pathlib import Path; from tests.chain import stages; "
    "folder = Path(sys.argv[1]); stages(folder, json.loads((folder / 'run.json').read_text()))"
)


def programs(folder: Path, twist, cache: Path) -> dict[str, dict]:
    """Runs the stages at a twist in a process of their own; returns what each compiled."""
    folder.mkdir()
    run = sections(CRYSTAL, TINY, twist, "complex")
    (folder / "run.json").write_text(json.dumps(run))
    environment = {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", RUN, str(folder)]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
    files = {"pretrain_trace": "trace", "vmc_trace": "trace", "result": "energy"}
    return {name: hdf5.read(folder / f"{name}.h5", kind).attributes for name, kind in files.items()}


def test_second_twist_loads_every_program_from_the_cache(tmp_path):
    first = programs(tmp_path / "first", (0.0, 0.0, 0.0), tmp_path / "cache")
    second = programs(tmp_path / "second", (0.25, -0.25, 0.5), tmp_path / "cache")
    assert first["vmc_trace"]["programs_compiled"] > 0
    for stage, facts in second.items():
        assert facts["programs_compiled"] == 0, stage
        assert facts["programs_loaded"] > 0, stage

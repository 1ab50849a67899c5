"""make demo and make campaign end with what there is of the table, and with Snakemake's status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    """Returns the project with an environment that counts as installed."""
    for name in (
        "Makefile",
        "engine",
        "campaign.yaml",
        "demo.yaml",
        "materials",
        "methods",
        "learned",
    ):
        os.symlink(ROOT / name, tmp_path / name)
    for name in ("requirements.lock", "pyproject.toml", ".venv/.installed"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(("target", "name"), [("demo", "h2/ferminet-demo"), ("campaign", "he/")])
@pytest.mark.parametrize("command", ["true", "false"])
def test_a_failed_run_prints_its_table_and_fails(folder, target, name, command):
    done = subprocess.run(
        ["make", target, f"SNAKEMAKE={command}", f"BIN={Path(sys.executable).parent}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    failed = command == "false"
    assert (done.returncode != 0) == failed
    assert "energy (Ha/cell)" in done.stdout
    assert name in done.stdout.split("missing: ")[1]
    assert ("Not everything ran" in done.stdout) == failed

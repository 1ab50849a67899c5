"""A small project in a folder of its own, run by the repository's Snakefile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MATERIALS = {
    "h2": """
        description: two atoms
        structure:
          kind: atoms
          species: [H, H]
          positions_bohr: [[-0.7, 0, 0], [0.7, 0, 0]]
        mean_field:
          basis: sto-3g
        literature:
          value: -1.1744757
          unit: ha_per_cell
          source: somewhere
        """,
    "chain": """
        description: one atom in the cell
        structure:
          kind: chain
          species: H
          n_atoms: 1
          spacing_bohr: 1.8
          vacuum_bohr: 12
        supercell: [2, 1, 1]
        twists:
          grid: [2, 1, 1]
          zone: [4, 1, 1]
        mean_field:
          basis: sto-3g
        """,
}
METHODS = {
    "net": """
        ansatz: {name: ferminet, layers: 1, width: 8, pair_width: 4, determinants: 1}
        sampler: {walkers: 16, moves: 2, equilibration: 2}
        optimizer: {name: adam}
        pretrain: {steps: 3}
        vmc:
          steps: 4
        evaluate: {min_steps: 5, max_steps: 10, checkpoint_steps: 5}
        """,
    "bare": """
        precision: float64
        ansatz: {name: slater, jastrow: false}
        sampler: {walkers: 128, moves: 5, equilibration: 40}
        pretrain: {steps: 0}
        vmc: {steps: 0}
        evaluate: {min_steps: 100, max_steps: 100, checkpoint_steps: 100}
        """,
}
CAMPAIGN = """
    description: test
    seed: 3
    runs:
      h2: [net]
      chain: [bare]
    """

RULES = {
    "labels for the learned": "labels",
    "training the learned": "learn",
    "errors of the learned Hamiltonian": "learned_errors",
    "real-space blocks": "learned_hamiltonian",
    "by learned Hamiltonian": "learned_mean_field",
    "the cards of the learned": "learned_cards",
    "drawing training and parity": "learned_figures",
    "errors of learned Hamiltonians": "learned_sizes_figure",
    "building the simulation cell": "structure",
    "mean field at": "mean_field",
    "zone of the mean field": "zone",
    "integrals at": "integrals",
    "established methods at": "reference",
    "the network beside": "reference_row",
    "gathering the established": "references",
    "drawing the distances": "references_figure",
    "drawing the family": "family_figure",
    "pretraining": "pretrain",
    "for all members": "joint",
    "optimising": "vmc",
    "evaluating": "evaluate",
    "averaging": "twist_average",
    "drawing the training": "training_figure",
    "drawing the energy": "twist_figure",
    "drawing the comparison": "literature_figure",
    "drawing the observables": "observables_figure",
    "collecting": "tables",
    "taking differences": "contrasts",
    "Gaussians on the sites": "localised",
    "extrapolating to": "sizes",
    "fitting equations": "equations_of_state",
    "comparing the electron gas": "phases",
    "writing the report": "report",
}
"""Messages of the rules, which a dry run prints instead of their names."""


class Project:
    """A folder with materials and methods, and the commands a user would give there."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write(self, path: str, text: str) -> None:
        """Writes a file of the project, unindented."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        indent = re.match(r"\n*( *)", text).group(1)
        lines = (line.removeprefix(indent) for line in text.strip("\n").splitlines())
        target.write_text("\n".join(lines).rstrip() + "\n")

    def edit(self, path: str, old: str, new: str) -> None:
        """Replaces a piece of a file that must be there."""
        text = (self.folder / path).read_text()
        assert old in text
        (self.folder / path).write_text(text.replace(old, new, 1))

    def snakemake(self, *arguments: str, timeout: int = 600) -> subprocess.CompletedProcess:
        """Runs Snakemake with the local profile."""
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "snakemake",
                "--snakefile",
                str(ROOT / "Snakefile"),
                "--profile",
                str(ROOT / "profiles/local"),
                "--directory",
                str(self.folder),
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=self.folder,
            check=False,
            env=os.environ
            | {"JAX_PLATFORMS": "cpu"}
            | {"XDG_CACHE_HOME": str(self.folder / ".cache")},
        )

    def plan(self, *arguments: str) -> set[tuple[str, str]]:
        """Returns the (rule, material) of every job a dry run would start; "" for the campaign."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return {
            _job(line) for line in re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.M)
        }

    def refused(self) -> str:
        """Returns the message of a campaign that must not start."""
        done = self.snakemake("-n")
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr


def _job(message: str) -> tuple[str, str]:
    rule = next(rule for start, rule in RULES.items() if start in message)
    return rule, message.split(":")[0].split()[0] if ":" in message else ""


@pytest.fixture
def project(tmp_path) -> Project:
    """Returns a project of two materials and two methods."""
    made = Project(tmp_path)
    for name, text in MATERIALS.items():
        made.write(f"materials/{name}.yaml", text)
    for name, text in METHODS.items():
        made.write(f"methods/{name}.yaml", text)
    made.write("campaign.yaml", CAMPAIGN)
    return made


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory) -> Path:
    """Returns the same project with every output there, as after a complete run."""
    made = Project(tmp_path_factory.mktemp("finished"))
    project.__wrapped__(made.folder)
    listed = made.snakemake("--summary")
    outputs = [
        line.split("\t")[0] for line in listed.stdout.splitlines() if line.startswith("results/")
    ]
    assert len(outputs) > 20, listed.stderr
    for output in outputs:
        made.write(output, output)
    touched = made.snakemake("--touch", "--forceall")
    assert touched.returncode == 0, touched.stderr
    return made.folder


@pytest.fixture
def finished(finished_folder, tmp_path) -> Project:
    """Returns a copy of the finished project that may be edited."""
    shutil.copytree(finished_folder, tmp_path / "copy")
    return Project(tmp_path / "copy")

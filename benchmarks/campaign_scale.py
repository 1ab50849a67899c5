"""Time and memory to plan a large campaign: materials x methods x twists, made up.

    python benchmarks/campaign_scale.py --materials 100 --methods 2 --twists 10

Writes a folder with that many small materials, plans it with `snakemake -n` and prints seconds,
megabytes and the number of jobs.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

MATERIAL = """\
structure: {{kind: chain, species: H, n_atoms: 2, spacing_bohr: {spacing:.3f}, vacuum_bohr: 40}}
supercell: [4, 1, 1]
twists: {{grid: [{grid}, 1, 1], symmetry: none}}
mean_field: {{basis: cc-pvdz, vacuum_bohr: 20}}
"""
METHOD = "ansatz: {{name: ferminet, width: {width}}}\n"


def write(folder: Path, materials: int, methods: int, twists: int) -> None:
    """Writes a campaign of materials x methods x twists."""
    names = [f"chain-{i:04d}" for i in range(materials)]
    recipes = [f"net-{i:02d}" for i in range(methods)]
    for sub in ("materials", "methods"):
        (folder / sub).mkdir(parents=True)
    for i, name in enumerate(names):
        text = MATERIAL.format(spacing=1.0 + i * 0.01, grid=twists)
        (folder / f"materials/{name}.yaml").write_text(text)
    for i, name in enumerate(recipes):
        (folder / f"methods/{name}.yaml").write_text(METHOD.format(width=16 * (i + 1)))
    runs = "\n".join(f"  {name}: [{', '.join(recipes)}]" for name in names)
    (folder / "campaign.yaml").write_text(f"seed: 1\nruns:\n{runs}\n")


def plan(folder: Path, *arguments: str) -> tuple[float, float, float, int]:
    """Returns wall and processor seconds, megabytes and jobs of a dry run."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "-n", "--quiet", "rules", *arguments]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = re.findall(r"^total\s+(\d+)", done.stdout + done.stderr, re.M)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, int(jobs[-1])


def main() -> None:
    """Prints one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("materials", 100), ("methods", 2), ("twists", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        write(folder, options.materials, options.methods, options.twists)
        wall, cpu, megabytes, jobs = plan(folder, "--profile", str(ROOT / "profiles/local"))
        print(f"{jobs} jobs: {wall:.1f} s, {cpu:.1f} processor seconds, {megabytes:.0f} MB")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()

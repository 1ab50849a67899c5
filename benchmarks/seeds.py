"""Trainings from ten seeds: does any diverge, and how far do they end from one another?

    python benchmarks/seeds.py run --materials he lih h4-chain --steps 200
    python benchmarks/seeds.py run --materials electron-gas-2 --methods gas
    python benchmarks/seeds.py table

Shipped materials with shipped methods through the stages of a campaign (first twist), each training
cut at `--steps`; the rate falls with the step as in the whole training. A training has diverged
where its stage stops with a numerical error. Results are in results/benchmarks/seeds.json; what is
there already is not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
FOLDER = ROOT / "results/benchmarks/seeds"
FILE = FOLDER.with_suffix(".json")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / "results/.jax-cache"))
WINDOW = 50
"""Steps at the end that are averaged."""


def main() -> None:
    """Runs what is missing and prints the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", choices=("run", "table"))
    options.add_argument("--materials", nargs="+", default=[])
    options.add_argument("--methods", nargs="+", default=["ferminet"])
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--steps", type=int, default=200)
    options.add_argument("--pretrain", type=int, default=200)
    options.add_argument("--set", nargs="*", default=[], metavar="OPTIMIZER_KEY=VALUE")
    chosen = options.parse_args()
    if any(item.startswith("name=") for item in chosen.set):
        options.error("--set name=: rates belong to an optimizer; choose it in the method")
    for material in chosen.materials:
        for method in chosen.methods:
            for seed in range(1, chosen.seeds + 1):
                about = {
                    "material": material,
                    "method": method,
                    "seed": seed,
                    "steps": chosen.steps,
                    "pretrain": chosen.pretrain,
                    "set": " ".join(chosen.set),
                }
                if not any(about.items() <= row.items() for row in rows()):
                    keep(about | run(about, chosen.pretrain))
    table()


def rows() -> list[dict[str, Any]]:
    """Returns the finished trainings."""
    return json.loads(FILE.read_text())["rows"] if FILE.exists() else []


def keep(row: dict[str, Any]) -> None:
    """Adds a training to the file."""
    from iteration import commit, machine, versions

    facts = {"schema": 1, "machine": machine(), "versions": versions(), "commit": commit()}
    FILE.write_text(json.dumps(facts | {"rows": [*rows(), row]}, indent=1))


def run(about: dict[str, Any], pretraining: int) -> dict[str, Any]:
    """Pretrains and trains from one seed; returns how that ended."""
    import shutil

    import yaml

    from engine import campaign
    from engine.errors import NumericalError
    from engine.io.trace import read_trace
    from engine.stage.mean_field import mean_field
    from engine.stage.pretrain import pretrain
    from engine.stage.structure import structure
    from engine.stage.vmc import vmc

    material, method, seed = about["material"], about["method"], about["seed"]
    folder = FOLDER / material
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{method}-{seed}.yaml"
    file.write_text(f"seed: {seed}\nruns: {{{material}: [{method}]}}\n")
    plan = campaign.load(file, ROOT)
    files = {"system": folder / "system.h5", "mean_field": folder / "mean_field.h5"}
    if not files["system"].exists():
        extxyz = folder / "structure.extxyz"
        structure(plan.sections("structure", material), system=files["system"], structure=extxyz)
    if not files["mean_field"].exists():
        mean_field(plan.sections("mean_field", material, method, 0), **files)
    scratch = folder / f"{method}-{seed}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    first = plan.sections("pretrain", material, method, 0)
    first["pretrain"]["steps"] = min(first["pretrain"]["steps"], pretraining)
    start = scratch / "pretrained.h5"
    trace = scratch / "pretrain.h5"
    pretrain(first, **files, checkpoint=start, trace=trace, state_dir=scratch / "pretrain")
    if plan.source(material, method, 0):
        raise SystemExit(f"{material}/{method} starts from another network (vmc.transfer_from)")
    second = plan.sections("vmc", material, method, 0)
    second["vmc"] |= {"steps": about["steps"], "min_steps": None}
    second["optimizer"] |= {
        name: yaml.safe_load(value)
        for name, value in (item.split("=", 1) for item in about["set"].split())
    }
    trace = scratch / "vmc.h5"
    ends = {"checkpoint": scratch / "trained.h5", "trace": trace, "state_dir": scratch / "vmc"}
    row = {"optimizer": second["optimizer"]["name"], "walkers": second["sampler"]["walkers"]}
    try:
        vmc(second, **files, start=start, **ends)
    except NumericalError as error:
        return row | {"diverged": str(error).splitlines()[0]}
    columns = read_trace(trace)
    finals = {name: float(columns[name][-WINDOW:].mean()) for name in ("energy_ha", "variance_ha2")}
    shutil.rmtree(scratch)
    return row | {"diverged": ""} | finals


def table() -> None:
    """Prints one line per material, method and settings."""
    import numpy as np

    def what(row: dict[str, Any]) -> tuple:
        return tuple(row[name] for name in ("material", "method", "optimizer", "steps", "set"))

    print(
        f"{'material':28} {'method':9} optimizer steps seeds diverged  mean energy  spread  "
        "worst - median (mHa)  variance"
    )
    for case in dict.fromkeys(map(what, rows())):
        members = [row for row in rows() if what(row) == case]
        ended = [row for row in members if not row["diverged"]]
        energy = np.array([row["energy_ha"] for row in ended])
        variance = np.array([row["variance_ha2"] for row in ended])
        numbers = (
            f"{energy.mean():12.5f} {1e3 * energy.std(ddof=1):7.2f} "
            f"{1e3 * (energy.max() - np.median(energy)):9.2f}"
            f"             {variance.min():.2g} to {variance.max():.2g}"
            if len(ended) > 1
            else ""
        )
        print(
            f"{case[0]:28} {case[1]:9} {case[2]:9} {case[3]:5} {len(members):5} "
            f"{len(members) - len(ended):8} {numbers} {case[4]}"
        )


if __name__ == "__main__":
    main()

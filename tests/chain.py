"""Runs the engine's stages on a small material, in a folder, without Snakemake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine import config
from engine.io import hdf5
from engine.stage.evaluate import evaluate
from engine.stage.mean_field import mean_field
from engine.stage.pretrain import pretrain
from engine.stage.structure import structure
from engine.stage.vmc import vmc

TINY = {
    "ansatz": {"name": "ferminet", "layers": 1, "width": 8, "pair_width": 4, "determinants": 1},
    "sampler": {"walkers": 32, "moves": 3, "equilibration": 5},
    "pretrain": {"steps": 20, "checkpoint_steps": 5},
    "vmc": {"steps": 20, "checkpoint_steps": 5},
    "evaluate": {"min_steps": 20, "max_steps": 20, "checkpoint_steps": 5},
}
"""A method that runs in seconds and is good for nothing but its bookkeeping."""


def sections(
    material: dict[str, Any], method: dict[str, Any], twist=(0.0, 0.0, 0.0), number: str = "real"
) -> dict[str, Any]:
    """Returns every section of one run, canonical; each stage takes what it needs."""
    m = config.canonical(config.parse(config.MaterialConfig, material, where="material"))
    parsed = config.parse(config.MethodConfig, method, where="method")
    f = config.canonical(parsed) | {"vmc": config.canonical(parsed.vmc.of_twist(0))}
    run = {
        "material": "test",
        "method": "test",
        "seed": 5,
        "number": number,
        "folder": ".",
        "twist": {"index": 0, "frac": list(twist)},
    }
    return json.loads(json.dumps({**m, **f, **run}))


def inputs(folder: Path, run: dict[str, Any]) -> dict[str, Path]:
    """Makes system and mean-field file; returns their paths."""
    files = {"system": folder / "system.h5", "mean_field": folder / "mean_field.h5"}
    if not files["mean_field"].exists():
        structure(run, system=files["system"], structure=folder / "structure.extxyz")
        material = {name: run[name] for name in ("structure", "spin")}
        spin = config.parse(config.MaterialConfig, material, where="material").total_spin
        mean_field(run | {"spin": spin}, **files)
    return files


def stages(folder: Path, run: dict[str, Any]) -> dict[str, Any]:
    """Runs the stages whose output is missing; returns the result's attributes."""
    files = inputs(folder, run)
    out = {name: folder / f"{name}.h5" for name in ("pretrained", "checkpoint", "result")}
    if not out["pretrained"].exists():
        pretrain(
            run,
            **files,
            checkpoint=out["pretrained"],
            trace=folder / "pretrain_trace.h5",
            state_dir=folder / "pretrain-state",
        )
    if not out["checkpoint"].exists():
        vmc(
            run,
            **files,
            start=out["pretrained"],
            checkpoint=out["checkpoint"],
            trace=folder / "vmc_trace.h5",
            state_dir=folder / "vmc-state",
        )
    if not out["result"].exists():
        evaluate(
            run,
            **files,
            checkpoint=out["checkpoint"],
            result=out["result"],
            blocks=folder / "blocks.h5",
            state_dir=folder / "evaluate-state",
        )
    return hdf5.read(out["result"], "energy").attributes

"""Energy and variance against iterations and seconds: KFAC and SPRING from the same start.

    python benchmarks/optimizers.py run --systems lih h10 lih-cell h10-chain --steps 400
    python benchmarks/optimizers.py run --systems lih --method psiformer --optimizers spring
    python benchmarks/optimizers.py figure docs/images/optimizers.png

A system is pretrained once; every optimizer starts from there with its shipped settings, with the
moves and network of the method. Results are in results/benchmarks/optimizers.json; what
is there already is not repeated, and a run that was stopped goes on from its last saved state.
Seconds are process time, those of the first steps, which compile, left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
FILE = ROOT / "results/benchmarks/optimizers.json"
SYSTEMS = ("lih", "h10", "lih-cell", "h10-chain")
OPTIMIZERS = ("kfac", "spring")
REFERENCES_HA = {"lih": -8.070548, "h10": -5.66537, "lih-cell": -8.5165, "h10-chain": -5.72922}
"""Exact; MRCI in the limit of large bases (Motta et al. 2017); DeepSolid at Gamma for the cell and
the periodic chain (Li, Li, Chen 2022)."""
SCHEMA = 2
SAVE, WARM, WINDOW = 50, 3, 50
"""Steps between saved states, steps whose time is not counted, steps averaged in a table."""


def main() -> None:
    """Runs what is missing, or draws what there is."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("what", choices=("run", "table", "figure"))
    options.add_argument("image", nargs="?", type=Path)
    options.add_argument("--systems", nargs="+", default=SYSTEMS)
    options.add_argument("--optimizers", nargs="+", default=OPTIMIZERS, choices=OPTIMIZERS)
    options.add_argument("--method", default="ferminet", help="a file of methods/")
    options.add_argument("--steps", type=int, default=400)
    options.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE")
    chosen = options.parse_args()
    if chosen.what == "figure":
        return figure(chosen.image, variant(chosen))
    for name in chosen.systems if chosen.what == "run" else ():
        for optimizer in chosen.optimizers:
            if (name, optimizer, variant(chosen)) not in found():
                keep(run(name, optimizer, chosen))
    return table()


def found() -> dict[tuple[str, str, str], dict[str, Any]]:
    """Returns the finished runs of present systems by name, optimizer and variant."""
    from systems import SYSTEMS

    file = json.loads(FILE.read_text()) if FILE.exists() else {}
    rows = file["rows"] if file.get("schema") == SCHEMA else []
    present = [row for row in rows if row["material"] == SYSTEMS.get(row["system"])]
    return {(row["system"], row["optimizer"], row["variant"]): row for row in present}


def variant(chosen: argparse.Namespace) -> str:
    """Returns the method and what is set otherwise."""
    return " ".join([chosen.method, *sorted(chosen.set)])


def keep(row: dict[str, Any]) -> None:
    """Adds a finished run to the file."""
    from iteration import commit, machine, versions

    facts = {"schema": SCHEMA, "machine": machine(), "versions": versions(), "commit": commit()}
    FILE.write_text(json.dumps(facts | {"rows": [*found().values(), row]}))


def run(name: str, optimizer: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Returns one curve: energies, variances and seconds of all steps."""
    import jax
    import numpy as np
    from iteration import planned
    from systems import SYSTEMS

    from engine.io.checkpoint import canonical, flatten, unflatten
    from engine.stage import job as jobs
    from engine.stage.pretrain import pretrain
    from engine.stage.vmc import make_iteration

    sets = ["sampler.walkers=256", f"optimizer.name={optimizer}", *chosen.set]
    facts = {"system": name, "walkers": 256, "method": chosen.method, "set": sets}
    plan, files = planned(facts)
    folder = files["system"].parent / variant(chosen)
    folder.mkdir(exist_ok=True)
    start = folder / "pretrained.h5"
    if not start.exists():
        pretrain(
            plan.sections("pretrain", name, "bench", 0),
            **files,
            checkpoint=start,
            trace=folder / "pretrain_trace.h5",
            state_dir=folder / "pretrain-state",
        )
    job = jobs.load("vmc", plan.sections("vmc", name, "bench", 0), **files, start=start)
    restored = jobs.restored(job, jobs.read_start(start), start)
    advance, state, prepare = make_iteration(job, *restored, chosen.steps)
    saved = folder / f"{optimizer}.npz"
    curve: dict[str, list[float]] = {"energy_ha": [], "variance_ha2": [], "seconds": []}
    if saved.exists():
        data = dict(np.load(saved))
        curve = {column: list(data.pop(f"curve/{column}")) for column in curve}
        state = unflatten(state, data)
    else:
        state = canonical(prepare(state))
    first = len(curve["seconds"])
    for step in range(first, chosen.steps):
        begun = time.process_time()
        state, row = jax.block_until_ready(advance(state, step))
        spent = time.process_time() - begun
        curve["seconds"].append(spent if step >= first + WARM else np.nan)
        for column in ("energy_ha", "variance_ha2"):
            curve[column].append(float(row[column]))
        if (step + 1) % SAVE == 0:
            np.savez(saved, **flatten(state), **{f"curve/{k}": v for k, v in curve.items()})
    curve["seconds"] = list(np.where(np.isnan(s := curve["seconds"]), np.nanmedian(s), s))
    about = {"system": name, "optimizer": optimizer, "variant": variant(chosen)}
    about["material"] = SYSTEMS[name]
    return about | {"mean_field_ha": job.mean_field_ha, **curve}


def table() -> None:
    """Prints energy and variance over windows of steps, with the seconds spent until there."""
    import numpy as np

    for (name, optimizer, kind), row in found().items():
        energy, variance, seconds = (
            np.array(row[k]) for k in ("energy_ha", "variance_ha2", "seconds")
        )
        for last in range(2 * WINDOW, len(energy) + 1, 2 * WINDOW):
            part = slice(last - WINDOW, last)
            print(
                f"{name:9} {kind:12} {optimizer:7} step {last:5d} "
                f"{seconds[:last].sum():7.1f} s: energy {energy[part].mean():.5f} "
                f"variance {np.median(variance[part]):.4f} ({np.median(seconds):.3f} s per step)"
            )


def figure(image: Path, kind: str) -> None:
    """Draws the energy of every system against iterations (above) and seconds (below)."""
    import matplotlib.pyplot as plt
    import numpy as np

    rows = {key[:2]: row for key, row in found().items() if key[2] == kind}
    names = list(dict.fromkeys(name for name, _ in rows))
    picture, axes = plt.subplots(
        2, len(names), figsize=(3.4 * len(names), 5.4), sharey="col", squeeze=False
    )
    for (name, optimizer), row in rows.items():
        smooth = np.convolve(row["energy_ha"], np.full(WINDOW, 1 / WINDOW), mode="valid")
        steps = np.arange(WINDOW - 1, len(row["energy_ha"]))
        for axis, x in zip(
            axes[:, names.index(name)], (steps, np.cumsum(row["seconds"])[steps]), strict=True
        ):
            axis.plot(x, smooth, label=optimizer)
    for column, name in enumerate(names):
        for axis in axes[:, column] if name in REFERENCES_HA else ():
            axis.axhline(REFERENCES_HA[name], color="black", linewidth=0.8, linestyle=":")
        axes[0, column].set(title=name, xlabel="iterations")
        axes[1, column].set(xlabel="processor seconds")
    for axis in axes[:, 0]:
        axis.set_ylabel(f"energy / Ha, mean of {WINDOW} steps")
    axes[0, 0].legend()
    picture.tight_layout()
    picture.savefig(image, dpi=110)


if __name__ == "__main__":
    main()

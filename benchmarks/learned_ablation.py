"""Ablations of learned Hamiltonians and errors over sizes, on water, PBE/def2-SVP.

    python benchmarks/learned_ablation.py                 what is missing of all variants
    python benchmarks/learned_ablation.py --only base flow-path
    python benchmarks/learned_ablation.py --table         the table of what there is

All variants share one labelled set, made first, and a short training that is the same for all but
for what is compared. Labels, trainings and rows are kept in results/benchmarks/learned; a run that
was stopped goes on. Errors are of test geometries; seconds are processor time.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
FOLDER = ROOT / "results/benchmarks/learned"
BASE: dict[str, Any] = {
    "labels": {"materials": ["h2o-sto3g"], "geometries": 250, "train": 200, "validation": 20},
    "mean_field": {"method": "rks", "basis": "def2-svp", "convergence_ha": 1e-10},
    "model": {"channels": 16, "input_channels": 8, "output_channels": 8, "layers": 1, "hidden": 32},
    "flow": {},
    "learn": {
        "steps": 1000,
        "batch": 8,
        "learning_rate": 3e-3,
        "average": 0.99,
        "checkpoint_steps": 100,
    },
}
TESTED = 10
"""Test geometries whose energies and forces are compared."""


def flow(prior: str, steps: int = 3) -> dict[str, Any]:
    return {"flow": {"enabled": True, "prior": prior, "steps": steps}}


VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "train-50": {"learn": {"train_limit": 50}},
    "flow-path": flow("path"),
    "pair-geometry": {"model": {"pair_update": "geometry"}},
    "pair-content": {"model": {"pair_update": "content"}},
    "tensor": {"model": {"convolution": "tensor"}},
    "channels-8": {"model": {"channels": 8, "input_channels": 4, "output_channels": 4}},
    "flow-goe": flow("goe"),
    "flow-tensor": flow("tensor"),
    "no-guess": {"model": {"guess_input": False}},
    "train-100": {"learn": {"train_limit": 100}},
    "train-25": {"learn": {"train_limit": 25}},
    "elements-alone": {"learn": {"orbital_weight": 0.0}},
}
"""Name -> what differs from the base: a regression, both pair updates, SO(2), 200 geometries."""


def main() -> None:
    """Runs what is missing, then prints the table."""
    chosen = arguments()
    if not chosen.table:
        labels = make_labels()
        for name in chosen.only or VARIANTS:
            if not (FOLDER / f"{name}.json").exists():
                run(name, labels)
    rows = [json.loads(p.read_text()) for n in VARIANTS if (p := FOLDER / f"{n}.json").exists()]
    show(rows)


def arguments() -> argparse.Namespace:
    layout = argparse.RawTextHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    options.add_argument("--only", nargs="+", choices=VARIANTS)
    options.add_argument("--table", action="store_true")
    return options.parse_args()


def resolved(name: str) -> dict[str, Any]:
    """Returns the sections of a variant with all defaults."""
    from engine.config import canonical, parse
    from engine.config.learned import LearnedConfig

    content = copy.deepcopy(BASE)
    for section, changes in VARIANTS[name].items():
        content[section] |= changes
    return canonical(parse(LearnedConfig, content, where=name))


def make_labels() -> Path:
    """Makes the labelled set, or finds it."""
    from engine.campaign import load
    from engine.stage.labels import labels
    from engine.stage.structure import structure

    path = FOLDER / "labels.h5"
    if path.exists():
        return path
    content = resolved("base")
    campaign = load("campaign.yaml", root=ROOT)
    structure(
        campaign.sections("structure", "h2o-sto3g"),
        system=FOLDER / "system.h5",
        structure=FOLDER / "structure.extxyz",
    )
    asked = {"material": "h2o-sto3g", "charge": 0}
    asked |= {k: content[k] for k in ("mean_field", "labels")}
    labels(asked, system=FOLDER / "system.h5", labels=path, state_dir=FOLDER / "state-labels")
    return path


def run(name: str, labels: Path) -> None:
    """Trains a variant, measures it and keeps its row."""
    from engine.io import hdf5
    from engine.io.learned import read_learned
    from engine.stage.learn import learn
    from engine.stage.learned_errors import learned_errors

    content, own = resolved(name), FOLDER / name
    sections = {"name": name, "guess": content["labels"]["guess"]}
    sections |= {k: content[k] for k in ("mean_field", "model", "flow", "learn")}
    start = time.process_time()
    learn(
        sections,
        labels=[labels],
        model=own / "model.h5",
        trace=own / "trace.h5",
        state_dir=own / "state",
    )
    total = time.process_time() - start
    rows = learned_errors(
        {"name": name, "limit": TESTED},
        model=own / "model.h5",
        labels=[labels],
        errors=own / "errors.csv",
    )
    facts = read_learned(own / "model.h5").facts
    trace = hdf5.read(own / "trace.h5", "trace")
    row = {
        "variant": name,
        "parameters": facts["parameters"],
        "train": facts["geometries"][0],
        "steps": facts["steps"],
        "validation_uha": 1e6 * facts["validation_ha"],
        "seconds": total,
        "compile_seconds": trace.attributes.get("compile_seconds"),
        "commit": facts["commit"],
    }
    for line in rows:
        row[line["quantity"]] = [line["mean"], line["worst"]]
    (FOLDER / f"{name}.json").write_text(json.dumps(row, indent=1))
    show([row])


def show(rows: list[dict[str, Any]]) -> None:
    """Prints the table, as in docs/learned-hamiltonians.md."""
    print("| variant | parameters | trained on | H mean | H worst | E mHa | F meV/A | cycles | s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for r in rows:
        h, e = r["hamiltonian_uha"], r["energy_mha"][0]
        f, c = r["forces_mev_per_angstrom"][0], r["cycles_predicted"][0]
        print(
            f"| {r['variant']} | {r['parameters']} | {r['train']} | {h[0]:.0f} | {h[1]:.0f} "
            f"| {e:.4f} | {f:.2f} | {c:.1f} | {r['seconds']:.0f} |"
        )


if __name__ == "__main__":
    main()

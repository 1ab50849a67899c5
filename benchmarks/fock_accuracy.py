"""Networks of `fock.yaml` against established methods on the same integrals, in one process.

    python benchmarks/fock_accuracy.py run h6-open-chain c2-sto3g
    python benchmarks/fock_accuracy.py run h10-open-chain-r36 --set selection.core=8000
    python benchmarks/fock_accuracy.py table

The stages are those of a campaign with its sections and seed, without a process for each: files
are kept in results/benchmarks/fock, and a stage that was stopped resumes. One line of
results/benchmarks/fock/accuracy.jsonl for each run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
FOLDER = ROOT / "results/benchmarks/fock"
LINES = FOLDER / "accuracy.jsonl"


def run(chosen: argparse.Namespace) -> None:
    """Runs the materials one after the other; those with a line already are left out."""
    import yaml

    from engine import campaign

    plan = campaign.load(chosen.campaign, ROOT)
    changes = [assignment.split("=", 1) for assignment in chosen.set]
    label = " ".join(chosen.set)
    known = [json.loads(line) for line in LINES.read_text().splitlines()] if LINES.exists() else []
    done = {(line["material"], line["twist"], line["set"]) for line in known}
    for material in chosen.materials:
        for twist in range(len(plan.twists(material))):
            if (material, twist, label) in done:
                continue
            all_sections = {
                stage: plan.sections(stage, material, chosen.method, twist)
                for stage in (
                    *("structure", "mean_field", "integrals", "pretrain", "vmc", "evaluate"),
                    "reference",
                )
            }
            for place, value in changes:
                _changed(all_sections, *place.split("."), yaml.safe_load(value))
            folder = FOLDER / "-".join([material, str(twist), *chosen.set])
            line = {"material": material, "twist": twist, "set": label}
            line |= stages(all_sections, folder)
            with LINES.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


def _changed(sections: dict[str, Any], section: str, key: str, value: Any) -> None:
    for content in sections.values():
        if section in content:
            content[section] = content[section] | {key: value}


def stages(sections: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Runs every stage of one twist that has no file yet; returns its numbers, hartree."""
    from engine.io import hdf5
    from engine.stage import fock_train
    from engine.stage.fock_evaluate import fock_evaluate
    from engine.stage.fock_integrals import fock_integrals
    from engine.stage.fock_reference import fock_reference
    from engine.stage.mean_field import mean_field
    from engine.stage.structure import structure

    folder.mkdir(parents=True, exist_ok=True)
    names = ("system", "mean_field", "integrals", "start", "checkpoint", "result", "reference")
    files = {name: folder / f"{name}.h5" for name in names}
    system, scf, integrals = (files[n] for n in names[:3])
    state = {"trace": folder / "trace.h5", "state_dir": folder / "state"}
    seconds = {}

    def stage(name: str, target: str, call, **paths) -> None:
        if not files[target].exists():
            before = time.process_time()
            call(sections[name], **paths)
            seconds[f"{name}_s"] = time.process_time() - before

    stage("structure", "system", structure, system=system, structure=folder / "s.extxyz")
    stage("mean_field", "mean_field", mean_field, system=system, mean_field=scf)
    inputs = {"system": system, "mean_field": scf, "integrals": integrals}
    stage("integrals", "integrals", fock_integrals, **inputs, fcidump=folder / "FCIDUMP")
    common = {"integrals": integrals}
    stage("reference", "reference", fock_reference, **common, reference=files["reference"])
    start = {"checkpoint": files["start"]} | state
    stage("pretrain", "start", fock_train.fock_pretrain, **common, **start)
    trained = {"start": files["start"], "checkpoint": files["checkpoint"]} | state
    stage("vmc", "checkpoint", fock_train.fock_vmc, **common, **trained)
    measured = {"checkpoint": files["checkpoint"], "result": files["result"]}
    measured |= {"blocks": folder / "blocks.h5", "state_dir": folder / "measured"}
    stage("evaluate", "result", fock_evaluate, **common, **measured)
    facts = hdf5.read(files["result"], "energy").attributes
    references = hdf5.read(files["reference"], "reference")
    kept = ("estimator", "energy_ha", "projected_ha", "projected_pt2_ha", "extrapolated_ha")
    kept += (
        "selected_ci_ha",
        "asymmetric_ha",
        "spin_squared",
        "pt2_complete",
        "error_ha",
        "n_cells",
    )
    core = hdf5.read(files["checkpoint"], "checkpoint").data["selected/core"]
    return {
        **{name: facts[name] for name in kept},
        **{name: float(value) for name, value in references.data.items()},
        **{name: references.attributes[name] for name in ("determinants", "n_orbitals")},
        "core": int((~core).any(axis=(1, 2)).sum()),
        "steps": sections["vmc"]["vmc"]["steps"],
        "width": sections["vmc"]["ansatz"]["width"],
        **seconds,
    }


NAMES = ("projected", "selected-ci", "projected-pt2", "extrapolated", "ccsd", "ccsd-t")


def table(_: argparse.Namespace) -> None:
    """Prints distances to the exact energy (FCI, else DMRG) in millihartree.

    The estimator of the campaign is bold.
    """
    head = ("material", "determinants", "core and survivors", "steps")
    head += ("projected", "selected CI", "with PT2", "extrapolated")
    print(f"| {' | '.join((*head, 'CCSD', 'CCSD(T)'))} |")
    print("| --- " * (len(head) + 2) + "|")
    for text in LINES.read_text().splitlines():
        line = json.loads(text)
        exact = line.get("fci_ha", float("nan"))
        exact = line.get("dmrg_ha", exact) if exact != exact else exact
        cells = [f"{line['material']} {line['twist'] or ''} {line['set']}".strip()]
        cells += [str(line[name]) for name in ("determinants", "core", "steps")]
        for name in NAMES:
            key = name if name == "ccsd-t" else name.replace("-", "_")
            value = line.get(f"{key}_ha")
            cell = "" if value is None or value != value else f"{1e3 * (value - exact):.4f}"
            cells.append(f"**{cell}**" if name == line["estimator"] else cell)
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Parses the command line."""
    layout = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("materials", nargs="+")
    running.add_argument("--campaign", default="fock.yaml")
    running.add_argument("--method", default="fock")
    running.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE")
    running.set_defaults(call=run)
    commands.add_parser("table").set_defaults(call=table)
    chosen = parser.parse_args()
    chosen.call(chosen)


if __name__ == "__main__":
    main()

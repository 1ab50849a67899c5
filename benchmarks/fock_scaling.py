"""Processor seconds of the Fock-space engine: renewals of the core and optimisation steps.

    python benchmarks/fock_scaling.py run --json results/benchmarks/fock.json
    python benchmarks/fock_scaling.py figure results/benchmarks/fock.json docs/images/scaling.png

Open hydrogen chains, R = 1.8 bohr, STO-6G, canonical orbitals: as many orbitals as atoms, half
filled. One line varies the core at 10 orbitals, one the orbitals at a core of 256; survivors are
as many as the core. Every case runs in a process of its own.

renewal  scores of the connected space, amplitudes of core and survivors, lists of neighbours
step     amplitudes, 8 Krylov vectors, Gram matrix, one solve, one backward pass
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CORES = (256, 512, 1024, 2048)
ATOMS = (10, 14, 20, 30)
CORE, CHAIN = 256, 10


def cases() -> list[dict]:
    """Returns atoms and core of every case."""
    cores = [{"line": "core", "atoms": CHAIN, "core": core} for core in CORES]
    return cores + [{"line": "orbitals", "atoms": n, "core": CORE} for n in ATOMS if n != CHAIN]


def measure(facts: dict) -> dict:
    """Returns the medians of one case."""
    import jax
    import numpy as np

    from benchmarks.fock_ablation import Run, rows
    from benchmarks.fock_systems import chain_of
    from engine.stage import runtime

    runtime.configure()
    facts = facts | {"core": min(facts["core"], chain_of(facts["atoms"])[1])}
    options = argparse.Namespace(core=facts["core"], period=5, width=64, functional="full")
    variant = {"rule": "two-stage", "score": "epstein-nesbet", "factor": 1.0}
    one = Run(chain_of(facts["atoms"])[0], variant, options)
    params = one.model.wavefunction.init(jax.random.key(0), one.space, one.reference)
    state, lists = one.optimizer.init(params), one.select.start(one.H)
    for step in range(facts["renewals"]):
        lists, subspace = one.timed("renewal", one.renewed, params, lists, step * 5)
        for _ in range(5):
            at = (params, state, subspace, one.reference)
            params, state, _ = one.timed("step", one.optimizer.step, *at)
    seconds = {kind: float(np.median(values)) for kind, values in one.typical.items()}
    return facts | {
        "orbitals": one.space.n_orbitals,
        "connected": one.space.n_connected,
        "rows": rows(lists),
        **{f"{kind}_s": value for kind, value in seconds.items()},
    }


def run(chosen: argparse.Namespace) -> None:
    """Measures all cases and writes JSON."""
    from benchmarks.iteration import commit, machine, versions

    found = []
    for facts in cases():
        if facts["atoms"] > chosen.atoms or facts["core"] > chosen.core:
            continue
        facts = json.dumps(facts | {"renewals": chosen.renewals})
        command = [sys.executable, __file__, "one", facts]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{facts}:\n{done.stderr[-3000:]}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(described(found[-1]), flush=True)
    if chosen.json:
        facts = {"machine": machine(), "versions": versions(), "commit": commit()}
        Path(chosen.json).parent.mkdir(parents=True, exist_ok=True)
        Path(chosen.json).write_text(json.dumps({"schema": 1, **facts, "rows": found}, indent=1))


def described(row: dict) -> str:
    """Returns one row of the table in Markdown."""
    return (
        f"| {row['orbitals']} | {row['connected']} | {row['core']} | {row['rows']} "
        f"| {row['renewal_s']:.3f} | {row['step_s']:.3f} "
        f"| {1 / row['renewal_s']:.2f} | {1 / row['step_s']:.1f} |"
    )


def figure(chosen: argparse.Namespace) -> None:
    """Draws seconds over the size of the core and over the orbitals, with their powers."""
    sys.path.insert(0, str(ROOT / "workflow/scripts"))
    import numpy as np
    from matplotlib.ticker import NullLocator
    from plots import style

    rows = json.loads(Path(chosen.input).read_text())["rows"]
    canvas, panels = style.stack(2)
    labels = {"core": "rows: core and survivors", "orbitals": "orbitals"}
    for ax, line in zip(panels, labels, strict=True):
        here = (CHAIN, CORE)  # the case that both lines have in common
        shown = [row for row in rows if row["line"] == line or (row["atoms"], row["core"]) == here]
        x = np.array([row["rows" if line == "core" else "orbitals"] for row in shown])
        for kind in ("renewal", "step"):
            y = np.array([row[f"{kind}_s"] for row in shown])
            power = np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)[0]
            ax.plot(x, y, "o-", label=f"{kind}, power {power:.1f} at the end")
        ax.set(xscale="log", yscale="log", xlabel=labels[line], ylabel="processor seconds")
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.xaxis.set_minor_locator(NullLocator())
        style.plain_numbers(ax.yaxis)
        ax.legend()
    panels[0].set_title(f"{CHAIN} orbitals")
    panels[1].set_title(f"core of {CORE}")
    style.save(canvas, svg=Path(chosen.output).with_suffix(".svg"), png=chosen.output)


def main() -> None:
    """Parses the command line."""
    layout = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("--json")
    running.add_argument("--renewals", type=int, default=8)
    running.add_argument("--atoms", type=int, default=max(ATOMS), help="largest chain")
    running.add_argument("--core", type=int, default=max(CORES), help="largest core")
    running.set_defaults(call=run)
    single = commands.add_parser("one")
    single.add_argument("facts")
    single.set_defaults(call=lambda chosen: print(json.dumps(measure(json.loads(chosen.facts)))))
    drawing = commands.add_parser("figure")
    drawing.add_argument("input")
    drawing.add_argument("output")
    drawing.set_defaults(call=figure)
    chosen = parser.parse_args()
    chosen.call(chosen)


if __name__ == "__main__":
    main()

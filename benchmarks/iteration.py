"""Processor seconds and memory of one VMC iteration: sampling, local energy, optimizer.

    python benchmarks/iteration.py --systems lih h4-chain --walkers 64 256 --json out.json
    python benchmarks/iteration.py --systems h10 --set hamiltonian.laplacian=loop
    python benchmarks/iteration.py --systems h8 h16 h32 h64 --walkers 16 --repeat 4 --growth

Every case runs in a process of its own, without the compilation cache. Seconds are medians of
process time after compilation (wall time on a GPU), compile seconds those of the first calls;
memory is the process's peak (that of the device on a GPU). Structures and mean fields are kept in
results/benchmarks: `--prepare` makes no more than these, for machines without PySCF.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
FOLDER = ROOT / "results/benchmarks"
DEFAULT = ["h2", "lih", "bh3", "h4-chain"]
PARTS = ("sample", "local_energy", "optimizer")


def main() -> None:
    """Prints one line per case and, on request, writes JSON."""
    chosen = arguments()
    if chosen.one:
        return print(json.dumps(measure(json.loads(chosen.one))))
    if chosen.prepare:
        for name in chosen.systems:
            planned(case(name, chosen.walkers[0], chosen))
        return None
    rows = []
    for name in chosen.systems:
        for walkers in chosen.walkers:
            rows.append(in_process(case(name, walkers, chosen)))
            show(rows[-1])
    if chosen.growth:
        growth(rows)
    if chosen.json:
        facts = {"machine": machine(), "versions": versions(), "commit": commit()}
        Path(chosen.json).write_text(json.dumps({"schema": 1, **facts, "rows": rows}, indent=1))
    return None


def arguments() -> argparse.Namespace:
    """Returns the command line."""
    from systems import SYSTEMS

    layout = argparse.RawTextHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    options.add_argument("--systems", nargs="+", default=DEFAULT, choices=SYSTEMS)
    options.add_argument("--walkers", nargs="+", type=int, default=[256])
    options.add_argument("--method", default="ferminet", help="a file of methods/")
    options.add_argument("--set", nargs="*", default=[], metavar="SECTION.KEY=VALUE")
    options.add_argument("--repeat", type=int, default=10)
    options.add_argument("--json", help="where to write the numbers")
    options.add_argument("--growth", action="store_true", help="exponents between sizes")
    options.add_argument("--prepare", action="store_true", help="structures and mean fields alone")
    options.add_argument("--one", help=argparse.SUPPRESS)
    return options.parse_args()


def case(name: str, walkers: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Returns what is asked of one system."""
    return {
        "system": name,
        "walkers": walkers,
        "method": chosen.method,
        "set": chosen.set,
        "repeat": chosen.repeat,
    }


def in_process(facts: dict[str, Any]) -> dict[str, Any]:
    """Measures a case in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps(facts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        place = f"{facts['system']}, {facts['walkers']} walkers"
        raise SystemExit(f"{place}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def show(row: dict[str, Any]) -> None:
    """Prints one line."""
    parts = " ".join(f"{part} {row[part + '_s']:.4f}" for part in (*PARTS, "iteration"))
    print(
        f"{row['system']:10} n={row['electrons']:<3} W={row['walkers']:<5} {parts} s, "
        f"compile {row['compile_s']:.0f} s, {row['peak_mb']:.0f} MB",
        flush=True,
    )


def growth(rows: list[dict[str, Any]]) -> None:
    """Prints d log(seconds) / d log(electrons) between systems that follow each other."""
    for walkers in sorted({row["walkers"] for row in rows}):
        same = [row for row in rows if row["walkers"] == walkers]
        for small, large in itertools.pairwise(same):
            size = math.log(large["electrons"] / small["electrons"])
            powers = " ".join(
                f"{part} {math.log(large[part + '_s'] / small[part + '_s']) / size:.2f}"
                for part in (*PARTS, "iteration")
            )
            print(f"{small['system']} to {large['system']}, W={walkers}: exponents {powers}")


def measure(facts: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers of one case."""
    import jax

    from engine import keys
    from engine.config import HamiltonianConfig, OptimizerConfig, parse
    from engine.hamiltonian import make_hamiltonian
    from engine.optimizer import make_optimizer
    from engine.optimizer.objective import clipped_weights
    from engine.stage.programs import in_flight, make_local_energy, make_sample

    jax.config.update("jax_enable_compilation_cache", False)
    job, repeat = prepare(facts), facts["repeat"]
    energies = parse(HamiltonianConfig, job.sections["hamiltonian"])
    params, state = job.fresh()
    sample = make_sample(job)
    hamiltonian = make_hamiltonian(job.system, energies)
    chunk = in_flight(job, energies)
    local_energy = make_local_energy(job.wavefunction, hamiltonian, chunk)
    key, here = keys.stream(job.key, "benchmark"), (job.system, job.reference)
    seconds: dict[str, list[float]] = {}

    def advance(state, _):
        return sample(params, state, *here, key, 1.0)[0]

    state = timed(seconds, "sample", 2 * repeat, advance, state)
    energy = timed(
        seconds, "local_energy", repeat, lambda *_: local_energy(params, state.walkers, *here, key)
    )
    optimizer = make_optimizer(
        job.wavefunction,
        parse(OptimizerConfig, job.sections["optimizer"]),
        is_complex=job.sections["number"] == "complex",
    )
    weights = [w.astype(job.dtype) for w in clipped_weights(energy.real, energy.imag, 5.0)]
    batch = (state.walkers, *weights, *here)

    def step(holder, _):
        return optimizer.step(*holder, key, batch)[:2]

    timed(seconds, "optimizer", repeat, step, (params, optimizer.init(params, key, batch)))
    return facts | numbers(job, seconds)


def numbers(job: Any, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Returns medians and sums of the seconds measured."""
    import jax
    import numpy as np

    device = jax.devices()[0]
    memory = device.memory_stats() or {}
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    medians = {f"{part}_s": float(np.median(seconds[part][2:])) for part in PARTS}
    return {
        "electrons": job.system.n_particles,
        **medians,
        "iteration_s": sum(medians.values()),
        **{f"{part}_compile_s": seconds[part][0] for part in PARTS},
        "compile_s": sum(seconds[part][0] for part in PARTS),
        "peak_mb": memory["peak_bytes_in_use"] / 2**20 if memory else host,
        "device": device.device_kind,
    }


def timed(seconds: dict[str, list[float]], name: str, repeat: int, call, state: Any = None) -> Any:
    """Repeats state = call(state, i), keeps the seconds of each; returns the last state."""
    import jax

    clock = time.process_time if jax.default_backend() == "cpu" else time.monotonic
    seconds[name] = []
    for i in range(repeat + 2):
        start = clock()
        state = jax.block_until_ready(call(state, i))
        seconds[name].append(clock() - start)
    return state


def prepare(facts: dict[str, Any]) -> Any:
    """Returns the vmc job of a case."""
    from engine.stage import job as jobs

    plan, files = planned(facts)
    return jobs.load("vmc", plan.sections("vmc", facts["system"], "bench", 0), **files)


def planned(facts: dict[str, Any]) -> tuple[Any, dict[str, Path]]:
    """Returns a campaign of one case, method "bench", with the files of system and mean field.

    Makes structure and mean field where there are none, or those of another material.
    """
    import yaml
    from systems import SYSTEMS

    from engine import campaign

    name, folder = facts["system"], FOLDER / facts["system"]
    method = yaml.safe_load((ROOT / f"methods/{facts['method']}.yaml").read_text())
    method["sampler"]["walkers"] = facts["walkers"]
    for assignment in facts["set"]:
        place, value = assignment.split("=", 1)
        section, key = place.split(".")
        method.setdefault(section, {})[key] = yaml.safe_load(value)
    material, content = folder / f"materials/{name}.yaml", yaml.safe_dump(SYSTEMS[name])
    files = {"system": folder / "system.h5", "mean_field": folder / "mean_field.h5"}
    if material.exists() and material.read_text() != content:
        shutil.rmtree(folder)
    for sub in ("materials", "methods"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    material.write_text(content)
    (folder / "methods/bench.yaml").write_text(yaml.safe_dump(method))
    (folder / "campaign.yaml").write_text(f"seed: 1\nruns: {{{name}: [bench]}}\n")
    plan = campaign.load(folder / "campaign.yaml", folder)
    if not all(file.exists() for file in files.values()):
        from engine.stage.mean_field import mean_field
        from engine.stage.structure import structure

        structure(
            plan.sections("structure", name),
            system=files["system"],
            structure=folder / "structure.extxyz",
        )
        mean_field(plan.sections("mean_field", name, "bench", 0), **files)
    return plan, files


def machine() -> str:
    """Returns the processor's name and the number of cores this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else []
    name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")
    return f"{name or platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def versions() -> dict[str, str]:
    """Returns the versions of what does the work."""
    from importlib.metadata import version

    return {name: version(name) for name in ("jax", "jaxlib", "kfac-jax", "folx", "flax")}


def commit() -> str:
    """Returns the commit that was measured."""
    from engine.stage import runtime

    return runtime.commit()


if __name__ == "__main__":
    main()

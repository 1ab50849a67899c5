"""CPU seconds of one VMC iteration, split into sampling, local energy and optimizer.

    python benchmarks/vmc_step.py h2 h4-chain --method ferminet --walkers 256 [--json out.json]

Process time, median over repetitions after compilation; structure and mean field are made in a
temporary folder. Compile seconds are those of the first call, with the persistent cache off.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import numpy as np  # noqa: E402

from engine import campaign, keys  # noqa: E402
from engine.config import HamiltonianConfig, OptimizerConfig, parse  # noqa: E402
from engine.hamiltonian import make_hamiltonian  # noqa: E402
from engine.optimizer import make_optimizer  # noqa: E402
from engine.optimizer.objective import clipped_weights  # noqa: E402
from engine.stage import job as jobs  # noqa: E402
from engine.stage.mean_field import mean_field  # noqa: E402
from engine.stage.programs import make_local_energy, make_sample  # noqa: E402
from engine.stage.structure import structure  # noqa: E402


def main() -> None:
    """Prints one line per material and, on request, writes JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("materials", nargs="+")
    options.add_argument("--method", default="ferminet")
    options.add_argument("--walkers", type=int, default=256)
    options.add_argument("--repeat", type=int, default=10)
    options.add_argument("--json")
    chosen = options.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    rows = [measure(name, chosen) for name in chosen.materials]
    if chosen.json:
        Path(chosen.json).write_text(
            json.dumps(
                {
                    "machine": platform.processor() or platform.machine(),
                    "jax": jax.__version__,
                    "rows": rows,
                },
                indent=1,
            )
        )


def measure(material: str, chosen: argparse.Namespace) -> dict:
    """Returns the timings of one material at its last twist."""
    with tempfile.TemporaryDirectory() as folder:
        here = prepare(material, chosen, Path(folder))
    sections = here.sections
    hamiltonian_options = parse(HamiltonianConfig, sections["hamiltonian"])
    params, state = here.template()
    sample = make_sample(here)
    local_energy = make_local_energy(
        here.wavefunction,
        make_hamiltonian(here.system, hamiltonian_options),
        hamiltonian_options.chunk,
    )
    key = keys.stream(here.key, "benchmark")
    row = {
        "material": material,
        "method": chosen.method,
        "electrons": here.system.n_particles,
        "walkers": chosen.walkers,
    }
    holder = [params, state]

    def advance():
        holder[1], _ = sample(params, holder[1], here.system, here.reference, key, 1.0)
        return holder[1]

    state = timed(row, "sample", 3 * chosen.repeat, advance)
    energy = timed(
        row,
        "local_energy",
        chosen.repeat,
        lambda: local_energy(params, state.walkers, here.system, here.reference, key),
    )
    optimizer = make_optimizer(here.wavefunction, parse(OptimizerConfig, sections["optimizer"]))
    weights = [w.astype(here.dtype) for w in clipped_weights(energy.real, energy.imag, 5.0)]
    batch = (state.walkers, *weights, here.system, here.reference)
    holder = [params, optimizer.init(params, key, batch)]

    def step():
        holder[:] = optimizer.step(*holder, key, batch)[:2]
        return holder

    timed(row, "optimizer", chosen.repeat, step)
    row["iteration_s"] = sum(row[f"{part}_s"] for part in ("sample", "local_energy", "optimizer"))
    print(
        " ".join(f"{k}={v:.4f}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items()),
        flush=True,
    )
    return row


def prepare(material: str, chosen: argparse.Namespace, folder: Path):
    """Returns the vmc job of a material."""
    text = f"seed: 1\nruns: {{{material}: [{chosen.method}]}}\n"
    (folder / "campaign.yaml").write_text(text)
    plan = campaign.load(folder / "campaign.yaml", ROOT)
    twist = plan.twists(material)[-1].index
    files = {"system": folder / "system.h5", "mean_field": folder / "mean_field.h5"}
    structure(
        plan.sections("structure", material), system=files["system"], structure=folder / "s.extxyz"
    )
    mean_field(plan.sections("mean_field", material, chosen.method, twist), **files)
    sections = plan.sections("vmc", material, chosen.method, twist)
    sections["sampler"]["walkers"] = chosen.walkers
    return jobs.load("vmc", sections, **files)


def timed(row: dict, name: str, repeat: int, call):
    """Stores first-call and median process seconds of `call` in `row`; returns its last result."""
    seconds = []
    for _ in range(repeat + 2):
        start = time.process_time()
        result = jax.block_until_ready(call())
        seconds.append(time.process_time() - start)
    row[f"{name}_compile_s"], row[f"{name}_s"] = seconds[0], float(np.median(seconds[2:]))
    return result


if __name__ == "__main__":
    main()

"""Independent samples per second of a trained network, against moves per sample and acceptance.

    python benchmarks/sampling.py results/lih/ferminet/twist-000 --moves 5 10 --acceptance 0.3 0.5
    python benchmarks/sampling.py results/lih/ferminet/twist-000 --moves 5 10 --proposal langevin

The folder is that of a run that has come as far as `vmc`. A step makes moves of all walkers and
evaluates their local energies. Printed are the steps per independent sample (the integrated
autocorrelation time) of the energy and of the electrons' distance from the nearest nucleus, summed
over electrons; processor seconds per step; and independent samples of the slower of both, of all
walkers, per second.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import numpy as np  # noqa: E402

from engine import campaign  # noqa: E402
from engine.config.method import ACCEPTANCES  # noqa: E402
from engine.estimator.statistics import Estimate, estimate, stream_count  # noqa: E402
from engine.stage.job import load, read_start, restored  # noqa: E402
from engine.stage.programs import make_measure  # noqa: E402
from engine.system.system import System  # noqa: E402


def main() -> None:
    """Prints one line per choice."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("run", type=Path, help="results/<material>/<method>/twist-<k>")
    options.add_argument("--campaign", type=Path, default=Path("campaign.yaml"))
    options.add_argument("--moves", type=int, nargs="+", default=[2, 5, 10, 20])
    options.add_argument("--acceptance", type=float, nargs="+", default=[None])
    options.add_argument("--proposal", choices=tuple(ACCEPTANCES), default="gaussian")
    options.add_argument("--steps", type=int, default=400)
    chosen = options.parse_args()
    for acceptance in chosen.acceptance:
        for moves in chosen.moves:
            acceptance = acceptance or ACCEPTANCES[chosen.proposal]
            found, distance, seconds, walkers = measure(chosen, moves, acceptance)
            energy = found.tau
            taus = [tau for tau in (energy, distance) if not math.isnan(tau)]
            print(
                f"{chosen.proposal:8} acceptance {acceptance:.2f} moves {moves:3d}: "
                f"tau {energy:5.2f} (energy) {distance:5.2f} (distance) steps, "
                f"{seconds:.4f} s/step, "
                f"{walkers / (max(taus) * seconds):7.0f} independent samples/s, "
                f"{found.mean:.5f} +- {found.error:.5f} Ha",
                flush=True,
            )


def measure(
    chosen: argparse.Namespace, moves: int, acceptance: float
) -> tuple[Estimate, float, float, int]:
    """Returns the energy, tau of the distance in steps, processor seconds per step, and walkers."""
    material, method, twist = chosen.run.parts[-3:]
    plan = campaign.load(chosen.campaign, chosen.campaign.parent)
    sections = plan.sections("evaluate", material, method, int(twist.removeprefix("twist-")))
    moved = {"moves": moves, "acceptance": acceptance, "proposal": chosen.proposal}
    sections["sampler"] |= moved | {"equilibration": 100}
    folder = chosen.run.parents[1]
    field = folder / f"mean_field/{plan.method(material, method).reference}/{twist}.h5"
    start = chosen.run / "vmc/checkpoint.h5"
    job = load("evaluate", sections, system=folder / "system.h5", mean_field=field, start=start)
    params, state = restored(job, read_start(start), start)
    equilibrate, step = make_measure(job, "evaluate")
    state = equilibrate(params, state)
    energies, distances, seconds = [], [], []
    for i in range(chosen.steps):
        begun = time.process_time()
        state, energy, _ = jax.block_until_ready(step(params, state, i, 0.0))
        seconds.append(time.process_time() - begun)
        energies.append(np.asarray(energy.real))
        if job.system.symbols:
            distances.append(distance_from_nuclei(state.walkers, job.system))
    streams = np.array(energies).reshape(chosen.steps, stream_count(job.walkers), -1).mean(axis=2)
    slow = estimate(np.array(distances)).tau if distances else math.nan
    return estimate(streams), slow, float(np.median(seconds)), job.walkers


def distance_from_nuclei(walkers: jax.Array, system: System) -> np.ndarray:
    """Returns (W,) sums of the electrons' distances from the nearest nucleus, bohr."""
    electrons = walkers[:, system.particle_charges < 0]
    d = system.cell.nearest_image(electrons[:, :, None] - system.positions)
    return np.linalg.norm(np.asarray(d, float), axis=-1).min(axis=-1).sum(axis=-1)


if __name__ == "__main__":
    main()

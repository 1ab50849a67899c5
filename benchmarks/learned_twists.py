"""Mean fields of a dense twist grid from one learned Hamiltonian, beside the ordinary ones.

    python benchmarks/learned_twists.py h4-chain-quarter h-chain --grid 16

For the twists i / grid along the first axis, up to time reversal: SCF iterations and converged
energies from PySCF's guess and from H(R) of the model, what the checks say, and processor seconds.
Of two Fock matrices that are built per twist for the checks the first iteration takes one; one on
the mesh of the model for all twists together is not counted here.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402

from engine.campaign import Campaign, load  # noqa: E402
from engine.config.learned import UseConfig  # noqa: E402
from engine.io.lattice_hamiltonian import LatticeHamiltonian  # noqa: E402
from engine.io.system import read_system  # noqa: E402
from engine.mean_field import pyscf_crystal  # noqa: E402
from engine.mean_field.pyscf_solver import solve  # noqa: E402
from engine.stage import runtime  # noqa: E402
from engine.stage.crystal_hamiltonian import predict  # noqa: E402
from engine.stage.crystal_mean_field import accepted  # noqa: E402
from engine.stage.learned_model import load as load_model  # noqa: E402

FOLDER = ROOT / "results/benchmarks/learned"


class Counted:
    """Counts Fock matrices and iterations of a field while it converges."""

    def __init__(self, predicted: LatticeHamiltonian | None):
        self.predicted, self.cycles, self.builds, self.used = predicted, 0, 0, False

    def __call__(self, field: Any, options: Any) -> Any:
        plain = field.get_veff

        def counted(*arguments: Any, **named: Any) -> Any:
            self.builds += 1
            return plain(*arguments, **named)

        field.get_veff = counted
        physics = accepted(self.predicted, field, UseConfig()) if self.predicted else None
        self.used = physics is not None
        if physics:
            pyscf_crystal.remember(field, physics)
        self.cycles, _ = pyscf_crystal.cycles(field, physics.density if physics else "minao")
        return field


def main() -> None:
    """Prints one line per twist and the sums."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("material")
    options.add_argument("model")
    options.add_argument("--grid", type=int, default=16)
    chosen = options.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    runtime.configure()
    campaign = load("campaign.yaml", root=ROOT)
    file = read_system(ROOT / f"results/{chosen.material}/system.h5")
    trained = load_model(ROOT / f"results/learned/{chosen.model}/model.h5")
    start = time.process_time()
    predicted = predict(trained, file.primitive, {})
    print(f"H(R) of the model: {time.process_time() - start:.1f} s, compilation included")
    rows = [
        twist(campaign, chosen.material, file, predicted, i / chosen.grid)
        for i in range(chosen.grid // 2 + 1)
    ]
    summed(rows)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"twists-{chosen.material}.json").write_text(json.dumps(rows, indent=1))


def twist(
    campaign: Campaign, material: str, file: Any, predicted: LatticeHamiltonian, x: float
) -> dict[str, Any]:
    """Returns both calculations at one twist."""
    facts = campaign.material(material)
    row: dict[str, Any] = {"twist": x}
    for name, source in (("ordinary", None), ("learned", predicted)):
        counted, start = Counted(source), time.process_time()
        found = solve(
            file.primitive,
            file.supercell,
            *facts.counts,
            facts.config.charge,
            np.array([x, 0, 0]),
            facts.config.mean_field,
            iterate=counted,
        )
        row[name] = {
            "cycles": counted.cycles,
            "builds": counted.builds,
            "seconds": time.process_time() - start,
            "energy_ha": found.total,
            "used": counted.used,
        }
    a, b = row["ordinary"], row["learned"]
    print(
        f"twist {x:.4f}: cycles {a['cycles']} -> {b['cycles']}, Fock matrices {a['builds']} -> "
        f"{b['builds']}, energy {b['energy_ha'] - a['energy_ha']:+.1e} Ha, "
        f"{'used' if b['used'] else 'not used'}, {a['seconds']:.1f} s -> {b['seconds']:.1f} s",
        flush=True,
    )
    return row


def summed(rows: list[dict[str, Any]]) -> None:
    """Prints the sums."""
    for key in ("cycles", "builds", "seconds"):
        a, b = (sum(r[name][key] for r in rows) for name in ("ordinary", "learned"))
        print(f"{key}: {a:.4g} -> {b:.4g}")
    worst = max(abs(r["learned"]["energy_ha"] - r["ordinary"]["energy_ha"]) for r in rows)
    used = sum(r["learned"]["used"] for r in rows)
    print(f"largest difference of energies: {worst:.1e} Ha; used {used} of {len(rows)}")


if __name__ == "__main__":
    main()

"""Speed of learned Hamiltonians over the size of molecules: training step, prediction, memory.

    python benchmarks/learned.py                          water to propane, PBE/def2-SVP
    python benchmarks/learned.py --molecules H2O --set convolution=tensor --json out.json

Every molecule runs in a process of its own, without the compilation cache: a batch of one geometry
per step, the network of learned/water.yaml with random parameters and targets. Seconds are medians
of process time after compilation (wall time on a GPU); memory is the peak of the process after
training, before PySCF. `predict` is the network alone, `guess` the initial guess and its Fock
matrix, `diagonal` one diagonalisation, `scf` the calculation they replace, to 1e-9 hartree.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
MOLECULES = ("H2O", "CH3OH", "CH3CH2OH", "C3H8")
PARTS = ("step", "predict", "guess", "diagonal", "scf")


def main() -> None:
    """Prints one line per molecule and, on request, writes JSON."""
    chosen = arguments()
    if chosen.one:
        return print(json.dumps(measure(json.loads(chosen.one))))
    rows = []
    for name in chosen.molecules:
        rows.append(case(name, chosen))
        show(rows[-1])
    if chosen.json:
        facts = {"machine": platform.processor(), "cores": os.cpu_count()}
        Path(chosen.json).write_text(json.dumps({"schema": 1, **facts, "rows": rows}, indent=1))
    return None


def arguments() -> argparse.Namespace:
    layout = argparse.RawTextHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    options.add_argument("--molecules", nargs="+", default=MOLECULES, help="names of ASE's g2 set")
    options.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of `model`")
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--json", help="where to write the numbers")
    options.add_argument("--one", help=argparse.SUPPRESS)
    return options.parse_args()


def case(name: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measures one molecule in a process of its own."""
    facts = {"molecule": name, "set": chosen.set, "repeat": chosen.repeat}
    command = [sys.executable, __file__, "--one", json.dumps(facts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def show(row: dict[str, Any]) -> None:
    parts = ", ".join(f"{part} {row[part]:.3g}" for part in PARTS)
    print(
        f"{row['molecule']}: {row['atoms']} atoms, {row['orbitals']} orbitals, "
        f"{row['parameters']} parameters, {row['memory_mb']:.0f} MB, "
        f"compile {row['compile']:.0f}; seconds: {parts}; {row['cycles']} iterations",
        flush=True,
    )


def measure(facts: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers of one molecule."""
    from ase.build import molecule

    from engine.stage import runtime
    from engine.system.geometry import Geometry
    from engine.units import BOHR_ANGSTROM

    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
    runtime.configure()
    atoms = molecule(facts["molecule"])
    symbols = tuple(atoms.get_chemical_symbols())
    geometry = Geometry(symbols, atoms.positions / BOHR_ANGSTROM)
    row = {"molecule": facts["molecule"], "atoms": len(symbols), "set": facts["set"]}
    return row | timings(geometry, facts)


def timings(geometry: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns seconds of every part, parameters, memory and compilation."""
    import jax
    import numpy as np

    from engine.config import MeanFieldConfig
    from engine.config.learned import FlowConfig, LearnConfig, LearnedModelConfig
    from engine.learned.loss import fit_scales, make_samples
    from engine.learned.model import init, make_model, make_predict
    from engine.learned.orbitals import OrbitalBasis
    from engine.learned.training import make_training
    from engine.mean_field import pyscf_labels, pyscf_predicted

    field = MeanFieldConfig(method="rks", basis="def2-svp")
    shells = pyscf_labels.shells_of(geometry, 0, field)
    own = dict(item.split("=") for item in facts["set"])
    small = LearnedModelConfig(
        channels=16, input_channels=8, output_channels=8, layers=1, hidden=32
    )
    changed = {k: type(getattr(small, k))(v) for k, v in own.items()}
    model = make_model(OrbitalBasis.of(shells), dataclasses.replace(small, **changed), FlowConfig())
    mean_field = pyscf_labels.molecular_field(geometry, 0, field)
    overlap, n = mean_field.get_ovlp(), mean_field.mol.nao
    rng = np.random.default_rng(0)
    guess, fock = (m + m.T for m in rng.normal(size=(2, n, n)))
    occupied = mean_field.mol.nelectron // 2
    many = [np.stack([x, x]) for x in (geometry.positions, fock, overlap, guess)]
    samples = make_samples(model, geometry.symbols, *many, occupied)
    scales = fit_scales(model, [samples])
    one = jax.tree.map(lambda x: x[:1], samples)
    params = init(model, jax.random.key(0))
    training = make_training(model, LearnConfig())
    state, key, zero = training.init(params), jax.random.key(1), jax.numpy.asarray(0)
    predict = make_predict(model)

    def step() -> Any:
        return jax.block_until_ready(training.step(state, scales, one, key, zero))

    def predicted() -> np.ndarray:
        return predict(params, scales, geometry.symbols, geometry.positions, guess, key)

    start = time.process_time()
    step()
    predicted()
    row = {"compile": time.process_time() - start, "orbitals": n}
    row["parameters"] = int(sum(x.size for x in jax.tree.leaves(params)))
    row["step"], row["predict"] = (median(f, facts["repeat"]) for f in (step, predicted))
    row["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row["guess"] = median(lambda: pyscf_predicted.guess_hamiltonian(geometry, 0, field, "minao"), 1)
    row["diagonal"] = median(
        lambda: pyscf_predicted.diagonalise(guess, overlap, occupied), facts["repeat"]
    )
    count: list[int] = []
    row["scf"] = median(
        lambda: count.append(pyscf_predicted.cycles(geometry, 0, field, "minao")[0]), 1
    )
    return row | {"cycles": count[0]}


def median(run: Callable[[], Any], repeat: int) -> float:
    """Returns seconds of processor time; on a GPU of wall time."""
    import jax

    clock = time.perf_counter if jax.default_backend() == "gpu" else time.process_time
    found = []
    for _ in range(repeat):
        start = clock()
        run()
        found.append(clock() - start)
    return sorted(found)[len(found) // 2]


if __name__ == "__main__":
    main()

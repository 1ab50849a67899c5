"""What the pruning in two stages costs and what it loses, on systems with a known energy.

    python benchmarks/fock_ablation.py run --output ablation.jsonl [--systems h8-weak ...]
    python benchmarks/fock_ablation.py table ablation.jsonl
    python benchmarks/fock_ablation.py figure ablation.jsonl ablation.svg

Runs that are in the output already are left out, so that a stopped benchmark goes on. A run
trains one network with one rule of selection:

two-stage   a proxy keeps `factor` x |core| of the connected determinants, the network sees those
one-stage   the network sees every connected determinant at every step; no proxy
one-stage-vmc   the same, but only core amplitudes are trained (local energies over everything)

Counted are exact amplitudes: rows of every optimisation step and of every renewal. Seconds are
processor seconds of steps and renewals, without compilation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from benchmarks.fock_ablation_report import described, figure, table  # noqa: E402
from benchmarks.fock_systems import EVERYTHING, SYSTEMS, integrals_of, variants  # noqa: E402
from engine.config.fock import (  # noqa: E402
    FockAnsatzConfig,
    FockOptimizerConfig,
    SelectionConfig,
)
from engine.fock import slater_condon  # noqa: E402
from engine.fock.backflow import make_backflow, reference_orbitals  # noqa: E402
from engine.fock.determinants import FockSpace, valid  # noqa: E402
from engine.fock.estimators import core_energies  # noqa: E402
from engine.fock.natural import make_fock_optimizer  # noqa: E402
from engine.fock.selection import make_selection  # noqa: E402
from engine.mean_field.correlated import full_ci  # noqa: E402
from engine.stage import runtime  # noqa: E402

IN_FLIGHT = 2_000_000
"""Contributions scored at a time: bounds the memory of long chains."""


class Run:
    """One network, one rule of selection, counted and timed."""

    def __init__(self, system: str, variant: dict, chosen: argparse.Namespace):
        self.integrals = integrals_of(system)
        file = self.integrals
        self.space = FockSpace(file.n_orbitals, file.n_up, file.n_down)
        self.H, self.T = slater_condon.hamiltonian(file), slater_condon.kinetic(file)
        ansatz = FockAnsatzConfig(width=chosen.width)
        self.model = make_backflow(ansatz, self.space, is_complex=False, dtype=jnp.float64)
        self.reference = jnp.asarray(reference_orbitals(file))
        one = variant["rule"] != "two-stage"
        factor = EVERYTHING if one else variant["factor"]
        score = variant["score"] or "residual"
        # With everything surviving, slots are as many as the space has determinants outside.
        factor = min(factor, self.space.dimension / chosen.core - 1)
        self.selection = SelectionConfig(
            core=chosen.core,
            survivor_factor=factor,
            score=score,
            period=chosen.period,
            chunk=min(256, max(1, IN_FLIGHT // self.space.n_connected)),
        )
        optimizer = FockOptimizerConfig(
            functional=chosen.functional,
            krylov=8,
            learning_rate=1.0,
            momentum=0.0,
            norm_constraint=1.0,
        )
        if variant["rule"] == "one-stage-vmc":
            optimizer = FockOptimizerConfig(functional="asymmetric")
        self.functional = optimizer.functional
        self.optimizer = make_fock_optimizer(self.model, optimizer, is_complex=False)
        self.select = make_selection(
            self.model.wavefunction, self.selection, self.space, is_complex=False
        )
        self.amplitudes, self.seconds = 0, 0.0
        self.typical: dict[str, list[float]] = {}
        self.late: dict[str, int] = {}

    def train(self, steps: int, every: int, seed: int) -> list[dict]:
        """Returns the energies of the core along the optimisation; the last one in all ways."""
        params = self.model.wavefunction.init(jax.random.key(seed), self.space, self.reference)
        state, lists = self.optimizer.init(params), self.select.start(self.H)
        curve = []
        for step in range(1, steps + 1):
            if (step - 1) % self.selection.period == 0:
                lists, subspace = self.timed("renewal", self.renewed, params, lists, step - 1)
            at = (params, state, subspace, self.reference)
            params, state, info = self.timed("step", self.optimizer.step, *at)
            self.amplitudes += rows(lists)
            if step % every == 0:
                energy = {"projected_ha": float(info["energy_ha"])}
                curve.append({"step": step, **self.spent(), **energy})
        curve[-1] |= self.measured(params, lists)
        return curve

    def renewed(self, params, lists, step: int):
        """Returns (lists, subspace); the first lists are those of perturbation theory."""
        if step:
            self.amplitudes += rows(lists)
            lists = self.select.renew(params, self.H, self.reference, lists, step)
        return trimmed(lists), self.select.subspace(self.H, trimmed(lists), step, self.functional)

    def timed(self, kind: str, call, *arguments):
        """Adds the processor seconds of a call; of one that compiles, those of the others."""
        programs, before = runtime.compile_seconds(), time.process_time()
        result = jax.block_until_ready(call(*arguments))
        if runtime.compile_seconds() == programs:
            self.typical.setdefault(kind, []).append(time.process_time() - before)
            self.seconds += self.typical[kind][-1]
        else:
            self.late[kind] = self.late.get(kind, 0) + 1
        return result

    def spent(self) -> dict:
        """Returns amplitudes and seconds so far."""
        late = sum(n * statistics.median(self.typical.get(k, [0.0])) for k, n in self.late.items())
        return {"amplitudes": self.amplitudes, "seconds": self.seconds + late}

    def measured(self, params, lists) -> dict:
        """Returns the energies on the last core; measuring is not counted."""
        found = core_energies(
            self.model.wavefunction,
            self.space,
            params,
            self.reference,
            lists.core,
            self.H,
            self.T,
            is_complex=False,
            chunk=self.selection.chunk,
            buffer=self.selection.buffer,
        )
        return {
            "projected_ha": found.projected,
            "projected_pt2_ha": found.projected + found.pt2,
            "asymmetric_ha": found.asymmetric,
        }


def rows(lists) -> int:
    """Returns how many determinants the network sees."""
    return int(valid(lists.core).sum()) + int(valid(lists.survivors).sum())


def trimmed(lists):
    """Returns the lists with few empty slots: where everything survives they are many."""
    count = int(valid(lists.survivors).sum())
    return lists._replace(survivors=lists.survivors[: -(-count // 256) * 256])


def run(chosen: argparse.Namespace) -> None:
    """Runs what is missing in the output, one JSON line each."""
    runtime.configure()
    path = Path(chosen.output)
    known = path.read_text().splitlines() if path.exists() else []
    done = {name_of(json.loads(line)) for line in known}
    for system in chosen.systems:
        for variant in variants():
            if chosen.only and label_of(variant) not in chosen.only:
                continue
            facts = {"system": system, **variant, "seed": chosen.seed, "core": chosen.core}
            if name_of(facts) in done:
                continue
            one = Run(system, variant, chosen)
            curve = one.train(chosen.steps, chosen.every, chosen.seed)
            line = facts | {"exact_ha": full_ci(one.integrals), "curve": curve}
            with path.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(described(line), flush=True)


def label_of(variant: dict) -> str:
    """Returns what `--only` calls a rule: one-stage, one-stage-vmc, max-1, epstein-nesbet-4."""
    two = variant["rule"] == "two-stage"
    return f"{variant['score']}-{variant['factor']:g}" if two else variant["rule"]


def name_of(line: dict) -> tuple:
    """Returns what tells runs apart."""
    return tuple(line[k] for k in ("system", "rule", "score", "factor", "seed", "core"))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    running = commands.add_parser("run")
    running.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    names = [label_of(variant) for variant in variants()]
    running.add_argument("--only", nargs="+", default=[], choices=names, help="all if left out")
    running.add_argument("--output", default="ablation.jsonl")
    for name, value in (("core", 64), ("steps", 30), ("every", 5), ("period", 5)):
        running.add_argument(f"--{name}", type=int, default=value)
    running.add_argument("--width", type=int, default=32)
    running.add_argument("--seed", type=int, default=1)
    running.set_defaults(call=run, functional="symmetric")
    tables = commands.add_parser("table")
    tables.add_argument("input")
    tables.add_argument("--tolerance", type=float, default=0.1, help="millihartree")
    tables.set_defaults(call=table)
    drawing = commands.add_parser("figure")
    drawing.add_argument("input")
    drawing.add_argument("output")
    drawing.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    drawing.set_defaults(call=figure)
    chosen = parser.parse_args()
    chosen.call(chosen)


if __name__ == "__main__":
    main()

"""Steps to a twist average: twists trained alone, from the first one's network, or together.

    snakemake --profile profiles/local mean_fields --config campaign=FILE
    python benchmarks/joint_training.py twists h4-chain            # alone, handed on, together
    python benchmarks/joint_training.py together lih-cell-twists   # and nothing else
    python benchmarks/joint_training.py together lih-cell-twists --number complex
    python benchmarks/joint_training.py supercell h8-chain h4-chain   # from nothing, from h4-chain
    python benchmarks/joint_training.py supercell h16-chain h8-chain --steps 4 12 25 50
    python benchmarks/joint_training.py larger lih-222 lih-cell-twists   # from there alone
    python benchmarks/joint_training.py table
    python benchmarks/joint_training.py figure --image out.png

All runs share programs, network, optimizer and walkers. Numbers are evaluations with frozen
parameters, in results/benchmarks/joint.json (joint-complex.json with --number complex); what is
there already is not repeated. The table has averages over twists against the steps that all twists
have cost together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from engine import config, keys
from engine.config import OptimizerConfig
from engine.estimator.statistics import estimate, stream_count
from engine.io.checkpoint import flatten, under, unflatten
from engine.library import find, read_material
from engine.optimizer import make_optimizer
from engine.optimizer.objective import clipped_weights
from engine.sampler.initial import initial_walkers
from engine.sections import phase
from engine.stage.job import load
from engine.stage.programs import make_measure, make_programs

ROOT = Path(__file__).resolve().parents[1]
SAVE, WARM = 20, 3
"""Steps between saved states, and steps whose time is not counted."""
METHOD = {
    "ansatz": {"name": "transferable", "layers": 3, "width": 32, "pair_width": 16},
    "optimizer": {"name": "spring"},
}
MARKS = {
    "h4-chain": (-0.523846, -0.582824, -0.606323),
    "h6-chain": (-0.585042, -0.574634, -0.548354),
    "h8-chain": (-0.556325, -0.571099, -0.576953),
    "h16-chain": (-0.563482, -0.567080, -0.568521),
}
"""Ha per atom at twists 0, 1/4, 1/2: Gerard et al., arXiv:2405.07599 (2024), plot data."""


WAYS = {
    "together": {"label": "together", "color": "C0"},
    "from-small": {"label": "together, from the smaller cell", "color": "C1"},
    "alone": {"label": "alone", "color": "C2"},
    "handed": {"label": "from the first twist", "color": "C3"},
}
"""How twists are trained, and how that is drawn."""
ACTIONS = ("together", "twists", "supercell", "larger", "table", "figure")


class Material:
    """The twists of a material, which share programs, and fresh parameters."""

    def __init__(self, name: str, options: argparse.Namespace):
        """Reads system and mean fields; `options` are those of the command line."""
        number = options.number
        chosen = METHOD | {"sampler": {"walkers": options.walkers, "moves": options.moves}}
        method = config.canonical(config.parse(config.MethodConfig, chosen, where="method"))
        base = method | {"material": name, "method": "benchmark", "seed": options.seed}
        folder = options.root / name
        facts = read_material(find(ROOT, "materials", name))
        self.name, self.weights = name, [twist.weight for twist in facts.twists]
        if number == "auto":  # as a campaign chooses
            number = "real" if all(t.is_own_opposite for t in facts.twists) else "complex"
        signs = number == "real" and any(any(t.frac) for t in facts.twists)
        self.jobs = [
            load(
                "vmc",
                json.loads(json.dumps(base))
                | {"number": number, "antiperiodic": signs, "twist": config.canonical(phase(t))},
                system=folder / "system.h5",
                mean_field=folder / f"mean_field/scf/twist-{t.index:03d}.h5",
            )
            for t in facts.twists
        ]
        self.programs = make_programs(self.jobs[0])
        self.measures = [make_measure(job, "vmc", self.programs)[1] for job in self.jobs]
        self.options = config.parse(OptimizerConfig, METHOD["optimizer"], where="optimizer")
        self.optimizer = make_optimizer(
            self.jobs[0].wavefunction, self.options, is_complex=number == "complex"
        )
        self.atoms = len(self.jobs[0].system.symbols)
        self.equilibration = options.equilibration
        self.params = self.jobs[0].fresh()[0]

    def walkers(self) -> list[Any]:
        """Returns walkers of every twist where electrons start."""
        return [
            job.sampler.init(
                initial_walkers(job.key, job.system, job.walkers, job.dtype), job.system
            )
            for job in self.jobs
        ]

    def settled(self, params, samplers: list[Any]) -> list[Any]:
        """Returns walkers of every twist after the steps of equilibration with `params`."""
        found = []
        for job, sampler in zip(self.jobs, samplers, strict=True):
            for step in range(self.equilibration):
                key = keys.stream(job.key, "equilibration", step)
                sampler, _ = self.programs.sample(
                    params, sampler, job.system, job.reference, key, 1.0
                )
            found.append(sampler)
        return found


def train(material: Material, members, state, first: int, last: int, save):
    """Makes steps on members in turn, and saves now and then; returns the state."""
    params, samplers, opt_state, seconds = state
    for step in range(first, last):
        begun = time.process_time()
        turn, place = divmod(step, len(members))
        k = members[int(np.random.default_rng([1, turn]).permutation(len(members))[place])]
        job = material.jobs[k]
        sampler, energy, _ = material.measures[k](params, samplers[k], step, 1.0)
        weights = clipped_weights(energy.real, energy.imag, material.options.clip)
        weights = (w.astype(job.dtype) for w in weights)
        batch = (sampler.walkers, *weights, job.system, job.reference)
        key = keys.stream(job.key, "optimizer", step)
        params, opt_state, _ = material.optimizer.step(params, opt_state, key, batch)
        samplers = [*samplers[:k], sampler, *samplers[k + 1 :]]
        jax.block_until_ready(params)
        if step >= first + WARM:
            seconds = [*seconds, time.process_time() - begun]
        if (step + 1) % SAVE == 0 or step + 1 == last:
            save(step + 1, (params, samplers, opt_state))
    return params, samplers, opt_state, seconds


def measured(material: Material, k: int, params, sampler, steps: int) -> dict[str, float]:
    """Returns energy, error (hartree per atom) and variance of a frozen network."""
    rows, variance = [], []
    for step in range(-10, steps):
        sampler, energy, row = material.measures[k](params, sampler, 10**6 + step, 0.0)
        if step >= 0:
            rows.append(np.asarray(energy.real).reshape(stream_count(len(energy.real)), -1).mean(1))
            variance.append(float(row["variance_ha2"]))
    found = estimate(np.array(rows))
    return {
        "energy": found.mean / material.atoms,
        "error": found.error / material.atoms,
        "tau": found.tau,
        "variance_ha2": float(np.mean(variance)),
        "mean_field": material.jobs[k].mean_field_ha / material.atoms,
        "mark": MARKS.get(material.name, [None] * 9)[k],
    }


class Notebook:
    """Results so far, in a JSON file; the state of every run beside it."""

    def __init__(self, path: Path):
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        return json.loads(self.path.read_text()) if self.path.exists() else []

    def has(self, **about) -> bool:
        return any(all(row.get(k) == v for k, v in about.items()) for row in self.rows())

    def add(self, **row) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps([*self.rows(), row], indent=1))
        print(row, flush=True)

    def _file(self, name: str) -> Path:
        return self.path.with_name(f"joint-{name}.npz")

    def keep(self, name: str, step: int, state: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"part-{name}.npz")
        np.savez(part, step=step, **flatten(state))
        part.replace(self._file(name))

    def params(self, name: str, template: Any) -> Any:
        """Returns the parameters a run has come to."""
        return unflatten(template, under("0", dict(np.load(self._file(name)))))

    def kept(self, name: str, template: Any) -> tuple[int, Any]:
        """Returns the step and the state of a run; zero and the template where there is none."""
        if not self._file(name).exists():
            return 0, template
        data = dict(np.load(self._file(name)))
        return int(data.pop("step")), unflatten(template, data)


def stations(book, material, name, members, params, marks, evaluation) -> None:
    """Trains to each number of steps in `marks` and evaluates the members there."""
    job, samplers = material.jobs[0], material.walkers()
    batch = (samplers[0].walkers, *[np.zeros(job.walkers)] * 2, job.system, job.reference)
    opt_state = material.optimizer.init(params, job.key, batch)
    done, state = book.kept(name, (params, samplers, opt_state))
    if not done:
        state = (params, material.settled(params, samplers), opt_state)
    state = (*state, [])
    for mark in marks:
        if done < mark:
            save = lambda step, state: book.keep(name, step, state)  # noqa: E731
            state = train(material, members, state, done, mark, save)
            done = mark
        for k in members if done == mark else ():
            about = {"material": material.name, "run": name, "twist": k, "steps": mark}
            if not book.has(**about):
                seconds = float(np.median(state[3])) if state[3] else None
                numbers = measured(material, k, state[0], state[1][k], evaluation)
                facts = {"weight": material.weights[k], "seconds_per_step": seconds}
                book.add(**about, **facts, **numbers)


def together(book: Notebook, material: Material, marks: list[int], evaluation: int) -> None:
    """All twists together; `marks` are steps per twist."""
    name, members = material.name, list(range(len(material.jobs)))
    marks = [len(members) * mark for mark in marks]
    stations(book, material, f"{name}-together", members, material.params, marks, evaluation)


def twists(book: Notebook, material: Material, marks: list[int], evaluation: int) -> None:
    """All twists: together, alone, and handed on from the first; `marks` are steps per twist."""
    together(book, material, marks, evaluation)
    params, members = material.params, list(range(len(material.jobs)))
    name = material.name
    for k in members:
        stations(book, material, f"{name}-alone-{k}", [k], params, marks, evaluation)
    first = book.params(f"{name}-alone-0", params)
    for k in members[1:]:
        stations(book, material, f"{name}-handed-{k}", [k], first, marks, evaluation)


def larger(
    book: Notebook, material: Material, small: str, marks: list[int], evaluation: int
) -> None:
    """All twists of a larger cell together, from the smaller cell's network.

    Of the smaller cell's networks that is the one which itself came from a smaller cell, if any.
    """
    name, members = material.name, list(range(len(material.jobs)))
    marks = [len(members) * mark for mark in marks]
    runs = [f"{small}-from-small", f"{small}-together"]
    trained = next((run for run in runs if book.kept(run, None)[0]), None)
    if trained is None:
        sys.exit(f"no network of {small} in {book.path.parent}: train one (together {small})")
    before = book.params(trained, material.params)
    stations(book, material, f"{name}-from-small", members, before, marks, evaluation)


class Average(NamedTuple):
    """An average over the twists of a material.

    Attributes:
        steps: That all twists have cost together.
        energy: Hartree per atom.
        error: Of it.
        mean_field: Hartree per atom.
        mark: The published energy, hartree per atom; not a number where there is none.
    """

    steps: int
    energy: float
    error: float
    mean_field: float
    mark: float


def averages(rows: list[dict[str, Any]], material: str) -> dict[str, list[Average]]:
    """Returns, per way of training, the averages over twists in the order of steps."""
    mine = [row for row in rows if row["material"] == material]
    alone = [row for row in mine if row["run"] == f"{material}-alone-0"]
    first = max(alone, key=lambda row: row["steps"], default=None)
    averaged: dict[str, list[Average]] = {}
    for way in WAYS:
        these = [row for row in mine if row["run"].startswith(f"{material}-{way}")]
        for steps in sorted({row["steps"] for row in these}):
            found = {row["twist"]: row for row in these if row["steps"] == steps}
            total = steps * (len(found) if way in ("alone", "handed") else 1)
            if way == "handed" and first:  # the first twist is the one trained alone
                found[0] = first
                total += first["steps"]
            if abs(sum(row["weight"] for row in found.values()) - 1) > 1e-9:
                continue
            mean = {
                key: sum(row["weight"] * float(row[key] or np.nan) for row in found.values())
                for key in ("energy", "mean_field", "mark")
            }
            error = sum((row["weight"] * row["error"]) ** 2 for row in found.values()) ** 0.5
            averaged.setdefault(way, []).append(Average(total, error=error, **mean))
    return averaged


def table(book: Notebook) -> None:
    """Prints averages over twists, and what they have cost."""
    print("material  run         steps of all twists  energy per atom (Ha)  mean field   mark")
    for material in dict.fromkeys(row["material"] for row in book.rows()):
        for way, found in averages(book.rows(), material).items():
            for steps, energy, error, mean_field, mark in found:
                print(
                    f"{material:9} {way:11} {steps:19}  {energy:.5f} +- {error:.5f}   "
                    f"{mean_field:.5f}  {mark:.5f}"
                )


def figure(book: Notebook, image: Path) -> None:
    """Draws what averages are above the published ones against the steps they have cost."""
    import matplotlib.pyplot as plt

    names = [name for name in dict.fromkeys(r["material"] for r in book.rows()) if name in MARKS]
    if not names:
        sys.exit(f"no runs in {book.path} of materials with published energies: {', '.join(MARKS)}")
    size = (3.4 * len(names), 3.4)
    picture, axes = plt.subplots(1, len(names), figsize=size, sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for way, found in averages(book.rows(), name).items():
            above = [1e3 * (row.energy - row.mark) for row in found]
            errors = [1e3 * row.error for row in found]
            axis.errorbar(
                [row.steps for row in found], above, errors, fmt=".-", capsize=2, **WAYS[way]
            )
        axis.axhline(0, color="black", linewidth=0.8, linestyle=":")
        axis.set(title=name, xlabel="steps of all twists")
        axis.set_yscale("symlog", linthresh=0.5)
        axis.set_ylim(-0.5, 40)
    axes[0, 0].set_ylabel("above the published energy / mHa per atom")
    handles = {l: h for a in axes[0] for h, l in zip(*a.get_legend_handles_labels(), strict=True)}
    axes[0, 0].legend(handles.values(), handles.keys(), fontsize=8)
    picture.tight_layout()
    picture.savefig(image, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=ACTIONS)
    parser.add_argument("material", nargs="?", help="whose mean fields are in --root")
    parser.add_argument("small", nargs="?", help="of `supercell` and `larger`: the smaller cell")
    parser.add_argument("--root", type=Path, default=Path("results"))
    parser.add_argument("--steps", type=int, nargs="*", default=[50, 100, 200, 400])
    parser.add_argument("--evaluation", type=int, default=80)
    parser.add_argument("--walkers", type=int, default=128)
    parser.add_argument("--moves", type=int, default=8)
    parser.add_argument("--equilibration", type=int, default=40, help="steps before a run's first")
    parser.add_argument("--number", choices=("auto", "real", "complex"), default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--image", type=Path, default=Path("joint.png"), help="of `figure`")
    options = parser.parse_args()
    training = options.what not in ("table", "figure")
    if training and not options.material:
        parser.error(f"{options.what} of which material?")
    if options.what in ("supercell", "larger") and not options.small:
        parser.error(f"{options.what} {options.material} from the network of which smaller cell?")
    suffix = "" if options.number == "auto" else f"-{options.number}"
    book = Notebook(options.root / f"benchmarks/joint{suffix}.json")
    if training:
        material = Material(options.material, options)
    if options.what == "together":
        together(book, material, options.steps, options.evaluation)
    if options.what == "twists":
        twists(book, material, options.steps, options.evaluation)
    if options.what == "supercell":
        together(book, material, [0, *options.steps], options.evaluation)
    if options.what in ("supercell", "larger"):
        steps = [0, *options.steps]
        larger(book, material, options.small, steps, options.evaluation)
    if options.what == "figure":
        return figure(book, options.image)
    return table(book)


if __name__ == "__main__":
    main()

"""How far a campaign is, from its files alone: one line per material, method and twist.

Works while jobs run, after they ended and on any machine that sees the folder. Imports no JAX.
"""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.campaign import Campaign
from engine.config.learned import learned_name
from engine.errors import DataError
from engine.io import attempt, hdf5
from engine.stage.show import compact

RESUMED = ("pretrain", "vmc", "evaluate")
"""Stages that record their attempts."""
SILENT_S = 180.0
"""A running stage gives a sign of life more often than this, or than every 30 steps."""
FAILURE = re.compile(r" CRITICAL engine: (?P<kind>\w+): (?P<message>.*)")
HEADER = ("material", "method", "twist", "stage", "state", "step", "energy (Ha/cell)")
HEADER += ("accept", "left", "note")


@dataclasses.dataclass(frozen=True)
class Line:
    """The state of one twist of one run.

    Attributes:
        stage: The stage at work or next in turn; the last one when all is done.
        state: "done", "running", "stopped" (saved, goes on when started again), "silent" (no sign
            of life: killed, or its machine is gone), "failed", "queued" (its inputs are there) or
            "waiting" (for an earlier stage).
        energy_ha_per_cell: Result, or average of the last steps.
        error_ha_per_cell: Its statistical error.
        left_s: Estimate for the stage, at most.
        note: Why it stands as it does, or where it runs.
    """

    material: str
    method: str
    twist: str
    stage: str
    state: str
    step: int | None = None
    steps: int | None = None
    energy_ha_per_cell: float | None = None
    error_ha_per_cell: float | None = None
    acceptance: float | None = None
    left_s: float | None = None
    attempts: int = 0
    job: str = ""
    note: str = ""


def status(campaign: Campaign, root: Path, materials: Sequence[str] = ()) -> list[Line]:
    """Returns the lines of a campaign, or of some of its materials.

    Args:
        campaign: What is to be run.
        root: Folder with `results/` and `logs/`.
        materials: Names; all when empty.
    """
    wanted = materials or list(campaign.runs)
    started = any((root / ".snakemake/locks").glob("*"))
    models = campaign.learned_names() if not materials else _models_of(campaign, materials)
    groups = [
        _group_line(root, name)
        for name, group in campaign.groups.items()
        if set(group.config.materials) & set(wanted)
    ]
    return (
        [_model_line(root, name) for name in models]
        + groups
        + [
            _line(campaign, root, material, method, f"{twist.index:03d}", started)
            for material in wanted
            for method in campaign.runs[material]
            for twist in campaign.twists(material)
        ]
    )


def _models_of(campaign: Campaign, materials: Sequence[str]) -> list[str]:
    """Returns the learned Hamiltonians that runs of some materials start from."""
    references = [
        campaign.method(material, method).reference
        for material in materials
        for method in campaign.runs[material]
    ]
    return list(dict.fromkeys(name for r in references if (name := learned_name(r))))


def _group_line(root: Path, name: str) -> Line:
    """Returns how far the common training of a group is; its members differ in their energies."""
    shown = {"material": "joint", "method": name, "twist": "-"}
    output, log = root / f"results/joint/{name}/checkpoint.h5", root / f"logs/joint/{name}.log"
    tries = attempt.read(output.parent / "state")
    if output.exists():
        return Line(**shown, stage="joint", state="done", attempts=len(tries))
    if tries:
        line = _tried(shown, "joint", tries, log, 1)
        return dataclasses.replace(line, energy_ha_per_cell=None, error_ha_per_cell=None)
    if found := _failure(log):
        return Line(**shown, stage="joint", state="failed", note=found[1])
    return Line(**shown, stage="joint", state="waiting")


def _model_line(root: Path, name: str) -> Line:
    """Returns how far the training of a learned Hamiltonian is."""
    shown = {"material": "learned", "method": name, "twist": "-"}
    output, log = root / f"results/learned/{name}/model.h5", root / f"logs/learned/{name}/learn.log"
    tries = attempt.read(output.parent / "state")
    if output.exists():
        return Line(**shown, stage="learn", state="done", attempts=len(tries))
    if tries:
        return _tried(shown, "learn", tries, log, 1)
    if found := _failure(log):
        return Line(**shown, stage="learn", state="failed", note=found[1])
    made = len(list(output.parent.glob("labels/state-*/geometry-*.h5")))
    note = f"{made} geometries labelled" if made else ""
    return Line(**shown, stage="labels" if made else "learn", state="waiting", note=note)


def _line(
    campaign: Campaign, root: Path, material: str, method: str, twist: str, started: bool
) -> Line:
    name = {"material": material, "method": method, "twist": twist}
    reference = campaign.method(material, method).reference
    is_fock = campaign.space(material, method) == "fock"
    places = dict(_places(root, **name, reference=reference, is_fock=is_fock))
    stages = list(places)
    stage = next((s for s in stages if not places[s][0].exists()), None)
    n_cells = campaign.material(material).n_cells
    if stage is None:
        return _done(name, places["evaluate"][0], n_cells)
    output, log = places[stage]
    tries = attempt.read(output.parent / "state") if stage in RESUMED else []
    if tries:
        return _tried(name, stage, tries, log, n_cells)
    if found := _failure(log):
        return Line(**name, stage=stage, state="failed", note=found[1])
    if log.exists() and time.time() - log.stat().st_mtime < SILENT_S:
        return Line(**name, stage=stage, state="running", note="starting")
    before = stages.index(stage) - 1
    ready = started and (before < 0 or places[stages[before]][0].exists())
    source = campaign.source(material, method, int(twist)) if stage == "pretrain" else None
    if source:
        other = f"{source[0]}/{method}/twist-{source[1]:03d}"
        if not (root / f"results/{other}/vmc/checkpoint.h5").exists():
            return Line(**name, stage=stage, state="waiting", note=f"for {other}")
    return Line(**name, stage=stage, state="queued" if ready else "waiting")


def _places(
    root: Path, material: str, method: str, twist: str, reference: str, is_fock: bool
) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """Yields stage -> (its last output, its log), in the order of the stages."""
    results, logs = root / "results" / material, root / "logs" / material
    yield "structure", (results / "system.h5", logs / "structure.log")
    field = f"mean_field/{reference}/twist-{twist}"
    yield "mean_field", (results / f"{field}.h5", logs / f"{field}.log")
    run = f"{method}/twist-{twist}"
    if is_fock:
        yield "integrals", (results / run / "integrals.h5", logs / run / "integrals.log")
    outputs = {"pretrain": "checkpoint.h5", "vmc": "checkpoint.h5", "evaluate": "result.h5"}
    for stage, output in outputs.items():
        yield stage, (results / run / stage / output, logs / run / f"{stage}.log")


def _done(name: dict[str, str], result: Path, n_cells: int) -> Line:
    try:
        facts = hdf5.read(result, "energy").attributes
    except DataError as error:
        return Line(**name, stage="evaluate", state="failed", note=error.what)
    return Line(
        **name,
        stage="evaluate",
        state="done",
        step=facts["steps"],
        steps=facts["steps"],
        energy_ha_per_cell=facts["energy_ha"] / n_cells,
        error_ha_per_cell=facts["error_ha"] / n_cells,
        acceptance=facts["acceptance"],
        attempts=facts.get("attempts", 0),
        job=facts.get("job_ids", ""),
        note="" if facts["converged"] else "target error not reached",
    )


def _tried(
    name: dict[str, str], stage: str, tries: Sequence[attempt.Attempt], log: Path, n_cells: int
) -> Line:
    last = tries[-1]
    state, note = _state(last, log)
    numbers, rate = last.numbers, last.seconds_per_step
    energy, error = numbers.get("energy_ha"), numbers.get("error_ha")
    return Line(
        **name,
        stage=stage,
        state=state,
        step=last.step,
        steps=last.steps,
        energy_ha_per_cell=None if energy is None else energy / n_cells,
        error_ha_per_cell=None if error is None else error / n_cells,
        acceptance=numbers.get("acceptance"),
        left_s=None if rate is None else rate * (last.steps - last.step),
        attempts=len(tries),
        job=last.job,
        note=note,
    )


def _state(last: attempt.Attempt, log: Path) -> tuple[str, str]:
    """Returns (state, note) of a stage whose output is not there yet."""
    failure = _failure(log)
    if failure and failure[0] != "Interrupted" and log.stat().st_mtime > last.updated - 5:
        return "failed", failure[1]
    where = " ".join(last.hosts)
    if last.outcome == "running":
        silence = time.time() - last.updated
        if silence > max(SILENT_S, 30 * (last.seconds_per_step or 0)):
            return "silent", f"no sign of life from {where} for {duration(silence)}"
        return "running", f"job {last.job} on {where}" if last.job else where
    if last.outcome == "done":
        return "running", "writing its results"
    return last.outcome, last.reason


def _failure(log: Path) -> tuple[str, str] | None:
    """Returns (kind, message) of what ended a job, from the end of its log."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-200:]
    except OSError:
        return None
    found = [match for match in map(FAILURE.search, lines) if match]
    return (found[-1]["kind"], found[-1]["message"]) if found else None


# --- for people -------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """Returns a time to two figures: "45 s", "12 min", "3.4 h", "2.1 d"."""
    for size, unit in ((86400, "d"), (3600, "h")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def render(lines: Sequence[Line]) -> str:
    """Returns the lines as text, columns aligned, and a summary."""
    rows = [HEADER, *map(_cells, lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    count = Counter(line.state for line in lines)
    summary = ", ".join(f"{number} {state}" for state, number in count.most_common())
    return "\n".join([text[0], rule, *text[1:], "", summary])


def as_json(lines: Sequence[Line]) -> str:
    """Returns the lines as a JSON list of objects."""
    return json.dumps([dataclasses.asdict(line) for line in lines], indent=1)


def _cells(line: Line) -> tuple[str, ...]:
    def shown(value: Any, form) -> str:
        return "-" if value is None else form(value)

    energy = shown(
        line.energy_ha_per_cell, lambda e: compact(e, line.error_ha_per_cell or float("nan"))
    )
    return (
        line.material,
        line.method,
        line.twist,
        line.stage,
        line.state,
        shown(line.step, lambda step: f"{step}/{line.steps}"),
        energy,
        shown(line.acceptance, lambda a: f"{a:.2f}"),
        "-" if line.state == "done" else shown(line.left_s, duration),
        line.note,
    )

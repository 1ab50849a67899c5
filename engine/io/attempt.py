"""Attempts at a stage: who runs it, how far it came, how it ended. Imports no JAX.

Each start of a stage writes `attempt-<n>.json` beside its saved states and keeps it up to date.
A process that is killed leaves the outcome "running" behind: it stands still from then on.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import NoProgressError
from engine.io import atomic

STUCK = 2
"""So many attempts in a row without a new saved state are enough."""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One start of one stage.

    Attributes:
        number: Counted from 1 among the attempts at the same input.
        outcome: "running", "done", "stopped" (saved, to be resumed) or "failed".
        reason: Why it stopped or failed.
        started: Unix time, seconds.
        updated: Unix time of the last sign of life.
        first_step: Step it started from.
        step: Step it has come to.
        steps: Steps it is to make.
        seconds_per_step: Of the last steps; None before the first.
        numbers: Last values of the trace, column -> number.
        devices: Number of devices.
        device: Their kind.
        hosts: Where its processes run.
        job: Batch job, "" outside of a batch system.
        pid: Process number of the writer.
    """

    number: int
    outcome: str
    reason: str
    started: float
    updated: float
    first_step: int
    step: int
    steps: int
    seconds_per_step: float | None
    numbers: dict[str, float]
    devices: int
    device: str
    hosts: tuple[str, ...]
    job: str
    pid: int

    @property
    def device_hours(self) -> float:
        """Wall time up to the last sign of life times the number of devices, hours."""
        return self.devices * (self.updated - self.started) / 3600


def write(folder: Path, attempt: Attempt) -> None:
    """Writes or replaces the record of an attempt."""
    text = json.dumps(_finite(dataclasses.asdict(attempt)), indent=1)
    with atomic.replaced(folder / f"attempt-{attempt.number:03d}.json") as temporary:
        temporary.write_text(text + "\n")


def read(folder: Path) -> list[Attempt]:
    """Returns the attempts recorded beside the states in `folder`, oldest first."""
    found = (_parsed(path) for path in sorted(folder.glob("attempt-*.json")))
    return [attempt for attempt in found if attempt]


def _parsed(path: Path) -> Attempt | None:
    """Returns a record; None where it is unreadable, as after a full disk."""
    try:
        content = json.loads(path.read_text())
        return Attempt(**{**content, "hosts": tuple(content["hosts"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _finite(content: dict[str, Any]) -> dict[str, Any]:
    numbers = {k: v for k, v in content["numbers"].items() if math.isfinite(v)}
    return content | {"numbers": numbers}


def check_progress(attempts: Sequence[Attempt], step: int, tries: int, where: str) -> None:
    """Refuses to start where the last attempts have all begun at the same step.

    Args:
        attempts: Earlier ones, oldest first.
        step: Where this one would start.
        tries: Which submission this is in the present run of the workflow, counted from 1: what
            a user starts anew is never refused.
        where: The stage, for the message.

    Raises:
        NoProgressError: Says how the last attempt ended.
    """
    last = attempts[-STUCK:]
    if tries <= STUCK or len(last) < STUCK or any(a.first_step != step for a in last):
        return
    killed = last[-1].outcome == "running"
    how = "killed without a word" if killed else f"{last[-1].outcome}, {last[-1].reason}"
    raise NoProgressError(
        f"{STUCK} attempts in a row have not come past step {step}; the last was {how}",
        where=where,
        expected="a saved state in every attempt",
        remedy="give it more memory or a longer time limit, or lower checkpoint_steps"
        if killed or last[-1].outcome == "stopped"
        else "see the reason; then start the workflow again",
    )


def cost(attempts: Iterable[Attempt]) -> dict[str, Any]:
    """Returns what attempts have used: their number, device hours, batch jobs and hosts."""
    attempts = list(attempts)
    return {
        "attempts": len(attempts),
        "device_hours": math.fsum(a.device_hours for a in attempts),
        "job_ids": " ".join(dict.fromkeys(a.job for a in attempts if a.job)),
        "hosts": " ".join(dict.fromkeys(host for a in attempts for host in a.hosts)),
    }

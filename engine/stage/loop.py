"""The one loop of pretraining, optimisation and evaluation: steps, trace, saved states, signals.

State after step i is a function of the state after step i - 1 and of keys derived from the
step number, so a run killed anywhere and started again ends with the same numbers.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from engine import devices
from engine.errors import Interrupted, NumericalError
from engine.io import checkpoint
from engine.stage import progress, runtime
from engine.stage.deadline import Deadline

log = logging.getLogger(__name__)

FLUSH = 10
"""Steps between transfers of the trace from the device, where it is checked."""

LATE = 1000
"""Stands for the time limit among the numbers of signals."""


class Plan(NamedTuple):
    """How a stage iterates.

    Attributes:
        name: For messages: "vmc h4-chain/ferminet/twist-001".
        steps: Number of steps.
        save_every: Steps between saved states.
        folder: Scratch folder for saved states.
        fingerprint: Identifies the stage's input.
        prepare: state -> state: equilibration, done once on a fresh start.
        advance: (state, step) -> (state, row): one step; row maps column -> scalar or array.
        check: (rows so far as columns, step) -> None; raises NumericalError.
        finished: (columns, step) -> why to end before the last step, "" for going on; asked at
            every save.
        expected: (columns, step) -> the step it will end at, for people who wait.
        show: Column shown in the progress line.
    """

    name: str
    steps: int
    save_every: int
    folder: Path
    fingerprint: str
    prepare: Callable[[Any], Any]
    advance: Callable[[Any, int], tuple[Any, dict[str, Any]]]
    check: Callable[[dict[str, np.ndarray], int], None]
    finished: Callable[[dict[str, np.ndarray], int], str] = lambda columns, step: ""
    expected: Callable[[dict[str, np.ndarray], int], int] | None = None
    show: str = "energy_ha"


def run(plan: Plan, initial: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Runs or resumes a stage; returns its final state and the trace, column -> (T, ...) array.

    Every process of a stage calls it; one of them writes.

    Raises:
        NumericalError: From `plan.check`; the last good state stays on disk and is named.
        Interrupted: A stop signal arrived or the job is about to end; everything is saved and
            the next start resumes.
        NoProgressError: Earlier attempts ended where this one would begin.
    """
    with checkpoint.locked(plan.folder) if devices.is_main() else contextlib.nullcontext():
        step, state, trace = _start(plan, initial)
        with progress.Diary(plan.folder, plan.name, step, plan.steps) as diary:
            if not step:
                state = checkpoint.canonical(plan.prepare(state))
            return _steps(plan, diary, step, state, trace)


def _start(plan: Plan, initial: Any) -> tuple[int, Any, Trace]:
    """Returns step, state and trace to go on from."""
    if not devices.is_main():
        devices.wait("saved states are looked through")
    saved = checkpoint.load_state(plan.folder, plan.fingerprint)
    if devices.is_main():
        devices.wait("saved states are looked through")
    if not saved:
        log.info("%s: fresh start, %d steps", plan.name, plan.steps)
        return 0, checkpoint.canonical(initial), Trace()
    step, data = saved
    state = checkpoint.unflatten(initial, checkpoint.under("tree", data), where=str(plan.folder))
    log.info("%s: resumed at step %d of %d", plan.name, step, plan.steps)
    return step, state, Trace(checkpoint.under("trace", data))


def _steps(
    plan: Plan, diary: progress.Diary, step: int, state: Any, trace: Trace
) -> tuple[Any, dict[str, np.ndarray]]:
    clock, deadline = runtime.Clock(), Deadline()
    line = progress.Progress(plan.name, plan.steps, plan.show)
    recent = slice(-FLUSH, None)
    save_s = 0.0
    with runtime.stop_requests() as stop:
        while step < plan.steps and not _finished(plan, trace, step):
            state, row = plan.advance(state, step)
            step += 1
            trace.append(row)
            flush = step % FLUSH == 0 or step == plan.steps
            reason = _reason(stop, deadline, trace.lap_s, save_s, flush)
            save = step % plan.save_every == 0 or step == plan.steps or reason
            if save or flush:
                trace.flush(clock)
                _checked(plan, lambda: plan.check(trace.columns, step), step)  # noqa: B023
                ends = _end(plan, trace, step)
                line(trace.columns, step, recent, ends)
                diary.note(trace.columns, step, recent, ends)
            if save:
                begun = time.monotonic()
                _save(plan, state, trace.columns, step)
                diary.saved(step)
                save_s = time.monotonic() - begun
            if reason and step < plan.steps:
                raise Interrupted(
                    f"{reason} after step {step} of {plan.steps}",
                    where=plan.name,
                    remedy="start it again: it resumes there",
                )
    log.info("%s: %s", plan.name, ended(plan, trace.columns))
    return state, trace.columns


def ended(plan: Plan, columns: dict[str, np.ndarray]) -> str:
    """Returns why a stage has ended, from its trace."""
    step = len(next(iter(columns.values()), ()))
    early = plan.finished(columns, step) if step and step < plan.steps else ""
    return early or f"all {plan.steps} steps made"


def _finished(plan: Plan, trace: Trace, step: int) -> bool:
    return bool(step and step % plan.save_every == 0 and plan.finished(trace.columns, step))


def _end(plan: Plan, trace: Trace, step: int) -> int:
    """Returns the step the stage will end at, as far as it can be told."""
    expected = plan.expected(trace.columns, step) if plan.expected else plan.steps
    return min(max(expected, step), plan.steps)


def _reason(stop, deadline: Deadline, steps_s: float, save_s: float, flush: bool) -> str:
    """Returns why to stop, "" for going on; several processes decide together."""
    if jax.process_count() > 1 and not flush:
        return ""
    number = devices.agree(stop() or (LATE if deadline.near(steps_s, save_s) else 0))
    if number == LATE:
        return "stopped before the job's time limit"
    return f"stopped by signal {number}" if number else ""


def _save(plan: Plan, state: Any, columns: dict[str, np.ndarray], step: int) -> None:
    """Saves a state that has proved finite; the last one of a run is kept alone.

    It stays after the stage has ended, so that outputs lost with a killed workflow are made
    again from it at once.
    """
    flat = checkpoint.flatten(state)
    _checked(plan, lambda: check_finite_leaves(flat), step)
    if not devices.is_main():
        return
    keep = 1 if step == plan.steps else checkpoint.KEEP
    data = checkpoint.prefixed("tree", flat) | checkpoint.prefixed("trace", columns)
    checkpoint.save_state(plan.folder, step, data, plan.fingerprint, keep=keep)


def check_finite_leaves(flat: dict[str, np.ndarray]) -> None:
    """Raises NumericalError where a floating-point leaf of a flattened pytree is not finite."""
    for name, leaf in flat.items():
        if np.issubdtype(leaf.dtype, np.inexact) and not np.all(np.isfinite(leaf)):
            raise NumericalError(
                f"'{name}' is not finite",
                expected="finite parameters and walkers",
                remedy="lower optimizer.learning_rate or raise optimizer.damping",
            )


def _checked(plan: Plan, check: Callable[[], None], step: int) -> None:
    try:
        check()
    except NumericalError as error:
        raise NumericalError(
            error.what,
            where=f"{plan.name}, step {step}",
            expected=error.expected,
            remedy=f"{error.remedy}; last good state: {checkpoint.newest_state(plan.folder)}",
        ) from None


class Trace:
    """Rows waiting on the device and the columns fetched so far."""

    def __init__(self, columns: dict[str, np.ndarray] | None = None):
        self.columns = dict(columns or {})
        self.lap_s = 0.0
        self._waiting: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Adds the row of one step without waiting for the device."""
        self._waiting.append(row)

    def flush(self, clock: runtime.Clock) -> None:
        """Fetches the waiting rows; the elapsed time is spread evenly over them."""
        rows, self._waiting = devices.fetch(self._waiting), []
        self.lap_s = clock.lap()
        seconds = self.lap_s / max(len(rows), 1)
        for name in rows[0] if rows else ():
            new = np.stack([np.asarray(row[name], np.float64) for row in rows])
            self._extend(name, new)
        if rows:
            self._extend("seconds", np.full(len(rows), seconds))

    def _extend(self, name: str, new: np.ndarray) -> None:
        self.columns[name] = (
            np.concatenate([self.columns[name], new]) if name in self.columns else new
        )

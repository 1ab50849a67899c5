"""The one loop of pretraining, optimisation and evaluation: steps, trace, saved states, signals.

State after step i is a function of the state after step i - 1 and of keys derived from the
step number, so a run killed anywhere and started again ends with the same numbers.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from engine.errors import Interrupted, NumericalError
from engine.io import checkpoint
from engine.stage import runtime

log = logging.getLogger(__name__)

FLUSH = 10
"""Steps between transfers of the trace from the device, where it is checked."""


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
        finished: (columns, step) -> bool at every save: stop early.
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
    finished: Callable[[dict[str, np.ndarray], int], bool] = lambda columns, step: False
    show: str = "energy_ha"


def run(plan: Plan, initial: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """Runs or resumes a stage; returns its final state and the trace, column -> (T, ...) array.

    Raises:
        NumericalError: From `plan.check`; the last good state stays on disk and is named.
        Interrupted: A stop signal arrived; everything is saved and the next start resumes.
    """
    with checkpoint.locked(plan.folder):
        return _run(plan, initial)


def _run(plan: Plan, initial: Any) -> tuple[Any, dict[str, np.ndarray]]:
    clock, progress = runtime.Clock(), Progress(plan)
    state = checkpoint.canonical(initial)
    step, trace = 0, Trace()
    saved = checkpoint.load_state(plan.folder, plan.fingerprint)
    if saved:
        step, data = saved
        state = checkpoint.unflatten(state, checkpoint.under("tree", data), where=str(plan.folder))
        trace = Trace(checkpoint.under("trace", data))
        log.info("%s: resumed at step %d of %d", plan.name, step, plan.steps)
    else:
        log.info("%s: fresh start, %d steps", plan.name, plan.steps)
        state = checkpoint.canonical(plan.prepare(state))
    with runtime.stop_requests() as stop:
        while step < plan.steps and not (
            step and step % plan.save_every == 0 and plan.finished(trace.columns, step)
        ):
            state, row = plan.advance(state, step)
            step += 1
            trace.append(row)
            save = step % plan.save_every == 0 or step == plan.steps or stop()
            if save or step % FLUSH == 0:
                trace.flush(clock)
                _checked(plan, lambda: plan.check(trace.columns, step), step)  # noqa: B023
                progress(trace.columns, step)
            if save:
                _save(plan, state, trace.columns, step)
            if stop() and step < plan.steps:
                raise Interrupted(
                    f"stopped by signal {stop()} after step {step} of {plan.steps}",
                    where=plan.name,
                    remedy="start it again: it resumes there",
                )
    return state, trace.columns


def _save(plan: Plan, state: Any, columns: dict[str, np.ndarray], step: int) -> None:
    """Saves a state that has proved finite; the last one of a run is kept alone.

    It stays after the stage has ended, so that outputs lost with a killed workflow are made
    again from it at once.
    """
    _checked(plan, lambda: check_tree(state), step)
    keep = 1 if step == plan.steps else checkpoint.KEEP
    data = checkpoint.prefixed("tree", checkpoint.flatten(state)) | checkpoint.prefixed(
        "trace", columns
    )
    checkpoint.save_state(plan.folder, step, data, plan.fingerprint, keep=keep)


def check_tree(tree: Any) -> None:
    """Raises NumericalError where a floating-point leaf of a pytree is not finite."""
    for name, leaf in checkpoint.flatten(tree).items():
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
        self._waiting: list[dict[str, Any]] = []

    def append(self, row: dict[str, Any]) -> None:
        """Adds the row of one step without waiting for the device."""
        self._waiting.append(row)

    def flush(self, clock: runtime.Clock) -> None:
        """Fetches the waiting rows; the elapsed time is spread evenly over them."""
        rows, self._waiting = jax.device_get(self._waiting), []
        seconds = clock.lap() / max(len(rows), 1)
        for name in rows[0] if rows else ():
            new = np.stack([np.asarray(row[name], np.float64) for row in rows])
            self._extend(name, new)
        if rows:
            self._extend("seconds", np.full(len(rows), seconds))

    def _extend(self, name: str, new: np.ndarray) -> None:
        self.columns[name] = (
            np.concatenate([self.columns[name], new]) if name in self.columns else new
        )


class Progress:
    """A line on a terminal that rewrites itself, or one log line per tenth of the run."""

    def __init__(self, plan: Plan):
        self.plan, self.next_log = plan, 0
        self.terminal = sys.stderr.isatty()

    def __call__(self, columns: dict[str, np.ndarray], step: int) -> None:
        plan = self.plan
        recent = columns[plan.show][-FLUSH:]
        rate = columns["seconds"][-FLUSH:].mean()
        left = rate * (plan.steps - step)
        text = (
            f"{plan.name}: step {step}/{plan.steps}, {plan.show} {recent.mean():.5f}, "
            f"{rate:.3f} s/step, at most {left:.0f} s left"
        )
        if self.terminal:
            filled = 20 * step // plan.steps
            end = "\n" if step == plan.steps else ""
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (20 - filled)}] {text}\033[K{end}")
            sys.stderr.flush()
        elif step >= self.next_log:
            log.info(text)
            self.next_log = step + max(plan.steps // 10, 1)

"""How far a stage has come: a line on a terminal or in the log, and the record of the attempt."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from engine import devices
from engine.errors import Interrupted, PsilatticeError
from engine.io import attempt
from engine.stage import runtime

log = logging.getLogger(__name__)

SHOWN = ("energy_ha", "error_ha", "acceptance", "loss")
"""Columns of the trace that a record of an attempt carries."""
HEARTBEAT_S = 10.0
"""Least time between two updates of a record."""
TRIES = "PSILATTICE_ATTEMPT"
"""Environment variable: which submission of the job this is, counted from 1."""


class Progress:
    """A line on a terminal that rewrites itself, or one log line per tenth of the run."""

    def __init__(self, name: str, steps: int, column: str):
        self.name, self.every, self.column, self.next_log = name, max(steps // 10, 1), column, 0
        self.terminal = sys.stderr.isatty()

    def __call__(
        self, columns: Mapping[str, np.ndarray], step: int, recent: slice, steps: int
    ) -> None:
        """Shows step `step` of the `steps` that the stage is expected to make."""
        rate = columns["seconds"][recent].mean()
        text = (
            f"{self.name}: step {step}/{steps}, "
            f"{self.column} {columns[self.column][recent].mean():.5f}, "
            f"{rate:.3f} s/step, about {rate * (steps - step):.0f} s left"
        )
        if self.terminal:
            filled = 20 * step // steps
            end = "\n" if step == steps else ""
            sys.stderr.write(f"\r[{'#' * filled}{'.' * (20 - filled)}] {text}\033[K{end}")
            sys.stderr.flush()
        elif step >= self.next_log:
            log.info(text)
            self.next_log = step + self.every


class Diary:
    """Keeps the record of this attempt; a context that writes down how it ends.

    Only the main process writes.
    """

    def __init__(self, folder: Path, name: str, step: int, steps: int):
        """Refuses to start where earlier attempts have made no progress.

        Raises:
            NoProgressError: From `engine.io.attempt.check_progress`.
        """
        earlier = attempt.read(folder)
        attempt.check_progress(earlier, step, int(os.environ.get(TRIES, 1)), name)
        now = time.time()
        self.folder = folder
        self.record = attempt.Attempt(
            number=earlier[-1].number + 1 if earlier else 1,
            outcome="running",
            reason="",
            started=now,
            updated=now,
            first_step=step,
            step=step,
            steps=steps,
            seconds_per_step=None,
            numbers={},
            devices=jax.device_count(),
            device=runtime.device(),
            hosts=devices.hosts(),
            job=os.environ.get("SLURM_JOB_ID", ""),
            pid=os.getpid(),
        )

    def __enter__(self) -> Diary:
        self._write()
        return self

    def note(self, columns: Mapping[str, np.ndarray], step: int, recent: slice, steps: int) -> None:
        """Takes down the last steps and how many are expected, unless it did so a moment ago."""
        if time.time() < self.record.updated + HEARTBEAT_S:
            return
        self._write(
            step=step,
            steps=steps,
            seconds_per_step=float(columns["seconds"][recent].mean()),
            numbers={k: float(columns[k][recent].mean()) for k in SHOWN if k in columns},
        )

    def saved(self, step: int, **known: Any) -> None:
        """Takes down a saved state, and other fields of the record that have become known."""
        self._write(step=step, **known)

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            self._write(outcome="done")
        elif isinstance(error, Interrupted):
            self._write(outcome="stopped", reason=error.what)
        elif isinstance(error, PsilatticeError):
            self._write(outcome="failed", reason=error.what)
        else:
            self._write(outcome="failed", reason=f"{kind.__name__}: {error}")

    def _write(self, **changes) -> None:
        self.record = dataclasses.replace(self.record, updated=time.time(), **changes)
        if not devices.is_main():
            return
        try:
            attempt.write(self.folder, self.record)
        except PsilatticeError as error:  # a record is not worth a calculation
            log.warning("%s", error)

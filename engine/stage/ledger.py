"""Work that is no sequence of steps: named parts, each of which leaves a few numbers.

The numbers of every finished part are saved, so that a stage that is cut goes on with the next
one and ends with the same result. Parts depend on the stage's input alone, in whatever order.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.errors import Interrupted
from engine.io import checkpoint
from engine.stage import progress, runtime
from engine.stage.deadline import Deadline

log = logging.getLogger(__name__)

Numbers = dict[str, float]
SECONDS = "seconds"
"""What a part has taken is kept beside its numbers under this name."""


class Ledger:
    """Numbers of the parts that are done; made by `ledger_of`."""

    def __init__(
        self,
        folder: Path,
        name: str,
        fingerprint: str,
        done: dict[str, Numbers],
        diary: progress.Diary,
        stop: Callable[[], int | None],
    ):
        self.folder, self.name, self.fingerprint = folder, name, fingerprint
        self.done, self.diary, self.stop = done, diary, stop
        self.deadline, self.longest_s = Deadline(), 0.0

    @property
    def seconds(self) -> float:
        """What all parts have taken, in this attempt and before."""
        return math.fsum(numbers[SECONDS] for numbers in self.done.values())

    def once(self, part: str, compute: Callable[[], Numbers], left: int = 0) -> Numbers:
        """Returns the numbers of a part, and computes them where they have not been saved.

        Args:
            part: Its name, different from those of all others.
            compute: () -> its numbers.
            left: Parts that are known to come after it.

        Raises:
            Interrupted: A stop signal arrived or the job is about to end, and the part is not
                begun; those before are saved.
        """
        if part not in self.done:
            self._leave(part)
            begun = time.monotonic()
            numbers = compute()
            took = time.monotonic() - begun
            self.done[part] = numbers | {SECONDS: took}
            self.longest_s = max(self.longest_s, took)
            self._save(len(self.done) + left)
            log.info("%s: %s: %.1f s", self.name, part, took)
        return self.done[part]

    def _leave(self, part: str) -> None:
        signal = self.stop()
        if signal or self.deadline.near(self.longest_s, 0.0):
            reason = f"stopped by signal {signal}" if signal else "stopped before the time limit"
            raise Interrupted(
                f"{reason} before {part}; {len(self.done)} parts are saved",
                where=self.name,
                remedy="start it again: it resumes there",
            )

    def _save(self, steps: int) -> None:
        step = len(self.done)
        data = {
            f"{part}/{name}": value
            for part, numbers in self.done.items()
            for name, value in numbers.items()
        }
        checkpoint.save_state(self.folder, step, data, self.fingerprint)
        self.diary.saved(step, steps=steps, seconds_per_step=self.seconds / step)


@contextlib.contextmanager
def ledger_of(folder: Path, name: str, fingerprint: str) -> Iterator[Ledger]:
    """Holds the folder and gives the parts that are saved there.

    Args:
        folder: Scratch folder of the stage.
        name: For messages.
        fingerprint: Identifies the stage's input.

    Raises:
        NoProgressError: Earlier attempts ended where this one would begin.
    """
    with checkpoint.locked(folder):
        _, data = checkpoint.load_state(folder, fingerprint) or (0, {})
        done: dict[str, Numbers] = {}
        for path, value in data.items():
            part, _, number = path.rpartition("/")
            done.setdefault(part, {})[number] = float(value)
        if done:
            log.info("%s: resumed after %d parts", name, len(done))
        with (
            progress.Diary(folder, name, len(done), len(done)) as diary,
            runtime.stop_requests() as stop,
        ):
            yield Ledger(folder, name, fingerprint, done, diary, stop)

"""When the batch system will end this job, so that a stage saves and leaves before."""

from __future__ import annotations

import logging
import os
import subprocess
import time

log = logging.getLogger(__name__)

RUNTIME = "PSILATTICE_RUNTIME_MINUTES"
"""Environment variable: the time the workflow asked for, counted from the start of the process."""
RESERVE_S = 10.0
"""Kept beside what saving takes: outputs and the workflow's own end."""
STARTED = time.time()


def job_end() -> float:
    """Returns the Unix time at which the job ends, infinity where nothing limits it.

    SLURM says it in the environment, or is asked once; where it does not answer, the time the
    workflow asked for counts from the start of this process.
    """
    if end := os.environ.get("SLURM_JOB_END_TIME"):
        return float(end)
    if job := os.environ.get("SLURM_JOB_ID"):
        left = _asked(job)
        if left is not None:
            return time.time() + left
    minutes = os.environ.get(RUNTIME)
    return STARTED + 60 * float(minutes) if minutes else float("inf")


def _asked(job: str) -> float | None:
    """Returns the seconds SLURM leaves the job; None where it does not say."""
    command = ["squeue", "--noheader", "--jobs", job, "--format", "%L"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        return seconds(done.stdout.strip())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("SLURM does not say when job %s ends (%s)", job, error)
        return None


def seconds(text: str) -> float:
    """Returns the seconds of SLURM's [days-][[hours:]minutes:]seconds; "UNLIMITED" is infinite.

    Raises:
        ValueError: The text is something else.
    """
    if text == "UNLIMITED":
        return float("inf")
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + int(part)
    return total + 86400 * int(days or 0)


class Deadline:
    """Tells when it is time to save and leave.

    Attributes:
        end: Unix time at which the job ends.
    """

    def __init__(self, end: float | None = None):
        self.end = job_end() if end is None else end

    def near(self, steps_s: float, save_s: float) -> bool:
        """Tells whether the job ends before another round of steps and two savings are done."""
        return time.time() > self.end - RESERVE_S - 2 * (steps_s + save_s)

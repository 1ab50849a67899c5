"""The exceptions a user can meet; every message says what, where, expected, remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PsilatticeError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: What happened.
        where: File and key (or stage) it happened in.
        expected: What would have been right.
        remedy: What to do about it.
    """

    def __init__(self, what: str, *, where: str = "", expected: str = "", remedy: str = ""):
        self.what, self.where, self.expected, self.remedy = what, where, expected, remedy
        lines = [f"{where}: {what}" if where else what]
        if expected:
            lines.append(f"  expected: {expected}")
        if remedy:
            lines.append(f"  remedy:   {remedy}")
        super().__init__("\n".join(lines))


class ConfigError(PsilatticeError):
    """A YAML file says something that cannot be run."""


class DataError(PsilatticeError):
    """A file has the wrong kind, schema, shape or checksum."""


class NotConvergedError(PsilatticeError):
    """An iteration (mean field, equilibration) did not converge."""


class NumericalError(PsilatticeError):
    """NaN, zero variance or a runaway energy."""


class NoProgressError(PsilatticeError):
    """Attempts at a stage end where they began; another one would too."""


class Interrupted(PsilatticeError):
    """A stage was told to stop; its state is saved and the next start resumes."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """Returns a sentence naming the valid names, the closest to `name` first."""
    valid = sorted(valid)
    close = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.5)
    listing = ", ".join(valid)
    return f"did you mean '{close[0]}'? valid: {listing}" if close else f"one of: {listing}"

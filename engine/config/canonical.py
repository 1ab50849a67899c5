"""The canonical form of sections, and the hash that identifies a job's input."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

SCHEMA_VERSION = 1
"""Raised when the meaning of a stored file or of a section changes."""


def canonical(value: Any) -> Any:
    """Returns plain, key-sorted data for a (nested) section, so that equal input compares equal."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(k): canonical(value[k]) for k in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    return value


def fingerprint(sections: Any, inputs: Sequence[str] = ()) -> str:
    """Returns the hash that identifies a stage's input.

    Args:
        sections: The stage's configuration sections.
        inputs: Fingerprints of the files it reads.
    """
    content = {"schema": SCHEMA_VERSION, "sections": canonical(sections), "inputs": list(inputs)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

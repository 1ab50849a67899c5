"""What the stage `labels` does for one kind of material."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.stage.sampling import Frame


class Job(NamedTuple):
    """How one kind of material is labelled.

    Attributes:
        label: The record of one geometry.
        frames: (number, previous frame) -> (frame, its label).
        write: (path, pieces, split, facts, fingerprint): the whole set.
        read: path -> the set.
    """

    label: type
    frames: Callable[..., tuple[Frame, Any]]
    write: Callable[..., None]
    read: Callable[[Path], Any]


def stacked(kind: type, pieces: Sequence[tuple[Frame, Any]]) -> dict[str, np.ndarray]:
    """Returns the arrays of all labels with a leading axis of geometries."""
    return {
        f.name: np.stack([np.asarray(getattr(label, f.name)) for _, label in pieces])
        for f in dataclasses.fields(kind)
    }

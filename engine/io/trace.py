"""Tables of per-step numbers: optimisation traces and evaluation blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.io import hdf5

UNITS = {"_ha": "hartree", "_ha2": "hartree^2", "_bohr": "bohr", "seconds": "s"}
"""Column-name endings and the unit they stand for."""


def write_trace(
    path: str | Path,
    columns: Mapping[str, np.ndarray],
    *,
    fingerprint: str,
    kind: str = "trace",
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Writes columns of length T (or (T, ...) arrays) with a `step` column counted from 1."""
    steps = len(next(iter(columns.values()))) if columns else 0
    data = {"step": np.arange(1, steps + 1), **columns}
    units = {name: unit for name in data for ending, unit in UNITS.items() if name.endswith(ending)}
    hdf5.write(path, kind, data, fingerprint=fingerprint, units=units, attributes=attributes)


def read_trace(path: str | Path, kind: str = "trace") -> dict[str, np.ndarray]:
    """Returns the columns of a file written by `write_trace`."""
    return hdf5.read(path, kind).data

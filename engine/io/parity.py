"""Predicted against true numbers of a learned Hamiltonian, for parity plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engine.io import hdf5

KIND = "learned_parity"
MOST = 4000
"""Matrix elements that are kept per material."""


class Points(NamedTuple):
    """What one geometry adds; true numbers first.

    Attributes:
        correction: (2, c) elements of H - H0, hartree; real and imaginary parts of complex ones.
        levels: (2, m) orbital energies, hartree.
    """

    correction: np.ndarray
    levels: np.ndarray


def points_of(
    true: np.ndarray,
    predicted: np.ndarray,
    guess: np.ndarray,
    true_levels: np.ndarray,
    predicted_levels: np.ndarray,
) -> Points:
    """Returns the numbers of one geometry."""
    flat = [np.ravel(x - guess) for x in (true, predicted)]
    if np.iscomplexobj(flat[0]):
        flat = [np.concatenate([x.real, x.imag]) for x in flat]
    return Points(np.stack(flat), np.stack([true_levels, predicted_levels]))


def write_parity(
    path: str | Path, points: Mapping[str, Sequence[Points]], fingerprint: str
) -> None:
    """Writes the numbers of every material, matrix elements thinned to `MOST`."""
    data: dict[str, np.ndarray] = {}
    for material, found in points.items():
        elements = np.concatenate([p.correction for p in found], axis=1)
        data[f"{material}/correction"] = elements[:, :: max(elements.shape[1] // MOST, 1)]
        data[f"{material}/levels"] = np.concatenate([p.levels for p in found], axis=1)
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=dict.fromkeys(data, "hartree"))


def read_parity(path: str | Path) -> dict[str, Points]:
    """Returns material -> the numbers of all its geometries."""
    data = hdf5.read(path, KIND).data
    names = sorted({name.split("/")[0] for name in data})
    return {n: Points(data[f"{n}/correction"], data[f"{n}/levels"]) for n in names}

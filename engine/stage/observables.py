"""Observables of a run: averaged over its twists. Imports no JAX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.io import hdf5
from engine.io.observables import Observable, unpack

JOINED = frozenset({"momentum_distribution", "pair_momentum_distribution"})
"""Tabulated over wave vectors that are others at nearly every twist: put side by side, each with
the weight of its twist, not averaged. Sums over wave vectors are sums of weight times value."""


def read(paths: Sequence[str | Path], weights: Sequence[float]) -> dict[str, Observable]:
    """Returns the twist-averaged observables of a run from the result files of its twists."""
    return combine([unpack(hdf5.read(path, "energy").data) for path in paths], weights)


def combine(
    twists: Sequence[Mapping[str, Observable]], weights: Sequence[float]
) -> dict[str, Observable]:
    """Returns sum_k w_k x_k with error sqrt(sum_k w_k^2 sigma_k^2) of every observable.

    Raises:
        DataError: The twists measured different quantities.
    """
    names = set(twists[0])
    if any(set(found) != names for found in twists):
        raise DataError(
            "the twists have different observables",
            where="evaluate",
            expected=f"{', '.join(sorted(names)) or 'none'} at every twist",
            remedy="evaluate all twists with the same settings",
        )
    w = np.asarray(weights, float) / np.sum(weights)
    return {
        name: (_joined if name in JOINED else _averaged)([found[name] for found in twists], w)
        for name in sorted(names)
    }


def _averaged(found: Sequence[Observable], w: np.ndarray) -> Observable:
    value = np.tensordot(w, np.array([x.value for x in found]), axes=1)
    error = np.sqrt(np.tensordot(w**2, np.array([x.error for x in found]) ** 2, axes=1))
    return found[0]._replace(value=value, error=error)


def _joined(found: Sequence[Observable], w: np.ndarray) -> Observable:
    axes = {
        name: (np.concatenate([x.axes[name][0] for x in found]), unit)
        for name, (_, unit) in found[0].axes.items()
    }
    value, error = (np.concatenate([getattr(x, n) for x in found], -1) for n in ("value", "error"))
    axes["weight"] = (np.repeat(w, [x.value.shape[-1] for x in found]), "")
    return found[0]._replace(value=value, error=error, axes=axes)

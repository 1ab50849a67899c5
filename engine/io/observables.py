"""Observables in files: value, error and axes of each, with their units. Imports no JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

GROUP = "observables"
RESERVED = ("value", "error", "label")


class Observable(NamedTuple):
    """A measured quantity.

    Attributes:
        value: Array over `axes`.
        error: One standard error of each entry, by blocking; correlation between entries is
            not part of it.
        unit: Of value and error; "" for a pure number.
        axes: Name -> (array, unit) that the entries of `value` belong to, in the order of its
            axes, each along its first.
        label: Names along the first axis of `value` that no number belongs to, e.g. species.
    """

    value: Any
    error: Any
    unit: str = ""
    axes: dict[str, tuple[Any, str]] = {}
    label: tuple[str, ...] = ()


def pack(observables: Mapping[str, Observable]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the datasets of a result file, and their units."""
    data: dict[str, Any] = {}
    units: dict[str, str] = {}
    for name, found in observables.items():
        path = f"{GROUP}/{name}"
        columns = {"value": (found.value, found.unit), "error": (found.error, found.unit)}
        for key, (array, unit) in (columns | dict(found.axes)).items():
            data[f"{path}/{key}"] = np.asarray(array, float)
            units |= {f"{path}/{key}": unit} if unit else {}
        if found.label:
            data[f"{path}/label"] = "\n".join(found.label)
    return data, units


def unpack(data: Mapping[str, Any]) -> dict[str, Observable]:
    """Returns the observables among the datasets of a result file, without their units."""
    found: dict[str, dict[str, Any]] = {}
    for path, array in data.items():
        group, _, rest = path.partition("/")
        if group == GROUP:
            name, _, key = rest.partition("/")
            found.setdefault(name, {})[key] = array
    return {name: _observable(columns) for name, columns in sorted(found.items())}


def _observable(columns: Mapping[str, Any]) -> Observable:
    label = tuple(columns["label"].split("\n")) if "label" in columns else ()
    axes = {k: (v, "") for k, v in columns.items() if k not in RESERVED}
    return Observable(columns["value"], columns["error"], "", axes, label)

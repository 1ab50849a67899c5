"""The training curve: the energy against the optimisation step, and its distance to the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import style

WINDOWS = 80
"""Points per curve: enough for the eye, few enough for a small file."""
STEPS_PER_WINDOW = 5
MARGIN = 0.12
LINEAR_MHA = 1.0

Trace = Mapping[str, np.ndarray]
Curve = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Step, energy and error, hartree per primitive cell."""


def training_figure(
    traces: Sequence[Trace], energy: Mapping[str, Any], twists: Sequence[Mapping[str, Any]]
) -> Figure:
    """Draws the twist-averaged energy above, the distance of every twist to its result below.

    Args:
        traces: Columns `step`, `energy_ha`, `error_ha` of each twist, per simulation cell.
        energy: The row of `energy.csv`.
        twists: The rows of `twists.csv`, in the order of `traces`.
    """
    figure, (upper, lower) = style.panels()
    curve = running(average(traces, [row["weight"] for row in twists]), energy["n_cells"])
    _draw_energy(upper, curve, energy)
    upper.set_ylim(*limits(curve[1], energy))
    upper.set_ylabel("energy (Ha / primitive cell)")
    upper.set_title(f"{energy['material']}, {energy['method']}", loc="left")
    for k, (trace, row) in enumerate(zip(traces, twists, strict=True)):
        _draw_distance(lower, running(trace, energy["n_cells"]), row, k, len(twists))
    lower.axhline(0, color="black", linewidth=0.8)
    lower.set_yscale("symlog", linthresh=LINEAR_MHA)
    style.plain_numbers(lower.yaxis)
    lower.set_ylabel("to result (mHa)")
    lower.set_xlabel("optimisation step")
    style.legend_below(figure, (upper, lower), 3)
    return figure


def average(traces: Sequence[Trace], weights: Sequence[float]) -> Trace:
    """Returns the weighted average of the traces of all twists, step by step.

    Of traces of different lengths the last steps are averaged, and counted as in the shortest.
    """
    count = min(len(trace["step"]) for trace in traces)
    w = np.asarray(weights)[:, None] / np.sum(weights)
    energy, error = (
        np.array([trace[name][-count:] for trace in traces]) for name in ("energy_ha", "error_ha")
    )
    return {
        "step": min(traces, key=lambda trace: len(trace["step"]))["step"],
        "energy_ha": np.sum(w * energy, axis=0),
        "error_ha": np.sqrt(np.sum((w * error) ** 2, axis=0)),
    }


def running(trace: Trace, n_cells: int) -> Curve:
    """Returns the medians of consecutive windows.

    The error of a window is the root mean square of the errors of its steps over the square
    root of their number: consecutive steps are taken as independent, the band is for the eye.
    """
    count = len(trace["step"])
    windows = int(np.clip(count // STEPS_PER_WINDOW, min(count, 10), WINDOWS))
    chunks = np.array_split(np.arange(count), windows)
    step = np.array([trace["step"][i].mean() for i in chunks])
    median = np.array([np.median(trace["energy_ha"][i]) for i in chunks]) / n_cells
    error = (
        np.array([np.sqrt(np.mean(trace["error_ha"][i] ** 2) / len(i)) for i in chunks]) / n_cells
    )
    return step, median, error


def limits(medians: np.ndarray, energy: Mapping[str, Any]) -> tuple[float, float]:
    """Returns y limits set by the second half of training, the result and the lines.

    The first steps of a training may be far off; they may leave the figure.
    """
    lines = [
        energy.get("literature_ha_per_cell"),
        energy["mean_field_ha_per_cell"],
        energy["energy_ha_per_cell"],
    ]
    values = [*medians[len(medians) // 2 :], *(v for v in lines if v is not None)]
    low, high = min(values), max(values)
    margin = MARGIN * max(high - low, 1e-3)
    return low - margin, high + 2 * margin


def _draw_energy(ax: Axes, curve: Curve, energy: Mapping[str, Any]) -> None:
    step, median, error = curve
    label = "training, twist average" if energy["n_twists"] > 1 else "training"
    ax.plot(step, median, color=style.BLUE, label=label)
    ax.fill_between(step, median - error, median + error, color=style.BLUE, alpha=0.25, linewidth=0)
    ax.axhline(energy["mean_field_ha_per_cell"], **style.MEAN_FIELD, label="mean field")
    if energy.get("literature_ha_per_cell") is not None:
        ax.axhline(energy["literature_ha_per_cell"], **style.LITERATURE, label="literature")
    ax.errorbar(
        1.03 * step[-1],
        energy["energy_ha_per_cell"],
        yerr=energy["error_ha_per_cell"],
        color=style.ORANGE,
        marker="D",
        linestyle="none",
        markersize=4.5,
        capsize=2,
        label="result, parameters frozen",
    )


def _draw_distance(ax: Axes, curve: Curve, row: Mapping[str, Any], k: int, count: int) -> None:
    step, median, error = curve
    colour = style.CYCLE[k % len(style.CYCLE)] if count > 1 else style.BLUE
    mha = 1e3 * (median - row["energy_ha_per_cell"])
    ax.plot(
        step,
        mha,
        color=colour,
        linewidth=1.1,
        label=f"twist {twist_label(row)}" if count > 1 else None,
    )
    ax.fill_between(
        step, mha - 1e3 * error, mha + 1e3 * error, color=colour, alpha=0.2, linewidth=0
    )


def twist_label(row: Mapping[str, Any]) -> str:
    """Returns a twist as its three fractions."""
    fractions = (format(row[f"frac_{i}"], ".4g") for i in (1, 2, 3))
    return f"({', '.join(fractions)})"

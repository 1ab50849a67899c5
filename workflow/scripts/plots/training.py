"""The training curve: energy per primitive cell against the optimisation step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import style

POINTS = 200
"""Windows per curve: enough for the eye, few enough for a small file."""
MARGIN = 0.12


def training_figure(traces: Sequence[Mapping[str, np.ndarray]], energy: Mapping[str, Any],
                    twists: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the running median of every twist with its error band.

    Args:
        traces: Columns `step`, `energy_ha`, `error_ha` of each twist, per simulation cell.
        energy: The row of `energy.csv`.
        twists: The rows of `twists.csv`, in the order of `traces`.
    """
    figure, ax = style.axes()
    curves = [running(trace, energy["n_cells"]) for trace in traces]
    last = max(curve[0][-1] for curve in curves)
    for k, (curve, row) in enumerate(zip(curves, twists, strict=True)):
        _draw(ax, curve, row, style.CYCLE[k % len(style.CYCLE)], last, len(curves))
    _levels(ax, energy)
    ax.set_ylim(*limits(curves, energy, twists))
    ax.set_xlim(0, 1.06 * last)
    ax.set_xlabel("optimisation step")
    ax.set_ylabel("energy (hartree / primitive cell)")
    ax.set_title(f"{energy['material']}, {energy['method']}", loc="left")
    style.legend_below(figure, ax, 2 if len(curves) > 1 else 3)
    return figure


def running(trace: Mapping[str, np.ndarray], n_cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (step, median, error) of consecutive windows, hartree per primitive cell.

    The error of a window is the root mean square of the errors of its steps over the square
    root of their number: consecutive steps are taken as independent, the band is for the eye.
    """
    count = len(trace["step"])
    chunks = np.array_split(np.arange(count), min(POINTS, max(1, count // 5)))
    step = np.array([trace["step"][i].mean() for i in chunks])
    median = np.array([np.median(trace["energy_ha"][i]) for i in chunks]) / n_cells
    error = np.array([np.sqrt(np.mean(trace["error_ha"][i] ** 2) / len(i)) for i in chunks]) / n_cells
    return step, median, error


def limits(curves, energy: Mapping[str, Any], twists: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Returns y limits set by the second half of training, the results and the lines.

    The first steps of a training may be far off; they may leave the figure.
    """
    late = [value for _, median, _ in curves for value in median[len(median) // 2:]]
    lines = [energy.get("literature_ha_per_cell"), energy["mean_field_ha_per_cell"],
             *(row["energy_ha_per_cell"] for row in twists)]
    values = [*late, *(v for v in lines if v is not None)]
    low, high = min(values), max(values)
    margin = MARGIN * max(high - low, 1e-3)
    return low - margin, high + 2 * margin


def _draw(ax: Axes, curve, row: Mapping[str, Any], colour: str, last: float, count: int) -> None:
    step, median, error = curve
    label = f"twist {twist_label(row)}" if count > 1 else "training (running median)"
    ax.plot(step, median, color=colour, label=label)
    ax.fill_between(step, median - error, median + error, color=colour, alpha=0.25, linewidth=0)
    ax.errorbar(1.03 * last, row["energy_ha_per_cell"], yerr=row["error_ha_per_cell"], color=colour,
                marker="D", markersize=4.5, markeredgecolor="white", capsize=2,
                label=None if count > 1 else "evaluated")


def _levels(ax: Axes, energy: Mapping[str, Any]) -> None:
    averaged = " (twist average)" if energy["n_twists"] > 1 else ""
    ax.axhline(energy["mean_field_ha_per_cell"], **style.MEAN_FIELD, label=f"mean field{averaged}")
    if averaged:
        ax.axhline(energy["energy_ha_per_cell"], color="black", linewidth=0.9, alpha=0.8,
                   label=f"evaluated{averaged}")
    if energy.get("literature_ha_per_cell") is not None:
        ax.axhline(energy["literature_ha_per_cell"], **style.LITERATURE, label="literature")


def twist_label(row: Mapping[str, Any]) -> str:
    """Returns a twist as its three fractions."""
    fractions = (format(row[f"frac_{i}"], ".4g") for i in (1, 2, 3))
    return f"({', '.join(fractions)})"

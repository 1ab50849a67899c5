"""Learned Hamiltonians: training, predicted against true numbers, errors over sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from engine.io.parity import Points
from engine.units import HARTREE_EV
from plots import style

WINDOWS = 120
FEW = 500
"""So many points are drawn large."""
UNKNOWN_HA = 1e3
"""Larger errors stand for validations that were not made yet."""


def learning_figure(trace: Mapping[str, np.ndarray], card: Mapping[str, Any]) -> Figure:
    """Draws the error of batches and of the validation set over the steps.

    Args:
        trace: Columns `step`, `error_h_ha`, `validation_ha`.
        card: A line of `learned.csv`.
    """
    figure, ax = style.axes()
    chunks = np.array_split(np.arange(len(trace["step"])), min(WINDOWS, len(trace["step"])))
    step = [trace["step"][i].mean() for i in chunks]
    ax.plot(step, [1e6 * np.median(trace["error_h_ha"][i]) for i in chunks], label="training")
    known = trace["validation_ha"] < UNKNOWN_HA
    changed = known & (np.diff(trace["validation_ha"], prepend=np.inf) != 0)
    ax.plot(
        trace["step"][changed],
        1e6 * trace["validation_ha"][changed],
        color=style.ORANGE,
        marker="o",
        markersize=3,
        label="validation, averaged parameters",
    )
    if card["guess_hamiltonian_uha_mean"]:
        ax.axhline(card["guess_hamiltonian_uha_mean"], **style.MEAN_FIELD, label="initial guess")
    ax.set_yscale("log")
    style.plain_numbers(ax.yaxis)
    ax.set_xlabel("optimisation step")
    ax.set_ylabel("mean error of H (microhartree)")
    ax.set_title(f"learned Hamiltonian {card['model']}", loc="left")
    style.legend_below(figure, [ax], 3)
    return figure


def parity_figure(points: Mapping[str, Points], name: str) -> Figure:
    """Draws predicted against true corrections, and errors of levels, on test geometries."""
    figure, (left, right) = style.stack(2)
    for number, (material, found) in enumerate(points.items()):
        colour = style.CYCLE[number % len(style.CYCLE)]
        _dots(left, 1e3 * found.correction[0], 1e3 * found.correction[1], colour, material)
        wrong = 1e3 * HARTREE_EV * (found.levels[1] - found.levels[0])
        _dots(right, HARTREE_EV * found.levels[0], wrong, colour, material)
    low, high = left.get_xlim()
    left.plot([low, high], [low, high], color="black", linewidth=0.7, zorder=0)
    left.set_xlabel("true element of H - H0 (mHa)")
    left.set_ylabel("predicted (mHa)")
    right.axhline(0, color="black", linewidth=0.7, zorder=0)
    right.set_xlabel("true level (eV)")
    right.set_ylabel("error (meV)")
    left.set_title(f"learned Hamiltonian {name}, test geometries", loc="left")
    left.legend(markerscale=2)
    return figure


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str) -> None:
    ax.plot(
        x,
        y,
        ".",
        color=colour,
        markersize=6 if len(x) < FEW else 2.5,
        alpha=0.5,
        label=label,
        markeredgewidth=0,
        rasterized=len(x) >= FEW,
    )


def sizes_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the error over the training geometries and over the parameters, per material.

    Args:
        rows: Of `learned.csv`.
    """
    figure, axes = style.stack(2)
    columns = {"train_geometries": "training geometries", "parameters": "parameters"}
    for ax, column, other in zip(axes, columns, reversed(columns), strict=True):
        for number, series in enumerate(_series(rows, column)):
            known = sorted((row[column], row) for row in series)
            x = [value for value, _ in known]
            colour = style.CYCLE[number % len(style.CYCLE)]
            mean, worst = (
                [row[f"hamiltonian_uha_{which}"] for _, row in known] for which in ("mean", "worst")
            )
            first = known[0][1]
            name = f"{first['material']}, {first[other]} {columns[other]}"
            ax.plot(x, mean, "o-", color=colour, markersize=4, label=name)
            ax.plot(x, worst, "v:", color=colour, markersize=4)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(sorted({row[column] for row in rows}))
        ax.xaxis.set_minor_locator(NullLocator())
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.7g}"))
        ax.set_xlabel(columns[column])
        ax.set_ylabel("error of H (microhartree)")
        ax.legend()
    axes[0].set_title("learned Hamiltonians on test geometries: mean, worst (dotted)", loc="left")
    return figure


FIXED = {
    "train_geometries": ("material", "basis", "mean_field", "parameters", "target", "steps"),
    "parameters": ("material", "basis", "mean_field", "train_geometries", "target", "steps"),
}
"""What models that are joined by a line have in common."""


def _series(rows: Sequence[Mapping[str, Any]], column: str) -> list[list[Mapping[str, Any]]]:
    """Returns groups of models that differ in one size; single ones are points of their own."""
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in FIXED[column]), []).append(row)
    return list(groups.values())

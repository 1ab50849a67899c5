"""The energy over the zone of boundary phases, and what averaging over it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import style
from plots.training import twist_label

MAX_LABELS = 12


def twist_figure(energy: Mapping[str, Any], twists: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the energy of every twist, the mean field there and the weighted average.

    Args:
        energy: The row of `energy.csv`.
        twists: The rows of `twists.csv`.
    """
    figure, ax = style.axes()
    x, direction = coordinates(twists)
    error, level = energy["error_ha_per_cell"], energy["energy_ha_per_cell"]
    ax.axhspan(level - error, level + error, color=style.BLUE, alpha=0.25, linewidth=0)
    ax.axhline(level, color=style.BLUE, linewidth=1.1, label="weighted average")
    if energy.get("literature_ha_per_cell") is not None:
        ax.axhline(energy["literature_ha_per_cell"], **style.LITERATURE, label="literature")
    ax.plot(
        x,
        [row["mean_field_ha_per_cell"] for row in twists],
        "s",
        color="0.5",
        markersize=5,
        markerfacecolor="none",
        label="mean field",
    )
    _points(ax, x, twists)
    _label_axis(ax, x, twists, direction)
    ax.set_ylabel("energy (hartree / primitive cell)")
    ax.set_title(f"{energy['material']}, {energy['method']}", loc="left")
    style.legend_below(figure, [ax], 4)
    return figure


def coordinates(twists: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, int | None]:
    """Returns x values and the reciprocal direction they run along; None for a plain list.

    A grid along one direction has the zone itself as its axis.
    """
    frac = np.array([[row[f"frac_{i}"] for i in (1, 2, 3)] for row in twists], dtype=float)
    varying = [i for i in range(3) if np.ptp(frac[:, i]) > 1e-9]
    if len(varying) == 1:
        return frac[:, varying[0]], varying[0]
    return np.arange(len(twists), dtype=float), None


def _points(ax: Axes, x: np.ndarray, twists: Sequence[Mapping[str, Any]]) -> None:
    """Draws the energies; the area of a point is in proportion to its weight."""
    weights = np.array([row["weight"] for row in twists])
    values = np.array([row["energy_ha_per_cell"] for row in twists])
    errors = np.array([row["error_ha_per_cell"] for row in twists])
    ax.errorbar(x, values, yerr=errors, fmt="none", ecolor=style.ORANGE, capsize=2.5, zorder=3)
    ax.scatter(
        x,
        values,
        s=90 * weights / weights.max(),
        color=style.ORANGE,
        edgecolor="white",
        linewidth=0.6,
        zorder=4,
        label="twist (area: weight)",
    )


def _label_axis(
    ax: Axes, x: np.ndarray, twists: Sequence[Mapping[str, Any]], direction: int | None
) -> None:
    if direction is not None:
        ax.set_xlabel(f"twist along reciprocal vector {direction + 1} of the simulation cell")
        ax.set_xlim(min(0, x.min()) - 0.03, max(0.5, x.max()) + 0.03)
        return
    ax.set_xlabel("twist (fractions of the simulation cell's reciprocal vectors)")
    every = -(-len(twists) // MAX_LABELS)
    ax.set_xticks(
        x[::every],
        [twist_label(row) for row in twists[::every]],
        rotation=30,
        ha="right",
        fontsize=7,
    )

"""All results of a campaign beside the published values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from plots import style

ROW_INCH = 0.3
LINEAR_MHA = 2.0
"""The axis is linear up to here and logarithmic beyond, where there is a need for it."""


def literature_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws energy minus literature per atom, one line for each material and method.

    Without atoms the difference is per electron.

    Args:
        rows: The rows of `energies.csv`; those without literature value are left out.
    """
    rows = [row for row in rows if row.get("difference_ha_per_cell") is not None]
    figure, ax = style.axes(1.1 + ROW_INCH * max(len(rows), 2))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    scale = [1e3 / (row["n_atoms"] or row["n_electrons"]) for row in rows]
    for y, (row, factor) in enumerate(zip(rows, scale, strict=True)):
        _interval(ax, row, factor, y)
        colour = style.CYCLE[methods.index(row["method"]) % len(style.CYCLE)]
        ax.errorbar(
            factor * row["difference_ha_per_cell"],
            y,
            xerr=factor * row["error_ha_per_cell"],
            fmt="o",
            color=colour,
            capsize=2.5,
            markersize=5,
        )
    ax.axvline(0, color="black", linewidth=0.8)
    largest = max(
        abs(f * row["difference_ha_per_cell"]) for row, f in zip(rows, scale, strict=True)
    )
    if largest > 4 * LINEAR_MHA:
        ax.set_xscale("symlog", linthresh=LINEAR_MHA)
        style.plain_numbers(ax.xaxis)
    low, high = ax.get_xlim()
    ax.set_xlim(1.3 * min(low, -LINEAR_MHA / 10), 1.3 * max(high, LINEAR_MHA / 10))
    ax.set_yticks(range(len(rows)), [f"{row['material']}  {row['method']}" for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    kinds = ("atom" if row["n_atoms"] else "electron" for row in rows)
    label = f"energy - literature (mHa / {' or '.join(dict.fromkeys(kinds))})"
    figure.supxlabel(label, fontsize="medium")  # names may leave the axes less than its length
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    return figure


def _interval(ax, row: Mapping[str, Any], factor: float, y: int) -> None:
    """Shades the uncertainty of the literature value."""
    uncertainty = row.get("literature_error_ha_per_cell")
    if uncertainty:
        ax.fill_betweenx(
            [y - 0.3, y + 0.3],
            -factor * uncertainty,
            factor * uncertainty,
            color="0.85",
            linewidth=0,
        )

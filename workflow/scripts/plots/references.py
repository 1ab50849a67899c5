"""The network beside established methods on the same integrals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plots import style

ROW_INCH = 0.32
LINEAR_MHA = 0.1
"""Differences are drawn on a linear scale up to here and on a logarithmic one beyond."""

ROOM = 1.8
"""Factor between the outermost point and the edge."""

SERIES = (
    ("hf_ha_per_cell", "HF", "s", "0.6"),
    ("mp2_ha_per_cell", "MP2", "d", style.SKY),
    ("ccsd_ha_per_cell", "CCSD", "^", style.GREEN),
    ("ccsd_t_ha_per_cell", "CCSD(T)", "v", style.PURPLE),
    ("dmrg_ha_per_cell", "DMRG", "x", "black"),
    ("energy_ha_per_cell", "network", "o", style.ORANGE),
)
"""Column, label, marker and colour."""
EXACT = ("fci_ha_per_cell", "dmrg_ha_per_cell")
"""What differences are taken to: the first that there is."""


def references_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the distance of every method to the exact energy, one line for each run.

    Args:
        rows: Of `references.csv`; those without an exact energy are left out.
    """
    rows = [row for row in rows if exact(row) is not None]
    figure, ax = style.axes(1.4 + ROW_INCH * max(len(rows), 2))
    for column, label, marker, colour in SERIES:
        points = [(mha(row, column), y) for y, row in enumerate(rows) if known(row, column)]
        if points:
            style_ = {"marker": marker, "color": colour, "markerfacecolor": "none", "label": label}
            ax.plot(*zip(*points, strict=True), linestyle="none", markersize=5, **style_)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xscale("symlog", linthresh=LINEAR_MHA)
    low, high = ax.get_xlim()
    ax.set_xlim(ROOM * min(low, -LINEAR_MHA), ROOM * max(high, LINEAR_MHA))
    style.plain_numbers(ax.xaxis)
    ax.set_yticks(range(len(rows)), [f"{row['material']}  {row['method']}" for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel("energy - exact (millihartree / cell)")
    ax.grid(axis="x", color="0.9", linewidth=0.6)
    style.legend_below(figure, [ax], 6)
    return figure


def family_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws energies along the coordinate of a family, and below them distances to the exact one.

    Args:
        rows: Of one family of `families.csv`, in the order of the coordinate.
    """
    figure, (above, below) = style.panels()
    _line(above, rows, EXACT[0], "FCI", None, "black")
    for column, label, marker, colour in SERIES:
        _line(above, rows, column, label, marker, colour)
        compared = [row for row in rows if known(row, column) and exact(row) is not None]
        points = [(row["x"], mha(row, column)) for row in compared]
        if points:
            below.plot(*zip(*points, strict=True), marker=marker, color=colour, markersize=4)
    energies = [row[c] for row in rows for c in ("hf_ha_per_cell", *EXACT) if known(row, c)]
    if energies:
        low, high = min(energies), max(energies)
        above.set_ylim(low - 0.1 * (high - low), high + 0.05 * (high - low))
    above.set_ylabel("energy (hartree / cell)")
    below.axhline(0, color="black", linewidth=0.8)
    below.set_yscale("symlog", linthresh=LINEAR_MHA)
    low, high = below.get_ylim()
    below.set_ylim(ROOM * min(low, -LINEAR_MHA), ROOM * max(high, LINEAR_MHA))
    style.plain_numbers(below.yaxis)
    below.set_ylabel("to exact (mHa)")
    below.set_xlabel(quantity(rows[0]["along"]) if rows else "")
    above.set_title(rows[0]["family"] if rows else "", loc="left")
    style.legend_below(figure, [above], 4)
    return figure


def quantity(key: str) -> str:
    """Returns a key of a structure as a label: spacing_bohr -> spacing (bohr)."""
    name, _, unit = key.rpartition("_")
    return f"{name.replace('_', ' ')} ({unit})" if unit in ("bohr", "angstrom") else key


def _line(ax: Axes, rows, column: str, label: str, marker: str | None, colour: str) -> None:
    points = [(row["x"], row[column]) for row in rows if known(row, column)]
    if points:
        ax.plot(*zip(*points, strict=True), marker=marker, color=colour, label=label, markersize=4)


def known(row: Mapping[str, Any], column: str) -> bool:
    """Returns whether the row has a number there."""
    return row.get(column) is not None


def exact(row: Mapping[str, Any]) -> float | None:
    """Returns the energy that others are compared with, hartree per cell."""
    return next((row[column] for column in EXACT if known(row, column)), None)


def mha(row: Mapping[str, Any], column: str) -> float:
    """Returns the distance to the exact energy in millihartree."""
    return 1e3 * (row[column] - exact(row))

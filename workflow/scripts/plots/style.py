"""The look of all figures: one column wide, readable when printed, safe for colour blindness."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from engine.io import atomic

BLUE, ORANGE, GREEN, PURPLE, SKY, RED = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#AA4499",
    "#56B4E9",
    "#882255",
)
"""After M. Okabe and K. Ito's palette for all kinds of colour vision."""

CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED)
LITERATURE = {"color": "black", "linestyle": (0, (1, 1.5)), "linewidth": 1.2}
MEAN_FIELD = {"color": "0.5", "linestyle": (0, (5, 2)), "linewidth": 1.1}

SETTINGS = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "lines.linewidth": 1.4,
    "legend.frameon": False,
    "savefig.dpi": 300,
    "figure.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "psilattice",
    "axes.formatter.useoffset": False,
}

WIDTH_INCH = 5.2


def axes(height_inch: float = 3.2) -> tuple[Figure, Axes]:
    """Returns an empty figure of the common width."""
    plt.rcParams.update(SETTINGS)
    return plt.subplots(figsize=(WIDTH_INCH, height_inch), layout="constrained")


def panels() -> tuple[Figure, tuple[Axes, Axes]]:
    """Returns two panels over a common x axis, the upper one twice as high."""
    plt.rcParams.update(SETTINGS)
    return plt.subplots(
        2, 1, figsize=(WIDTH_INCH, 4.6), height_ratios=[2, 1], sharex=True, layout="constrained"
    )


def stack(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Returns `count` panels of their own axes, one below the other."""
    plt.rcParams.update(SETTINGS)
    figure, axes = plt.subplots(
        count, 1, figsize=(WIDTH_INCH, 2.6 * count), squeeze=False, layout="constrained"
    )
    return figure, axes[:, 0]


LETTERS = 80
"""That many of a legend stand side by side under a figure."""


def legend_below(figure: Figure, axes: Sequence[Axes], columns: int) -> None:
    """Puts the legend under the axes, where it covers no data; long labels in fewer columns."""
    entries = [entry for ax in axes for entry in zip(*ax.get_legend_handles_labels(), strict=True)]
    longest = max(len(label) for _, label in entries)
    columns = max(1, min(columns, LETTERS // (longest + 6)))
    figure.legend(*zip(*entries, strict=True), loc="outside lower center", ncols=columns)


def plain_numbers(axis: Axis) -> None:
    """Writes 0.1, 1, 10 at the ticks of a logarithmic axis instead of powers."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def save(figure: Figure, *, svg: str | Path, png: str | Path) -> None:
    """Writes the figure as SVG and PNG, without dates, so that equal data gives equal files."""
    for target, form, metadata in ((svg, "svg", {"Date": None}), (png, "png", {"Software": None})):
        with atomic.replaced(target) as temporary:
            figure.savefig(temporary, format=form, metadata=metadata)
    plt.close(figure)

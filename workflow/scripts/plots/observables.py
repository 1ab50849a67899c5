"""What an evaluation measured beside the energy: one panel per quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.io.observables import Observable
from plots import style

MAX_ENTRIES = 6


def observables_figure(observables: Mapping[str, Observable], title: str) -> Figure:
    """Draws every observable that is a curve, and writes the numbers of the others.

    Args:
        observables: Twist averages.
        title: Material and method.
    """
    curves = [name for name in observables if name in PANELS]
    others = [name for name in observables if name not in PANELS and name != "density"]
    grids = ["density"] if "density" in observables else []
    panels = curves + grids + (["numbers"] if others else [])
    figure, axes = style.stack(len(panels))
    for ax, name in zip(axes, panels, strict=True):
        if name == "numbers":
            _numbers(ax, {other: observables[other] for other in others})
        elif name == "density":
            _map(figure, ax, observables[name])
        else:
            PANELS[name](ax, observables[name])
    axes[0].set_title(title, loc="left")
    return figure


def _over_waves(label: str) -> Callable[[Axes, Observable], None]:
    def draw(ax: Axes, found: Observable) -> None:
        k = np.linalg.norm(found.axes["wavevector"][0], axis=-1)
        rows = found.value.reshape(-1, len(k)), found.error.reshape(-1, len(k))
        for i, (value, error) in enumerate(zip(*rows, strict=True)):
            colour, name = style.CYCLE[i % len(style.CYCLE)], _name(found, i)
            ax.errorbar(k, value, error, fmt="o", color=colour, markersize=3, label=name)
        _finish(ax, found, "wave vector (1/bohr)", label)

    return draw


def _over_radius(label: str) -> Callable[[Axes, Observable], None]:
    def draw(ax: Axes, found: Observable) -> None:
        r = found.axes["radius"][0]
        value, error = (_first_centre(x) for x in (found.value, found.error))
        for i, (y, e) in enumerate(zip(value, error, strict=True)):
            colour = style.CYCLE[i % len(style.CYCLE)]
            ax.plot(r, y, color=colour, label=_name(found, i))
            ax.fill_between(r, y - e, y + e, color=colour, alpha=0.3, linewidth=0)
        _finish(ax, found, "distance (bohr)", label)

    return draw


def _first_centre(array: np.ndarray) -> np.ndarray:
    """Returns (rows, bins): of several centres the first."""
    return array if array.ndim == 2 else array[:, 0]


def _name(found: Observable, row: int) -> str | None:
    return found.label[row] if found.label else None


def _finish(ax: Axes, found: Observable, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if found.label:
        ax.legend()


def _map(figure: Figure, ax: Axes, found: Observable) -> None:
    """Draws the density of all species, averaged along the third axis of the box."""
    plane = found.value.sum(axis=0).mean(axis=-1)
    image = ax.imshow(plane.T, origin="lower", extent=(0, 1, 0, 1), cmap="cividis")
    ax.set_xlabel("along the first axis of the box")
    ax.set_ylabel("along the second")
    figure.colorbar(image, ax=ax, label="density (1/bohr$^3$)")


def _numbers(ax: Axes, found: Mapping[str, Observable]) -> None:
    """Writes values with errors; long lists are cut."""
    ax.axis("off")
    lines = []
    for name, quantity in found.items():
        pairs = zip(np.ravel(quantity.value), np.ravel(quantity.error), strict=True)
        words = [f"{value:.5f} $\\pm$ {error:.5f}" for value, error in pairs]
        lines += [f"{name.replace('_', ' ')}:", *_rows(words[:MAX_ENTRIES])]
    ax.text(0, 1, "\n".join(lines), va="top", transform=ax.transAxes)


def _rows(words: list[str]) -> list[str]:
    return ["    " + ",  ".join(words[i : i + 3]) for i in range(0, len(words), 3)]


PANELS = {
    "structure_factor": _over_waves("S(G)"),
    "spin_structure_factor": _over_waves("spin S(G)"),
    "momentum_distribution": _over_waves("n(k)"),
    "pair_correlation": _over_radius("g(r)"),
    "radial_density": _over_radius("density (1/bohr$^3$)"),
}

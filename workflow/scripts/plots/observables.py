"""What an evaluation measured beside the energy: one panel per quantity."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from ase.data import chemical_symbols
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.io.observables import Observable
from plots import style

MAX_ENTRIES = 6
DASHES = ("-", "--", ":", "-.")
"""Of elements."""
GRIDS = ("density", "pair_density")
NOISE = 0.05
"""Share of a spin density's voxels beyond three standard errors below which it is noise."""
UNITS = {
    "contact_density": " (1/bohr$^3$)",
    "contact_density_of_psi": " (1/bohr$^3$)",
    "electron_contact": " (1/bohr$^3$)",
    "electron_contact_of_psi": " (1/bohr$^3$)",
    "nuclear_contact": " (1/bohr$^3$)",
    "nuclear_contact_of_psi": " (1/bohr$^3$)",
    "annihilation_rate": " (1/ns)",
    "annihilation_rate_of_psi": " (1/ns)",
    "dipole": " (e bohr)",
}


def observables_figure(observables: Mapping[str, Observable], title: str) -> Figure:
    """Draws every observable that is a curve, and writes the numbers of the others.

    Args:
        observables: Twist averages.
        title: Material and method.
    """
    curves = [name for name in PANELS if name in observables]
    grids = [name for name in GRIDS if name in observables]
    others = [name for name in observables if name not in (*PANELS, *GRIDS)]
    panels = curves + grids + (["numbers"] if others else [])
    figure, axes = style.stack(len(panels))
    for ax, name in zip(axes, panels, strict=True):
        if name == "numbers":
            _numbers(ax, {other: observables[other] for other in others})
        elif name in GRIDS:
            _maps(figure, ax, observables[name])
        else:
            PANELS[name](ax, observables[name])
    figure.suptitle(title, x=0.02, ha="left", fontsize=9.5)
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
    return lambda ax, found: _curves(ax, found, "radius", "distance (bohr)", label)


def _over_momentum(label: str) -> Callable[[Axes, Observable], None]:
    return lambda ax, found: _curves(ax, found, "momentum", "momentum (1/bohr)", label)


def _curves(ax: Axes, found: Observable, axis: str, x: str, y: str) -> None:
    """Draws rows of a function of one number with bands of one standard error."""
    r = found.axes[axis][0]
    for dashes, (centre, value, error) in zip(
        itertools.cycle(DASHES), _centres(found), strict=False
    ):
        for i, (row, e) in enumerate(zip(value, error, strict=True)):
            name = _name(found, i)
            if name == "charge":
                continue  # the sum of the species
            colour = style.CYCLE[i % len(style.CYCLE)]
            label = f"{name}, {centre}" if centre else name
            ax.plot(r, row, color=colour, linestyle=dashes, label=label)
            ax.fill_between(r, row - e, row + e, color=colour, alpha=0.3, linewidth=0)
    ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    _finish(ax, found, x, y)


def _centres(found: Observable) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yields element, value and error (rows, bins), averaged over the nuclei of each element.

    The error is that of one nucleus: nuclei of one walker are not independent.
    """
    if found.value.ndim < 3:
        yield "", np.atleast_2d(found.value), np.atleast_2d(found.error)
        return
    charges = found.axes["nucleus"][0] if "nucleus" in found.axes else np.zeros(1)
    for charge in np.unique(charges):
        these = np.flatnonzero(charges == charge)
        symbol = chemical_symbols[round(charge)] if charge else ""
        yield symbol, *(x[:, these].mean(axis=1) for x in (found.value, found.error))


def _name(found: Observable, row: int) -> str | None:
    return found.label[row] if found.label else None


def _finish(ax: Axes, found: Observable, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if found.label:
        ax.legend()


def _maps(figure: Figure, ax: Axes, found: Observable) -> None:
    """Draws the densities of electrons, positrons and spin, averaged along the box's third axis."""
    planes = _planes(found)
    spec = ax.get_subplotspec().subgridspec(1, len(planes))
    ax.remove()
    extent, unit = _extent(found)
    for i, (name, plane) in enumerate(planes.items()):
        part = figure.add_subplot(spec[i])
        largest = np.abs(plane).max()
        signed = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        look = signed if name == "spin" else {"cmap": "cividis"}
        image = part.imshow(plane.T, origin="lower", extent=extent, interpolation="nearest", **look)
        part.set_xlabel(f"first axis{unit}")
        part.set_ylabel(f"second axis{unit}" if not i else "")
        part.set_title(f"{name} (1/bohr$^3$)", fontsize=8)
        figure.colorbar(image, ax=part, shrink=0.8)


def _planes(found: Observable) -> dict[str, np.ndarray]:
    """Returns the densities worth a map, each (n, n); spin only where there is more than noise."""
    if not found.label:
        return {"others seen from an electron": found.value[0].mean(axis=-1)}
    kinds = {"electrons": ("up", "down"), "positrons": ("positron_up", "positron_down")}
    kinds |= {"spin": ("spin",)}
    rows = {
        kind: [i for i, name in enumerate(found.label) if name in names]
        for kind, names in kinds.items()
    }
    planes = {
        kind: found.value[chosen].sum(axis=0).mean(axis=-1)
        for kind, chosen in rows.items()
        if chosen
    }
    spin = rows["spin"]
    if spin and np.mean(np.abs(found.value[spin]) > 3 * found.error[spin]) < NOISE:
        planes.pop("spin")
    return planes


def _extent(found: Observable) -> tuple[tuple[float, ...], str]:
    """Returns where the map lies: in bohr where the box is at right angles, else in fractions."""
    corner, rows = found.axes["box"][0][0], found.axes["box"][0][1:]
    sides = np.diag(rows)
    if np.abs(rows - np.diag(sides)).max() > 1e-9:
        return (0, 1, 0, 1), ""
    ends = corner + sides
    return (corner[0], ends[0], corner[1], ends[1]), " (bohr)"


def _numbers(ax: Axes, found: Mapping[str, Observable]) -> None:
    """Writes values with errors; long lists are cut."""
    ax.axis("off")
    lines = []
    for name, quantity in found.items():
        pairs = zip(np.ravel(quantity.value), np.ravel(quantity.error), strict=True)
        words = [f"{value:.5f} $\\pm$ {error:.5f}" for value, error in pairs]
        if quantity.label:
            words = [f"{n} {w}" for n, w in zip(quantity.label, words, strict=True)]
        unit = UNITS.get(name, "")
        across = 2 if quantity.label else 3
        lines += [f"{name.replace('_', ' ')}{unit}:", *_rows(words[:MAX_ENTRIES], across)]
    ax.text(0, 1, "\n".join(lines), va="top", transform=ax.transAxes, fontsize=8)


def _rows(words: list[str], across: int) -> list[str]:
    return ["    " + ",  ".join(words[i : i + across]) for i in range(0, len(words), across)]


PANELS = {
    "structure_factor": _over_waves("S(G)"),
    "spin_structure_factor": _over_waves("spin S(G)"),
    "momentum_distribution": _over_waves("n(k)"),
    "momentum_density": _over_momentum("n(p) (bohr$^3$)"),
    "compton_profile": _over_momentum("J(p$_z$) (bohr)"),
    "pair_momentum_distribution": _over_waves("annihilation rate (1/ns)"),
    "pair_momentum_density": _over_momentum("pairs of momentum p (bohr$^3$/ns)"),
    "doppler_profile": _over_momentum("Doppler profile in p$_z$ (bohr/ns)"),
    "pair_correlation": _over_radius("g(r)"),
    "pair_distribution": _over_radius("pairs (1/bohr$^3$)"),
    "radial_density": _over_radius("density (1/bohr$^3$)"),
}

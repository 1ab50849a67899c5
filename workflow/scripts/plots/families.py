"""Figures of families: one function per analysis, (family, rows, energies, results) -> figure.

`family` is its resolved section, `rows` its rows of the analysis' own table, `energies` those of
`energies.csv`, `results` the evaluations of its runs and the weights of their twists, where the
analysis draws some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.stage.equation_of_state import birch_murnaghan
from engine.stage.families import curves
from engine.stage.phases import pair_density, plane
from engine.stage.sizes import fitted
from plots import style
from plots.references import family_figure, quantity

Rows = Sequence[Mapping[str, Any]]
BRIGHTEST = 4.0
"""Density that maps draw brightest, in units of its average."""
WINDOW = 0.75
"""Half width of a map, in lengths of the first lattice vector."""


def methods(family: Mapping[str, Any], rows: Rows, energies: Rows, results) -> Figure:
    """Draws a family beside established methods."""
    del family, energies, results
    return family_figure(rows)


def sizes(family: Mapping[str, Any], rows: Rows, energies: Rows, results) -> Figure:
    """Draws energies per particle over 1/N, the fit and its limit."""
    del energies, results
    figure, ax = style.axes()
    for i, method in enumerate(dict.fromkeys(row["method"] for row in rows)):
        colour, own = style.CYCLE[i], [row for row in rows if row["method"] == method]
        n, energy, error = (
            np.array([row[f"{name}"] for row in own], float)
            for name in ("n_particles", "energy_ha_per_particle", "error_ha_per_particle")
        )
        ax.errorbar(1 / n, energy, error, fmt="o", color=colour, label=method, capsize=2.5)
        line = np.linspace(1e-9, 1 / n.min(), 200)
        ax.plot(line, fitted(n, energy, error, family["powers"], 1 / line), color=colour)
        limit, spread = own[0]["limit_ha_per_particle"], own[0]["limit_error_ha_per_particle"]
        ax.errorbar(0, limit, spread, fmt="D", color=colour, mfc="white", capsize=4)
    if family["literature"] is not None:
        source = family["literature_source"]
        ax.axhline(family["literature"], label=source or "literature", **style.LITERATURE)
    ax.set_xlabel("1 / N (particles of the simulation cell)")
    ax.set_ylabel("energy (hartree / particle)")
    ax.set_title(family["name"], loc="left")
    style.legend_below(figure, [ax], 3)
    return figure


def equations_of_state(family: Mapping[str, Any], rows: Rows, energies: Rows, results) -> Figure:
    """Draws energies over the lattice constant with the fitted curve and its minimum."""
    del results
    figure, ax = style.axes()
    x = np.array([point["x"] for point in family["points"]])
    volume = np.array([point["volume_bohr3"] for point in family["points"]])
    fine = np.linspace(x[0], x[-1], 200)
    for i, curve in enumerate(curves(family, energies)):
        colour = style.CYCLE[i]
        ax.errorbar(
            x, curve.energy, curve.error, fmt="o", color=colour, label=curve.method, capsize=2.5
        )
        fit = birch_murnaghan(volume, curve.energy, curve.error, family["order"]).fit
        scaled = volume[0] * (fine / x[0]) ** 3 / volume.mean()
        ax.plot(
            fine,
            np.vander(scaled ** (-2 / 3), len(fit.value), increasing=True) @ fit.value,
            color=colour,
        )
        (row,) = (row for row in rows if row["method"] == curve.method)
        unit = "angstrom" if family["along"].endswith("_angstrom") else "bohr"
        a, a_error = (row[f"lattice_constant_{name}{unit}"] for name in ("", "error_"))
        ax.errorbar(a, row["minimum_ha_per_cell"], xerr=a_error, fmt="D", color=colour, mfc="white")
    if family["literature"] is not None:
        source = family["literature_source"]
        ax.axvline(family["literature"], label=source or "literature", **style.LITERATURE)
    ax.set_xlabel(quantity(family["along"]))
    ax.set_ylabel("energy (hartree / cell)")
    ax.set_title(family["name"], loc="left")
    style.legend_below(figure, [ax], 3)
    return figure


def phases(family: Mapping[str, Any], rows: Rows, energies: Rows, results) -> Figure:
    """Draws energies relative to the plane waves, the order, and the density around an electron."""
    del energies
    networks = _networks(family)
    maps = [
        (point["x"], pair_density(*results[point["material"], networks[0]]))
        for point in family["points"]
        if networks and (point["material"], networks[0]) in results
    ]
    maps = [(x, density) for x, density in maps if density is not None]
    plt.rcParams.update(style.SETTINGS)
    figure = plt.figure(figsize=(style.WIDTH_INCH, 6.2), layout="constrained")
    grid = figure.add_gridspec(3, max(len(maps), 1), height_ratios=[2, 1.6, 1])
    above = figure.add_subplot(grid[0, :])
    middle = figure.add_subplot(grid[1, :], sharex=above)
    _relative(above, family, rows, networks)
    _order(middle, family, rows)
    x = sorted({row["x"] for row in rows})
    above.set_xticks(x, [f"{value:g}" for value in x])
    above.tick_params(labelbottom=False)
    above.minorticks_off()
    below = [figure.add_subplot(grid[2, i]) for i in range(len(maps))]
    for ax, (x, density) in zip(below, maps, strict=True):
        image = _map(ax, density)
        ax.set_title(f"{family['along']} = {x:g}", fontsize=8)
    if below:
        figure.colorbar(image, ax=below, label="density / average")
    above.set_title(family["description"] or family["name"], loc="left")
    style.legend_below(figure, [middle], 2)
    return figure


def _networks(family: Mapping[str, Any]) -> list[str]:
    """Returns the methods that are none of the two determinants, judged by the first point."""
    methods = family["points"][0]["methods"]
    liquid = [m for m, reference in methods.items() if reference == "scf"]
    return [m for m in liquid if m not in family["points"][0]["determinants"]]


def _relative(ax: Axes, family, rows: Rows, networks: list[str]) -> None:
    """Draws rs (E - E of the plane waves): the electrostatic energy of a crystal goes as 1/rs."""
    scaled = family["along"] == "rs"
    first = networks[0] if networks else rows[0]["method"]
    own = [row for row in rows if row["method"] == first]
    x = np.array([row["x"] for row in own])
    unit = x if scaled else np.ones_like(x)
    crystal = [row["localised_ha_per_electron"] - row["plane_waves_ha_per_electron"] for row in own]
    ax.axhline(0, color=style.BLUE, linewidth=1.2)
    ax.plot(x, unit * crystal, color=style.GREEN, marker="s", markersize=4)
    for i, method in enumerate(networks):
        chosen = [row for row in rows if row["method"] == method]
        values = np.array([row["to_plane_waves_ha_per_electron"] for row in chosen])
        errors = np.array([row["error_ha_per_electron"] for row in chosen])
        colour = (style.ORANGE, style.PURPLE, style.RED)[i % 3]
        ax.errorbar(x, unit * values, unit * errors, color=colour, marker="o", markersize=4)
    ax.set_xscale("log")
    ax.set_ylabel(
        "$r_s$ (E - plane waves)\n(hartree bohr / electron)"
        if scaled
        else "E - plane waves\n(hartree / electron)"
    )


def _order(ax: Axes, family, rows: Rows) -> None:
    """Draws the order parameter of every method that measured it."""
    methods = family["points"][0]["methods"]
    networks = _networks(family)
    for method in methods:
        own = [r for r in rows if r["method"] == method and r["order_parameter"] is not None]
        if not own:
            continue
        x, y, e = (
            [r[name] for r in own] for name in ("x", "order_parameter", "order_parameter_error")
        )
        if method in networks:
            colour, label = style.ORANGE, f"network ({method})"
        elif methods[method] == "localised":
            colour, label = style.GREEN, "Gaussians on the sites"
        else:
            colour, label = style.BLUE, "plane waves"
        ax.errorbar(x, y, e, color=colour, marker="o", markersize=4, label=label)
    n = rows[0]["n_electrons"]
    ax.axhline(1 / n, color="0.6", linewidth=0.8, linestyle=":", label="independent electrons")
    ax.set_ylim(0, 1)
    ax.set_ylabel("order parameter")
    ax.set_xlabel(family["along"].replace("rs", "$r_s$ (bohr)"))


def _map(ax: Axes, density):
    """Draws the plane through the electron along the first two lattice vectors, tiled."""
    value, first, second = plane(density)
    n = len(value)
    along = (first - second) / np.linalg.norm(first - second)
    across = second - (second @ along) * along
    across /= np.linalg.norm(across)
    place = np.arange(-2 * n, 2 * n + 1)
    i, j = np.meshgrid(place, place, indexing="ij")
    points = (i[..., None] * first + j[..., None] * second) / n
    length = np.linalg.norm(first)
    image = ax.pcolormesh(
        points @ along / length,
        points @ across / length,
        value[i % n, j % n],
        shading="gouraud",
        cmap="inferno",
        vmin=0,
        vmax=BRIGHTEST,
        rasterized=True,
    )
    ax.set(xlim=(-WINDOW, WINDOW), ylim=(-WINDOW, WINDOW), aspect="equal", xticks=[], yticks=[])
    return image


FIGURES = {
    "methods": methods,
    "size": sizes,
    "equation-of-state": equations_of_state,
    "phases": phases,
}

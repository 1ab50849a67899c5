"""Particle densities: on a grid, and averaged over spheres about each nucleus; 1/bohr^3.

One of each species, then the charge density sum_s q_s n_s of the particles, nuclei left out, in
units of e, and the spin density n_up - n_down of the electrons.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction

MARGIN_BOHR = 6.0
"""The box of an open cell reaches this far beyond the nuclei."""
RADIUS_BOHR = 8.0
"""Largest radius of spherical averages."""


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator.

    The grid divides the simulation cell, or a box about the nuclei of an open one, into
    `options.grid`^3 parallelepipeds; entry (i, j, k) is the average over one of them.
    """
    del wavefunction
    n, bins, kind = options.grid, options.bins, _weights(system)
    species = len(kind)
    centres = max(len(system.symbols), 0 if system.cell.periodic else 1)
    owner = kind.T

    def measure(params, walker, system, reference, key):
        r = walker.astype(jnp.float64)
        corner, rows = _box(system)
        place = jnp.floor((r - corner) @ jnp.linalg.inv(rows) * n).astype(int)
        place = place % n if system.cell.periodic else place
        inside = jnp.all((place >= 0) & (place < n), axis=1)
        flat = jnp.where(inside, place @ np.array([n * n, n, 1]), n**3)
        grid = jnp.zeros((species, n**3)).at[:, flat].add(kind, mode="drop")
        return {"grid": grid.reshape(species, n, n, n), "spheres": spheres(r, system)}

    def spheres(r, system):
        d = system.cell.nearest_image(r[:, None] - _centres(system))
        shell = jnp.floor(jnp.linalg.norm(d, axis=-1) / (_reach(system) / bins))
        hits = (shell[..., None] == jnp.arange(bins)).astype(jnp.float64)
        return jnp.einsum("is,icb->scb", owner, hits)

    def describe(state, system):
        corner, rows = (np.asarray(x, float) for x in _box(system))
        voxel = abs(np.linalg.det(rows)) / n**3
        edges = np.linspace(0, float(_reach(system)), bins + 1)
        shell = 4 * np.pi / 3 * np.diff(edges**3)
        names = (*(s.name for s in system.species), "charge", "spin")
        points = (np.arange(n) + 0.5) / n
        axes = {f"frac_{i}": (points, "") for i in (1, 2, 3)}
        charges = np.asarray(system.charges, float) if len(system.symbols) else np.zeros(centres)
        about_nuclei = {
            "nucleus": (charges, ""),
            "radius": ((edges[1:] + edges[:-1]) / 2, "bohr"),
        }
        grid, about = state["grid"], state["spheres"]
        found = {
            "density": Observable(
                blocks.mean(grid) / voxel,
                blocks.error(grid) / voxel,
                "1/bohr^3",
                axes | {"box": (np.vstack([corner, rows]), "bohr")},
                names,
            )
        }
        if centres:
            value, error = blocks.mean(about) / shell, blocks.error(about) / shell
            found["radial_density"] = Observable(value, error, "1/bohr^3", about_nuclei, names)
        return found

    shapes = {"grid": (species, n, n, n), "spheres": (species, centres, bins)}
    return averaged(measure, shapes, describe)


def _weights(system: System) -> np.ndarray:
    """Returns (species + 2, n): what each particle counts in each of the densities."""
    names = np.repeat([s.name for s in system.species], system.counts)
    spin = 1.0 * (names == "up") - 1.0 * (names == "down")
    own = [1.0 * (names == s.name) for s in system.species]
    return np.array([*own, system.particle_charges, spin])


def _centres(system: System):
    """Returns (A, 3) nuclei; the origin of an open cell without them."""
    if len(system.symbols) or system.cell.periodic:
        return system.positions.astype(jnp.float64)
    return jnp.zeros((1, 3))


def _box(system: System):
    """Returns corner and rows of what the grid divides, bohr."""
    if system.cell.periodic:
        return jnp.zeros(3), system.cell.lattice.astype(jnp.float64)
    points = _centres(system)
    low, high = points.min(axis=0) - MARGIN_BOHR, points.max(axis=0) + MARGIN_BOHR
    return low, jnp.diag(high - low)


def _reach(system: System):
    """Returns the largest radius of spherical averages, bohr: inside the cell."""
    if not system.cell.periodic:
        return RADIUS_BOHR
    heights = 1 / jnp.linalg.norm(jnp.linalg.inv(system.cell.lattice), axis=0)
    return jnp.minimum(RADIUS_BOHR, 0.5 * heights.min())

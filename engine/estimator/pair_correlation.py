"""Pair correlation functions, per pair of species.

    g_ab(r) = V / (N_a N_b) < sum_{i in a, j in b, j != i} delta(r - |r_i - r_j|) > / (4 pi r^2)

of a periodic cell, in bins up to half the shortest lattice vector. Far apart it approaches 1, or
(N - 1)/N for a species with itself. In an open cell there is no volume: the distribution

    h_ab(r) = < sum_pairs delta(r - |r_i - r_j|) > / (4 pi r^2)

counts each pair once, and its integral over space is their number.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.io.observables import Observable
from engine.system.images import reduced_basis
from engine.system.system import System
from engine.types import Estimator, Wavefunction

RADIUS_BOHR = 10.0
"""Largest distance in an open cell."""
NEIGHBOURS = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator. Bins of a periodic cell scale with it."""
    del wavefunction
    kinds = [
        (a, b)
        for a, b in itertools.combinations_with_replacement(range(len(system.species)), 2)
        if a != b or system.counts[a] > 1
    ]
    i, j = np.triu_indices(system.n_particles, 1)
    species = np.repeat(np.arange(len(system.counts)), system.counts)
    members = np.array([(species[i] == a) & (species[j] == b) for a, b in kinds], float)
    members = members.reshape(len(kinds), len(i))  # of a single particle there are none

    periodic = system.cell.periodic
    # nearest images are among the neighbours of a cell with short edges
    basis = reduced_basis(np.asarray(system.cell.lattice, float)) if periodic else None

    def measure(params, walker, system, reference, key):
        width = _radius(system, basis) / options.bins
        distance = _distances(walker[i] - walker[j], system, basis)
        place = jnp.floor(distance / width).astype(int)
        inside = (place[:, None] == jnp.arange(options.bins)).astype(jnp.float64)
        return {"pairs": members @ inside}

    def describe(state, system):
        edges = np.linspace(0, float(_radius(system, basis)), options.bins + 1)
        scale = 3 / (4 * np.pi * np.diff(edges**3))
        name, unit = ("pair_distribution", "1/bohr^3")
        if system.cell.periodic:
            ideal = np.array([_ordered(system.counts, a, b) for a, b in kinds])
            scale = float(system.cell.volume) / ideal[:, None] * scale
            name, unit = "pair_correlation", ""
        names = tuple(f"{system.species[a].name}-{system.species[b].name}" for a, b in kinds)
        axes = {"radius": ((edges[1:] + edges[:-1]) / 2, "bohr")}
        pairs = state["pairs"]
        value, error = blocks.mean(pairs) * scale, blocks.error(pairs) * scale
        return {name: Observable(value, error, unit, axes, names)}

    return averaged(measure, {"pairs": (len(kinds), options.bins)}, describe)


def _ordered(counts: tuple[int, ...], a: int, b: int) -> float:
    """Returns N_a N_b, halved for a species with itself, of which each pair is seen once."""
    return counts[a] * counts[b] / (2 if a == b else 1)


def _distances(d, system: System, basis: np.ndarray | None):
    """Returns the lengths (p,) of displacements (p, 3) between nearest images, bohr."""
    if not system.cell.periodic:
        return jnp.linalg.norm(d.astype(jnp.float64), axis=-1)
    lattice = basis @ system.cell.lattice
    frac = jnp.linalg.solve(lattice.T, d.T.astype(jnp.float64)).T
    images = (frac - jnp.round(frac))[:, None] @ lattice + NEIGHBOURS @ lattice
    return jnp.sqrt(jnp.min(jnp.sum(images**2, axis=-1), axis=1))


def _radius(system: System, basis: np.ndarray | None):
    """Returns half the shortest lattice vector, bohr: the largest sphere without overlap."""
    if not system.cell.periodic:
        return RADIUS_BOHR
    others = NEIGHBOURS[np.any(NEIGHBOURS, axis=1)] @ basis @ system.cell.lattice
    return 0.5 * jnp.sqrt(jnp.min(jnp.sum(others**2, axis=-1)))

"""Sizes of block coefficients in a training set: what the network sees has variance one."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.learned.graph import Blocks, Graph
from engine.learned.orbitals import OrbitalBasis

SMALLEST = 1e-3
"""Least scale, in units of the largest of its kind: what hardly varies is not blown up."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Scale:
    """Mean and spread of coefficients; e elements, c coefficients.

    Only scalars have a mean, and all components of a path share their spread, so that scaling
    commutes with rotations. Zero spread marks orbitals an element does not have, and elements and
    pairs of them that the training set does not have: of those nothing is predicted.

    Attributes:
        atom_mean: (e, c).
        atom_spread: (e, c).
        pair_mean: (e, e, c).
        pair_spread: (e, e, c).
    """

    atom_mean: Array
    atom_spread: Array
    pair_mean: Array
    pair_spread: Array

    def of(self, graph: Graph) -> tuple[Blocks, Blocks]:
        """Returns (mean, spread) of each block."""
        row, column = graph.species[graph.rows], graph.species[graph.columns]
        return (
            Blocks(self.atom_mean[graph.species], self.pair_mean[row, column]),
            Blocks(self.atom_spread[graph.species], self.pair_spread[row, column]),
        )

    def apply(self, graph: Graph, blocks: Blocks) -> Blocks:
        """Returns scaled blocks."""
        mean, spread = self.of(graph)

        def one(x: Array, m: Array, s: Array) -> Array:
            return jnp.where(s > 0, (x - m) / jnp.where(s > 0, s, 1.0), 0.0)

        return Blocks(*map(one, blocks, mean, spread))

    def undo(self, graph: Graph, blocks: Blocks) -> Blocks:
        """Returns blocks in hartree; exactly zero where the spread is."""
        mean, spread = self.of(graph)
        return Blocks(*(x * s + m for x, m, s in zip(blocks, mean, spread, strict=True)))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Scales:
    """Scales of input and output, and the size of the whole correction.

    Attributes:
        guess: Of the blocks of H0.
        correction: Of the blocks of H - H0.
        unit_ha: Root mean square element of H - H0, hartree: the unit of the loss.
    """

    guess: Scale
    correction: Scale
    unit_ha: Array


def fit_scale(basis: OrbitalBasis, sets: list[tuple[Graph, Blocks]]) -> Scale:
    """Returns the scale of blocks of several molecules or crystals.

    Args:
        basis: Of the model.
        sets: Per molecule its graph and blocks, both with a leading axis of geometries.
    """
    e, path = len(basis.shells), basis.path_of_coefficient()
    scalar = path < basis.paths()[0, 0]
    atoms = {(z,): [] for z in range(e)}
    pairs = {(y, z): [] for y in range(e) for z in range(e)}
    for graph, blocks in sets:
        species, rows, columns = (
            np.asarray(x[0]) for x in (graph.species, graph.rows, graph.columns)
        )
        for a, z in enumerate(species):
            atoms[(int(z),)].append(blocks.atoms[:, a])
        for p, yz in enumerate(zip(species[rows], species[columns], strict=True)):
            inside = np.asarray(graph.window[:, p]) > 0
            pairs[tuple(map(int, yz))].append(blocks.pairs[inside, p])
    own = basis.path_mask()
    parts = []
    for found, shape in ((atoms, (e,)), (pairs, (e, e))):
        mean, spread = np.zeros((*shape, len(path))), np.zeros((*shape, len(path)))
        for where, values in found.items():
            has = own[where * 2 if len(where) == 1 else where][path]
            if sum(map(len, values)):
                mean[where], spread[where] = _moments(np.concatenate(values), path, scalar, has)
        parts += [mean, spread]
    return Scale(*(jnp.asarray(x) for x in parts))


def _moments(x: np.ndarray, path: np.ndarray, scalar: np.ndarray, has: np.ndarray):
    """Returns (mean of scalars, spread per path) of samples (n, c)."""
    mean = np.where(scalar & has, x.mean(axis=0), 0.0)
    square = np.mean((x - mean) ** 2, axis=0)
    count = np.bincount(path)
    spread = np.sqrt(np.bincount(path, square) / count)[path]
    return mean, np.where(has, np.maximum(spread, SMALLEST * max(spread.max(), 1e-12)), 0.0)

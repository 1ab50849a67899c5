"""Atoms as the network sees them: ordered pairs of them, and blocks of matrices.

Pairs of a crystal include lattice images: see `crystal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.learned.orbitals import OrbitalBasis


class Graph(NamedTuple):
    """A atoms and E ordered pairs (i, j), i the row of the block.

    Attributes:
        species: (A,) places of the elements in the basis.
        rows: (E,) i.
        columns: (E,) j.
        reverse: (E,) the number of the pair (j, i).
        vectors: (E, 3) r_j - r_i, in a crystal r_j + R - r_i, bohr.
        window: (E,) factor of predicted blocks: 1 in a molecule, 0 beyond the cutoff of a crystal.
    """

    species: Array
    rows: Array
    columns: Array
    reverse: Array
    vectors: Array
    window: Array


class Blocks(NamedTuple):
    """Coefficients of the blocks of a matrix (see `orbitals`), or numbers alike.

    Attributes:
        atoms: (A, coefficients) diagonal blocks.
        pairs: (E, coefficients) the others.
    """

    atoms: Array
    pairs: Array


def molecule_graph(basis: OrbitalBasis, symbols: Sequence[str], positions: np.ndarray) -> Graph:
    """Returns all pairs of a molecule, or of many geometries of it.

    Args:
        basis: Of the model.
        symbols: (A,) of the atoms.
        positions: (..., A, 3) bohr.
    """
    count = len(symbols)
    rows, columns = np.nonzero(~np.eye(count, dtype=bool))
    number = np.full((count, count), -1)
    number[rows, columns] = np.arange(len(rows))
    vectors = positions[..., columns, :] - positions[..., rows, :]
    lead = positions.shape[:-2]

    def each(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, (*lead, len(values)))

    return Graph(
        each(basis.species(symbols)),
        each(rows),
        each(columns),
        each(number[columns, rows]),
        vectors,
        each(np.ones(len(rows))),
    )


def to_blocks(basis: OrbitalBasis, symbols: Sequence[str], matrices: np.ndarray) -> Blocks:
    """Returns the blocks of matrices (..., n, n) in PySCF's order, pairs as in the graph."""
    blocks = padded_blocks(basis, symbols, matrices)
    rows, columns = np.nonzero(~np.eye(len(symbols), dtype=bool))
    own = np.arange(len(symbols))
    return Blocks(blocks[..., own, own, :], blocks[..., rows, columns, :])


def padded_blocks(basis: OrbitalBasis, symbols: Sequence[str], matrices: np.ndarray) -> np.ndarray:
    """Returns (..., A, A, coefficients) from matrices (..., n, n) in PySCF's order."""
    padded = _padded(basis, symbols, matrices)
    flat = basis.coupling().reshape(-1, basis.width**2).T
    lead, count = padded.shape[:-4], len(symbols)
    return np.moveaxis(padded, -2, -3).reshape(*lead, count, count, -1) @ flat


def _padded(basis: OrbitalBasis, symbols: Sequence[str], matrices: np.ndarray) -> np.ndarray:
    """Returns (..., A, width, A, width), zero where an element has no such orbital."""
    atoms, places = basis.places(symbols)
    shape = (*matrices.shape[:-2], len(symbols), basis.width, len(symbols), basis.width)
    padded = np.zeros(shape)
    padded[..., atoms[:, None], places[:, None], atoms, places] = matrices
    return padded


def padded_vectors(basis: OrbitalBasis, symbols: Sequence[str], columns: np.ndarray) -> np.ndarray:
    """Returns (..., A width, m) columns over padded orbitals from (..., n, m) in PySCF's order."""
    atoms, places = basis.places(symbols)
    shape = (*columns.shape[:-2], len(symbols) * basis.width, columns.shape[-1])
    padded = np.zeros(shape, columns.dtype)
    padded[..., atoms * basis.width + places, :] = columns
    return padded


def padded_matrices(basis: OrbitalBasis, graph: Graph, blocks: Blocks, phases: Array) -> Array:
    """Returns (K, A width, A width) sums of blocks with phases, over padded orbitals.

    Args:
        basis: Of the model.
        graph: One molecule or crystal.
        blocks: Of a real matrix.
        phases: (K, E) factors of the pairs: exp(i k.R) in a crystal, ones in a molecule.
    """
    count, width = len(graph.species), basis.width
    flat = jnp.asarray(basis.coupling().reshape(-1, width**2), blocks.atoms.dtype)
    whole = jnp.zeros((len(phases), count, count, width, width), phases.dtype)
    own = jnp.arange(count)
    whole = whole.at[:, own, own].set((blocks.atoms @ flat).reshape(-1, width, width))
    pairs = (blocks.pairs @ flat).reshape(-1, width, width)
    whole = whole.at[:, graph.rows, graph.columns].add(phases[:, :, None, None] * pairs)
    return jnp.swapaxes(whole, 2, 3).reshape(len(phases), count * width, count * width)


def padded_matrix(basis: OrbitalBasis, graph: Graph, blocks: Blocks) -> Array:
    """Returns the (A width, A width) matrix of one molecule's blocks, over padded orbitals."""
    ones = jnp.ones((1, len(graph.rows)), blocks.atoms.dtype)
    return padded_matrices(basis, graph, blocks, ones)[0]


def to_matrix(basis: OrbitalBasis, symbols: Sequence[str], padded: np.ndarray) -> np.ndarray:
    """Returns the (..., n, n) matrix in PySCF's order from padded orbitals."""
    atoms, places = basis.places(symbols)
    index = atoms * basis.width + places
    return np.asarray(padded)[..., index[:, None], index]


def symmetrised(basis: OrbitalBasis, graph: Graph, blocks: Blocks) -> Blocks:
    """Returns the blocks of (M + M^T) / 2; in a crystal of (H(R) + H(-R)^T) / 2."""
    order, sign = basis.transposition()
    sign = jnp.asarray(sign, blocks.atoms.dtype)

    def transposed(x: Array) -> Array:
        return x[:, order] * sign

    pairs = blocks.pairs + transposed(blocks.pairs[graph.reverse])
    return Blocks((blocks.atoms + transposed(blocks.atoms)) / 2, pairs / 2)

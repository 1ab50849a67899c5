"""A crystal as the network sees it: pairs with lattice images, and blocks of H(R)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.errors import ConfigError
from engine.learned import lattice as lattices
from engine.learned.graph import Blocks, Graph, padded_blocks
from engine.learned.layers import envelope
from engine.learned.loss import Samples, frames_of
from engine.learned.model import Model, cast, correction
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scales

INNER = 0.6
"""Blocks of pairs closer than this part of the cutoff are predicted in full."""


class Pairs(NamedTuple):
    """E pairs (i in the home cell, j in cell R).

    Attributes:
        rows: (E,) i.
        columns: (E,) j.
        cells: (E, 3) R, integers.
    """

    rows: np.ndarray
    columns: np.ndarray
    cells: np.ndarray


def window(distance: np.ndarray, cutoff: float) -> np.ndarray:
    """Returns 1 within `INNER` cutoffs, 0 from the cutoff on, smooth between."""
    return envelope(np.maximum(distance - INNER * cutoff, 0.0), (1 - INNER) * cutoff)


def crystal_graph(
    basis: OrbitalBasis,
    symbols: Sequence[str],
    lattice: np.ndarray,
    positions: np.ndarray,
    pairs: Pairs,
    cutoff: float,
) -> Graph:
    """Returns the pairs of a crystal, or of many geometries of it.

    Args:
        basis: Of the model.
        symbols: (A,) of the atoms in the cell.
        lattice: (..., 3, 3) rows, bohr.
        positions: (..., A, 3) bohr.
        pairs: From `lattice.pairs`, of all the geometries together.
        cutoff: Reach of the blocks, bohr.
    """
    vectors = positions[..., pairs.columns, :] - positions[..., pairs.rows, :]
    vectors = vectors + pairs.cells @ lattice
    lead = positions.shape[:-2]

    def each(values: np.ndarray) -> np.ndarray:
        return np.broadcast_to(values, (*lead, len(values)))

    return Graph(
        each(basis.species(symbols)),
        each(pairs.rows),
        each(pairs.columns),
        each(lattices.opposite(*pairs)),
        vectors,
        np.asarray(window(np.linalg.norm(vectors, axis=-1), cutoff)),
    )


def crystal_blocks(
    basis: OrbitalBasis,
    symbols: Sequence[str],
    matrices: np.ndarray,
    mesh: np.ndarray,
    pairs: Pairs,
    inside: np.ndarray,
) -> Blocks:
    """Returns the blocks of H(R), pairs as in the graph.

    Args:
        basis: Of the model.
        symbols: (A,) of the atoms in the cell.
        matrices: (..., K, n, n) real H(R) in PySCF's order, one per class of `translations(mesh)`.
        mesh: (3,) points of the mesh.
        pairs: E of them.
        inside: (..., E) whether a pair is closer than the cutoff; blocks of others are zero.
    """
    padded = padded_blocks(basis, symbols, matrices)  # (..., K, A, A, coefficients)
    own = np.arange(len(symbols))
    number = np.ravel_multi_index(tuple((pairs.cells % mesh).T), tuple(mesh))
    chosen = padded[..., number, pairs.rows, pairs.columns, :]
    return Blocks(padded[..., 0, own, own, :], np.where(inside[..., None], chosen, 0.0))


def check_reach(lattice: np.ndarray, mesh: np.ndarray, cutoff: float, where: str) -> None:
    """Refuses a cutoff at which a mesh no longer tells the images of a pair apart."""
    most = lattices.reach(lattice, mesh)
    if cutoff > most:
        raise ConfigError(
            f"blocks of H(R) up to {cutoff:g} bohr from a mesh of {tuple(map(int, mesh))} k-points",
            where=where,
            expected=f"at most {most:.2f} bohr: half of the supercell of the mesh",
            remedy="raise labels.kmesh (or mean_field.vacuum_bohr), or lower model.cutoff_bohr",
        )


def pairs_of(lattice: np.ndarray, positions: np.ndarray, cutoff: float) -> Pairs:
    """Returns the pairs of one geometry, or those of any of several."""
    return Pairs(*lattices.pairs(lattice, positions, cutoff))


def real_blocks(
    matrices: np.ndarray, kpoints: np.ndarray, mesh: np.ndarray, lattice: np.ndarray
) -> np.ndarray:
    """Returns (K, n, n) H(R), one per class, from H(k) on a mesh with time reversal: it is real."""
    cells = lattices.translations(mesh)
    return lattices.to_translations(matrices, kpoints, cells @ lattice).real


def make_crystal_samples(
    model: Model,
    symbols: Sequence[str],
    lattice: np.ndarray,
    positions: np.ndarray,
    kpoints: np.ndarray,
    mesh: np.ndarray,
    fock: np.ndarray,
    overlap: np.ndarray,
    guess: np.ndarray,
    occupied: np.ndarray,
) -> Samples:
    """Returns the samples of labelled crystals; G geometries, K k-points, n orbitals.

    Args:
        model: Of which basis and cutoff are.
        symbols: (A,) of the atoms in the cell.
        lattice: (G, 3, 3) rows, bohr.
        positions: (G, A, 3) bohr.
        kpoints: (G, K, 3) 1/bohr.
        mesh: (3,) points of the mesh.
        fock: (G, K, n, n) hartree.
        overlap: (G, K, n, n).
        guess: (G, K, n, n) hartree.
        occupied: (G, K) doubly occupied orbitals.
    """
    cutoff, basis = model.options.cutoff_bohr, model.basis
    pairs = pairs_of(lattice, positions, cutoff)
    graph = crystal_graph(basis, symbols, lattice, positions, pairs, cutoff)
    inside = np.linalg.norm(graph.vectors, axis=-1) < cutoff

    def blocks(matrices: np.ndarray) -> Blocks:
        found = [
            real_blocks(m, k, mesh, a) for m, k, a in zip(matrices, kpoints, lattice, strict=True)
        ]
        return crystal_blocks(basis, symbols, np.stack(found), mesh, pairs, inside)

    half = one_of_two(kpoints[0], lattice[0])
    orbitals, whitening = frames_of(model, symbols, fock[:, half], overlap[:, half])
    factors = [
        lattices.phases(k[half], pairs.cells @ a) for k, a in zip(kpoints, lattice, strict=True)
    ]
    return Samples(
        graph=graph,
        guess=blocks(guess),
        correction=blocks(fock - guess),
        phases=np.stack(factors).astype(np.complex64),
        orbitals=orbitals,
        whitening=whitening,
        occupied=occupied[:, half],
    )


def one_of_two(kpoints: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Returns the numbers of k-points without their opposites."""
    frac = kpoints @ lattice.T / (2 * np.pi)
    kept: list[int] = []
    for number, k in enumerate(frac):
        total = frac[kept] + k
        if not np.any(np.all(np.abs(total - np.round(total)) < 1e-6, axis=-1)):
            kept.append(number)
    return np.array(kept, int)


@functools.lru_cache(maxsize=8)
def make_predict_crystal(model: Model):
    """Builds (params, scales, symbols, lattice, positions, mesh, H0(R), key) -> dH(R), R.

    H0(R) is (K, n, n) real, one per class of the mesh; dH(R) (M, n, n) with R (M, 3) integers, all
    real, float64, zero beyond the cutoff.
    """

    @jax.jit
    def predicted(params: Any, scales: Scales, graph: Graph, guess: Blocks, key: Array) -> Blocks:
        return cast(correction(model, params, scales, graph, guess, key), jnp.float64)

    def predict(
        params: Any,
        scales: Scales,
        symbols: Sequence[str],
        lattice: np.ndarray,
        positions: np.ndarray,
        mesh: np.ndarray,
        guess: np.ndarray,
        key: Array,
    ) -> tuple[np.ndarray, np.ndarray]:
        cutoff = model.options.cutoff_bohr
        pairs = pairs_of(lattice, positions, cutoff)
        graph = crystal_graph(model.basis, symbols, lattice, positions, pairs, cutoff)
        inside = np.linalg.norm(graph.vectors, axis=-1) < cutoff
        blocks = crystal_blocks(model.basis, symbols, guess, mesh, pairs, inside)
        return to_cells(model.basis, symbols, pairs, predicted(params, scales, graph, blocks, key))

    return predict


def to_cells(
    basis: OrbitalBasis, symbols: Sequence[str], pairs: Pairs, blocks: Blocks
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (M, n, n) matrices in PySCF's order and their (M, 3) translations from blocks."""
    cells, number = np.unique(
        np.concatenate([np.zeros((1, 3), int), pairs.cells]), axis=0, return_inverse=True
    )
    home, number = int(number.ravel()[0]), number.ravel()[1:]
    count, width = len(symbols), basis.width
    flat = basis.coupling().reshape(-1, width**2)
    whole = np.zeros((len(cells), count, count, width, width))
    own = np.arange(count)
    whole[home, own, own] = (np.asarray(blocks.atoms) @ flat).reshape(-1, width, width)
    whole[number, pairs.rows, pairs.columns] = (np.asarray(blocks.pairs) @ flat).reshape(
        -1, width, width
    )
    atoms, places = basis.places(symbols)
    return whole[:, atoms[:, None], atoms, places[:, None], places], cells

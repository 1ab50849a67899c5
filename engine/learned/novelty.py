"""How far a geometry is from those a model was trained on, from its initial guess alone."""

from __future__ import annotations

import numpy as np

from engine.learned.graph import Blocks, Graph
from engine.learned.scales import Scales


def novelty(scales: Scales, graph: Graph, guess: Blocks) -> float:
    """Returns the largest root mean square of scaled coefficients over the blocks of H0.

    One is what a block of the training set has on average; rotations do not change it. Divided by
    its largest value in the training set it says whether a model extrapolates. Infinite where the
    training set does not have an element or a pair (see `unseen`).

    Args:
        scales: Of the model.
        graph: One molecule.
        guess: Blocks of H0, hartree.
    """
    if unseen(scales, graph):
        return float("inf")
    scaled = scales.guess.apply(graph, guess)
    _, spread = scales.guess.of(graph)
    sizes = [
        np.sqrt(np.sum(np.square(x), -1) / np.maximum(np.sum(np.asarray(s) > 0, -1), 1))
        for x, s in zip(scaled, spread, strict=True)
    ]
    return float(max(s.max() for s in sizes if s.size))


def unseen(scales: Scales, graph: Graph) -> list[tuple[int, ...]]:
    """Returns what a graph has and the training set did not have.

    Args:
        scales: Of the model.
        graph: One molecule or crystal; pairs whose window is closed do not count.

    Returns:
        Places in the basis of elements (z,) and of pairs of elements (y, z), y <= z, sorted.
    """
    inside = np.asarray(graph.window) > 0
    species, rows, columns = (np.asarray(x) for x in (graph.species, graph.rows, graph.columns))
    ends = np.sort(species[np.stack([rows[inside], columns[inside]], axis=-1)], axis=-1)
    known = [
        np.any(np.asarray(spread) > 0, axis=-1)
        for spread in (scales.guess.atom_spread, scales.guess.pair_spread)
    ]
    found = {(int(z),) for z in species} | {tuple(map(int, pair)) for pair in ends}
    return sorted(where for where in found if not known[len(where) - 1][where])

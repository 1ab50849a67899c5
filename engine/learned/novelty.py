"""How far a geometry is from those a model was trained on: its distances, and its initial guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from engine.learned.graph import Blocks, Graph
from engine.learned.scales import Scales

SLACK_BOHR = 0.2
"""Added to the range of a distance that is hardly varied in the training set."""

Ranges = Mapping[str, Sequence[Sequence[float]]]
"""Pair of elements "O-H" -> (least, largest) distance, bohr, of an O's first H, second H, ..."""


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


def neighbours(elements: Sequence[str], graph: Graph) -> dict[str, list[np.ndarray]]:
    """Returns, per pair of elements "O-H", the sorted distances of every O to its H, bohr.

    Args:
        elements: Of the basis of the model.
        graph: One molecule or crystal; pairs whose window is closed do not count.
    """
    species, rows, columns = (np.asarray(x) for x in (graph.species, graph.rows, graph.columns))
    distance = np.linalg.norm(np.asarray(graph.vectors), axis=-1)
    inside = np.asarray(graph.window) > 0
    found: dict[str, list[np.ndarray]] = {}
    for atom, own in enumerate(species):
        for z, other in enumerate(elements):
            of_both = inside & (rows == atom) & (species[columns] == z)
            if of_both.any():
                name = f"{elements[own]}-{other}"
                found.setdefault(name, []).append(np.sort(distance[of_both]))
    return found


def ranges(elements: Sequence[str], graphs: Iterable[Graph]) -> dict[str, list[list[float]]]:
    """Returns the ranges of the distances of a training set."""
    spans: dict[str, list[list[float]]] = {}
    for graph in graphs:
        for name, atoms in neighbours(elements, graph).items():
            known = spans.setdefault(name, [])
            for k, d in (pair for row in atoms for pair in enumerate(map(float, row))):
                if k == len(known):
                    known.append([d, d])
                known[k] = [min(known[k][0], d), max(known[k][1], d)]
    return spans


def beyond(known: Ranges, elements: Sequence[str], graph: Graph) -> float:
    """Returns how far distances are outside their ranges: 1 + the excess over a range's width.

    Zero where none is outside. More neighbours than any atom of the training set has are
    compared with the last of those. Models without ranges know nothing, and say zero.
    """
    largest = 0.0
    for name, atoms in neighbours(elements, graph).items():
        spans = known.get(name, ())
        for k, d in (pair for row in atoms for pair in enumerate(map(float, row)) if spans):
            low, high = spans[min(k, len(spans) - 1)]
            excess = max(low - d, d - high if k < len(spans) else 0.0)
            if excess > 0:
                largest = max(largest, 1 + excess / (high - low + SLACK_BOHR))
    return largest

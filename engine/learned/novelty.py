"""How far a geometry is from those a model was trained on, from its initial guess alone."""

from __future__ import annotations

import numpy as np

from engine.learned.graph import Blocks, Graph
from engine.learned.scales import Scales


def novelty(scales: Scales, graph: Graph, guess: Blocks) -> float:
    """Returns the largest root mean square of scaled coefficients over the blocks of H0.

    One is what a block of the training set has on average; rotations do not change it. Divided by
    its largest value in the training set it says whether a model extrapolates.

    Args:
        scales: Of the model.
        graph: One molecule.
        guess: Blocks of H0, hartree.
    """
    scaled = scales.guess.apply(graph, guess)
    _, spread = scales.guess.of(graph)
    sizes = [
        np.sqrt(np.sum(np.square(x), -1) / np.maximum(np.sum(np.asarray(s) > 0, -1), 1))
        for x, s in zip(scaled, spread, strict=True)
    ]
    return float(max(s.max() for s in sizes if s.size))

"""Conditional flow matching on scaled blocks: priors, paths and Euler integration.

X_t = (1 - t) X_0 + t X_1 between noise and the correction; the network returns the end point
X_1, and the velocity is (X_1 - X_t) / (1 - t). Source: Y. Lipman et al., ICLR 2023; S. Kim et
al., arXiv:2505.18817.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config.learned import FlowConfig
from engine.learned.graph import Blocks, Graph, symmetrised
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scale

LATEST = 0.99
"""Largest time of training: at t = 1 the draft is the answer."""

Prior = Callable[[Array, Graph, Any], Blocks]


def make_prior(basis: OrbitalBasis, options: FlowConfig, scale: Scale) -> Prior:
    """Builds (key, graph, dtype) -> scaled noise whose law is invariant under rotations.

    Args:
        basis: Of the model.
        options: The section `flow`.
        scale: Of the correction: `goe` is one width in hartree for all elements.
    """
    draw = {"goe": _goe, "tensor": _tensor, "path": _path}[options.prior]

    def prior(key: Array, graph: Graph, dtype: Any) -> Blocks:
        noise = draw(basis, scale, key, graph)
        return Blocks(noise.atoms.astype(dtype), noise.pairs.astype(dtype))

    return prior


def _normal(key: Array, graph: Graph, width: int) -> Blocks:
    atoms, pairs = jax.random.split(key)
    return Blocks(
        jax.random.normal(atoms, (len(graph.species), width)),
        jax.random.normal(pairs, (len(graph.rows), width)),
    )


def _path(basis: OrbitalBasis, scale: Scale, key: Array, graph: Graph) -> Blocks:
    """Unit variance per path: in hartree, the spread of the training set."""
    noise = symmetrised(basis, graph, _normal(key, graph, len(basis.coupling())))
    _, spread = scale.of(graph)
    return Blocks(*(np.sqrt(2.0) * x * (s > 0) for x, s in zip(noise, spread, strict=True)))


def _goe(basis: OrbitalBasis, scale: Scale, key: Array, graph: Graph) -> Blocks:
    """A symmetric matrix of independent elements with the root mean square spread."""
    _, spread = scale.of(graph)
    width = jnp.sqrt(jnp.sum(spread.pairs**2) / jnp.maximum(jnp.sum(spread.pairs > 0), 1))
    noise = _path(basis, scale, key, graph)
    return Blocks(
        *(width * x / jnp.where(s > 0, s, 1.0) for x, s in zip(noise, spread, strict=True))
    )


def _tensor(basis: OrbitalBasis, scale: Scale, key: Array, graph: Graph) -> Blocks:
    """Irreps shared by all paths of an atom or a pair: noise of few numbers per block."""
    paths = basis.paths()
    index, start = [], 0
    for (l, _), count in paths.items():
        index += [*range(start, start + 2 * l + 1)] * count
        start += 2 * l + 1
    drawn = _normal(key, graph, start)
    noise = Blocks(drawn.atoms[:, np.array(index)], drawn.pairs[:, np.array(index)])
    noise = symmetrised(basis, graph, noise)
    _, spread = scale.of(graph)
    return Blocks(*(np.sqrt(2.0) * x * (s > 0) for x, s in zip(noise, spread, strict=True)))


def between(noise: Blocks, target: Blocks, time: Array) -> Blocks:
    """Returns X_t."""
    return Blocks(*((1 - time) * a + time * b for a, b in zip(noise, target, strict=True)))


def training_time(key: Array, options: FlowConfig, dtype: Any) -> Array:
    """Returns t, uniform between the start of the integration and almost 1."""
    return jax.random.uniform(key, (), dtype, options.start, LATEST)


def integrate(
    expected: Callable[[Blocks, Array], Blocks],
    prior: Prior,
    graph: Graph,
    key: Array,
    options: FlowConfig,
    dtype: Any,
) -> Blocks:
    """Returns the average end of Euler integrations from different noise.

    Args:
        expected: (X_t, t) -> X_1, the network.
        prior: Noise.
        graph: One molecule.
        key: Of the noise.
        options: The section `flow`.
        dtype: Of the network.
    """
    times = np.linspace(options.start, 1.0, options.steps + 1)

    def sample(key: Array) -> Blocks:
        draft = prior(key, graph, dtype)
        for now, then in zip(times[:-1], times[1:], strict=True):
            end = expected(draft, jnp.asarray(now, dtype))
            share = jnp.asarray((then - now) / (1 - now), dtype)  # one in the last step
            draft = between(draft, end, share)
        return draft

    drawn = jax.lax.map(sample, jax.random.split(key, options.samples))
    return jax.tree.map(lambda x: x.mean(axis=0), drawn)

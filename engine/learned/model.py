"""A trained Hamiltonian: network, scales of what enters and leaves it, and how it predicts."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config.learned import FlowConfig, LearnedModelConfig
from engine.learned import flow
from engine.learned.graph import (
    Blocks,
    Graph,
    molecule_graph,
    padded_matrix,
    to_blocks,
    to_matrix,
)
from engine.learned.network import HamiltonianNetwork
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scale, Scales

ASSEMBLY = 0.3
"""First size of the weights that assemble blocks: predictions start small."""


class Model(NamedTuple):
    """What predicts a matrix.

    Attributes:
        basis: Orbitals of the elements.
        network: The network.
        options: The section `model`.
        flow: The section `flow`.
    """

    basis: OrbitalBasis
    network: HamiltonianNetwork
    options: LearnedModelConfig
    flow: FlowConfig


def make_model(basis: OrbitalBasis, options: LearnedModelConfig, flow: FlowConfig) -> Model:
    """Builds a model of the elements and shells of `basis`."""
    return Model(basis, HamiltonianNetwork(basis, options), options, flow)


def shapes(model: Model) -> Any:
    """Returns what the parameters are: nested mappings of jax.ShapeDtypeStruct."""
    symbols = model.basis.elements[:1] * 2
    graph = molecule_graph(model.basis, symbols, np.array([[0.0, 0, 0], [0.3, 0.5, 2.0]]))
    size = len(model.basis.coupling())
    zero = Blocks(jnp.zeros((2, size), jnp.float32), jnp.zeros((2, size), jnp.float32))
    inputs = [zero] * n_inputs(model)
    arguments = (jax.random.key(0), graph, inputs, jnp.float32(0))
    return jax.eval_shape(model.network.init, *arguments)["params"]


def init(model: Model, key: Array) -> Any:
    """Returns fresh parameters, float32."""
    seed = np.asarray(jax.random.key_data(key)).tolist()
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: _drawn(path, leaf, seed), shapes(model)
    )


def _drawn(path: tuple, leaf: jax.ShapeDtypeStruct, seed: list[int]) -> Array:
    """Returns first parameters by their name, drawn on the host: nothing is compiled for them."""
    names = [str(part.key) for part in path]
    if names[-1] in ("bias", "scale"):
        return jnp.asarray(np.full(leaf.shape, float(names[-1] == "scale"), np.float32))
    rng = np.random.default_rng([*seed, zlib.crc32("/".join(names).encode())])
    spread = 1.0 if names[-1] == "embedding" else leaf.shape[-2] ** -0.5
    if names[0].startswith("assemble") and names[-2].endswith("_1"):
        spread = spread * ASSEMBLY
    return jnp.asarray(spread * rng.normal(size=leaf.shape), jnp.float32)


def n_inputs(model: Model) -> int:
    """Returns how many matrices the network is given."""
    return int(model.options.guess_input) + int(model.flow.enabled)


def endpoint(
    model: Model, params: Any, graph: Graph, guess: Blocks, draft: Blocks | None, time: Array
) -> Blocks:
    """Returns the scaled correction that the network expects, at time t of a flow.

    Args:
        model: Of which the network is.
        params: Of the network.
        graph: One molecule.
        guess: Scaled blocks of the initial guess.
        draft: Scaled noisy blocks X_t; None in a regression.
        time: t; 0 in a regression.
    """
    inputs = ([guess] if model.options.guess_input else []) + ([draft] if draft else [])
    return model.network.apply({"params": params}, graph, inputs, time)


def correction(
    model: Model, params: Any, scales: Scales, graph: Graph, guess: Blocks, key: Array
) -> Blocks:
    """Returns the predicted blocks of H - H0, hartree.

    Args:
        model: Regression or flow.
        params: Of the network.
        scales: Of the training set.
        graph: One molecule.
        guess: Blocks of H0, hartree.
        key: Noise of a flow.
    """
    dtype = jax.tree.leaves(params)[0].dtype
    known = cast(scales.guess.apply(graph, guess), dtype)

    def expected(draft: Blocks | None, time: Array) -> Blocks:
        return endpoint(model, params, graph, known, draft, time)

    if model.flow.enabled:
        prior = flow.make_prior(model.basis, model.flow, scales.correction)
        found = flow.integrate(expected, prior, graph, key, model.flow, dtype)
    else:
        found = expected(None, jnp.zeros((), dtype))
    atoms, pairs = scales.correction.undo(graph, found)
    return Blocks(atoms, pairs * graph.window[:, None])


def cast(blocks: Blocks, dtype: Any) -> Blocks:
    """Returns the blocks in another floating-point type."""
    return Blocks(blocks.atoms.astype(dtype), blocks.pairs.astype(dtype))


@functools.lru_cache(maxsize=8)
def make_predict(model: Model):
    """Builds (params, scales, symbols, positions, H0, key) -> H for one molecule, float64.

    Programs are compiled once per number of atoms.
    """

    @jax.jit
    def padded(params, scales, graph, guess, key):
        blocks = correction(model, params, scales, graph, guess, key)
        return padded_matrix(model.basis, graph, cast(blocks, jnp.float64))

    def predict(
        params: Any,
        scales: Scales,
        symbols: Sequence[str],
        positions: np.ndarray,
        guess: np.ndarray,
        key: Array,
    ) -> np.ndarray:
        graph = molecule_graph(model.basis, symbols, positions)
        blocks = to_blocks(model.basis, symbols, guess)
        whole = padded(params, scales, graph, blocks, key)
        return guess + to_matrix(model.basis, symbols, np.asarray(whole))

    return predict


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """Everything a model file holds.

    Attributes:
        model: Network and options.
        params: Its parameters.
        scales: Of the training set.
        facts: Provenance: labels, mean field, errors of the validation.
    """

    model: Model
    params: Any
    scales: Scales
    facts: dict[str, Any]


__all__ = [
    "Model",
    "Scale",
    "Scales",
    "Trained",
    "correction",
    "endpoint",
    "init",
    "make_model",
    "make_predict",
]

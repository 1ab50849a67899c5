"""What training minimises: errors of matrix elements, as they are and between orbitals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config.learned import LearnConfig
from engine.learned import flow
from engine.learned.graph import (
    Blocks,
    Graph,
    molecule_graph,
    padded_matrix,
    padded_vectors,
    to_blocks,
)
from engine.learned.model import Model, cast, endpoint
from engine.learned.scales import Scales, fit_scale

VIRTUAL_WEIGHT = 0.1
"""Weight of the error between two virtual orbitals: neither energy nor density know it."""
FINE_TUNING = 10.0
"""How much more the orbital error counts in the last steps."""


class Samples(NamedTuple):
    """Labelled geometries of one molecule, ready for the network; first axis geometries.

    Attributes:
        graph: Pairs.
        guess: Blocks of H0, hartree.
        correction: Blocks of H - H0, hartree.
        orbitals: (G, A width, m) true orbitals over padded functions.
        whitening: (G, A width, n) S^-1/2 over padded functions.
        occupied: (G,) doubly occupied orbitals.
    """

    graph: Graph
    guess: Blocks
    correction: Blocks
    orbitals: Any
    whitening: Any
    occupied: Any


def make_samples(
    model: Model,
    symbols: Sequence[str],
    positions: np.ndarray,
    fock: np.ndarray,
    overlap: np.ndarray,
    guess: np.ndarray,
    occupied: int,
) -> Samples:
    """Returns the samples of labelled matrices (G, n, n) in PySCF's order."""
    values, vectors = np.linalg.eigh(overlap)
    root = vectors / np.sqrt(values)[:, None, :] @ np.swapaxes(vectors, 1, 2)
    _, rotated = np.linalg.eigh(root @ fock @ root)
    single = np.float32
    return Samples(
        graph=molecule_graph(model.basis, symbols, positions),
        guess=to_blocks(model.basis, symbols, guess),
        correction=to_blocks(model.basis, symbols, fock - guess),
        orbitals=padded_vectors(model.basis, symbols, root @ rotated).astype(single),
        whitening=padded_vectors(model.basis, symbols, root).astype(single),
        occupied=np.full(len(positions), occupied),
    )


def fit_scales(model: Model, sets: Sequence[Samples]) -> Scales:
    """Returns the scales of training samples of one or several molecules."""
    species = [np.asarray(s.graph.species[0]) for s in sets]
    guess = fit_scale(model.basis, list(zip(species, [s.guess for s in sets], strict=True)))
    found = [s.correction for s in sets]
    correction = fit_scale(model.basis, list(zip(species, found, strict=True)))
    square = sum(float(np.sum(np.square(x))) for b in found for x in b)
    count = sum(len(s.guess.atoms) * _elements(s) for s in sets)
    return Scales(guess, correction, jnp.asarray(np.sqrt(square / count)))


def _elements(samples: Samples) -> int:
    """Returns the number of matrix elements of one geometry."""
    return int(np.sum(np.any(np.asarray(samples.orbitals[0]) != 0, axis=1))) ** 2


def make_loss(model: Model, options: LearnConfig):
    """Builds (params, scales, samples, key, fine) -> (loss, errors) of a batch.

    The loss is the mean of |error| + error^2 in units of the correction's size, of elements,
    whitened elements and elements between orbitals. `errors`: per geometry, the mean absolute
    error of matrix elements, hartree.
    """

    def one(params, scales: Scales, sample: Samples, key: Array, fine: Array):
        error = predicted_error(model, params, scales, sample, key)
        parts = _errors(model, options, sample, error, scales.unit_ha)
        weights = {
            "element": options.element_weight,
            "whitened": options.whitened_weight,
            "orbital": options.orbital_weight * jnp.where(fine, FINE_TUNING, 1.0),
        }
        loss = sum(weights[name] * part for name, part in parts.items())
        elements = jnp.sum(jnp.any(sample.orbitals != 0, axis=1)) ** 2
        mae = sum(jnp.sum(jnp.abs(m)) for m in _elements_of(model, sample.graph, error))
        return loss, mae / elements

    def loss(params, scales, samples, key, fine):
        keys = jax.random.split(key, len(samples.occupied))
        values, mae = jax.vmap(one, (None, None, 0, 0, None))(params, scales, samples, keys, fine)
        return values.mean(), mae

    return loss


def predicted_error(
    model: Model, params: Any, scales: Scales, sample: Samples, key: Array
) -> Blocks:
    """Returns blocks of (predicted - true) H, hartree; for a flow at a random time."""
    dtype = jax.tree.leaves(params)[0].dtype
    graph = sample.graph
    known = cast(scales.guess.apply(graph, sample.guess), dtype)
    target = cast(scales.correction.apply(graph, sample.correction), dtype)
    draft, time = None, jnp.zeros((), dtype)
    if model.flow.enabled:
        noise_key, time_key = jax.random.split(key)
        prior = flow.make_prior(model.basis, model.flow, scales.correction)
        time = flow.training_time(time_key, model.flow, dtype)
        draft = flow.between(prior(noise_key, graph, dtype), target, time)
    found = endpoint(model, params, graph, known, draft, time)
    _, spread = scales.correction.of(graph)
    pieces = zip(found, target, spread, strict=True)
    return Blocks(*((a - b) * s.astype(dtype) for a, b, s in pieces))


def _elements_of(model: Model, graph: Graph, blocks: Blocks) -> tuple[Array, Array]:
    """Returns the matrix elements of the blocks, over padded orbitals."""
    del graph
    flat = model.basis.coupling().reshape(-1, model.basis.width**2)
    return tuple(x @ jnp.asarray(flat, x.dtype) for x in blocks)


def _errors(
    model: Model, options: LearnConfig, sample: Samples, error: Blocks, unit_ha: Array
) -> dict[str, Array]:
    """Returns the mean of |x| + x^2, x in units of the correction, of each kind of element."""
    dtype = error.atoms.dtype
    unit = unit_ha.astype(dtype)
    real = jnp.sum(jnp.any(sample.orbitals != 0, axis=1)) ** 2
    parts = _elements_of(model, sample.graph, error)
    found = {"element": sum(jnp.sum(_size(m / unit)) for m in parts) / real}
    if not options.orbital_weight and not options.whitened_weight:
        return found
    matrix = padded_matrix(model.basis, sample.graph, error) / unit
    if options.whitened_weight:
        white = sample.whitening.T @ matrix @ sample.whitening
        found["whitened"] = jnp.mean(_size(white))
    if options.orbital_weight:
        between = sample.orbitals.T @ matrix @ sample.orbitals
        empty = jnp.arange(len(between)) >= sample.occupied
        weight = jnp.where(empty[:, None] & empty, VIRTUAL_WEIGHT, 1.0).astype(dtype)
        found["orbital"] = jnp.sum(weight * _size(between)) / jnp.sum(weight)
    return found


def _size(x: Array) -> Array:
    return jnp.abs(x) + x * x

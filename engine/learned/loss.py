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
    padded_matrices,
    padded_vectors,
    to_blocks,
)
from engine.learned.model import Model, cast, correction, endpoint
from engine.learned.scales import Scales, fit_scale

VIRTUAL_WEIGHT = 0.1
"""Weight of the error between two virtual orbitals: neither energy nor density know it."""
FINE_TUNING = 10.0
"""How much more the orbital error counts in the last steps."""


class Samples(NamedTuple):
    """Labelled geometries of one molecule or crystal, ready for the network; first axis geometries.

    A molecule has one "k-point" and real matrices.

    Attributes:
        graph: Pairs.
        guess: Blocks of H0, hartree.
        correction: Blocks of H - H0, hartree.
        phases: (G, K, E) factors of the pairs at each k-point.
        orbitals: (G, K, A width, m) true orbitals over padded functions.
        whitening: (G, K, A width, n) S^-1/2 over padded functions.
        occupied: (G, K) doubly occupied orbitals.
    """

    graph: Graph
    guess: Blocks
    correction: Blocks
    phases: Any
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
    graph = molecule_graph(model.basis, symbols, positions)
    orbitals, whitening = frames_of(model, symbols, fock[:, None], overlap[:, None])
    return Samples(
        graph=graph,
        guess=to_blocks(model.basis, symbols, guess),
        correction=to_blocks(model.basis, symbols, fock - guess),
        phases=np.ones((len(positions), 1, graph.rows.shape[-1]), np.float32),
        orbitals=orbitals,
        whitening=whitening,
        occupied=np.full((len(positions), 1), occupied),
    )


def frames_of(
    model: Model, symbols: Sequence[str], fock: np.ndarray, overlap: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns orbitals and S^-1/2 (G, K, A width, n), single precision, of (G, K, n, n)."""
    values, vectors = np.linalg.eigh(overlap)
    root = vectors / np.sqrt(values)[..., None, :] @ np.conj(np.swapaxes(vectors, -1, -2))
    _, rotated = np.linalg.eigh(root @ fock @ root)
    single = np.complex64 if np.iscomplexobj(fock) else np.float32
    found = (padded_vectors(model.basis, symbols, x) for x in (root @ rotated, root))
    orbitals, whitening = (x.astype(single) for x in found)
    return orbitals, whitening


def fit_scales(model: Model, sets: Sequence[Samples]) -> Scales:
    """Returns the scales of training samples of one or several molecules or crystals."""
    guess = fit_scale(model.basis, [(s.graph, s.guess) for s in sets])
    correction = fit_scale(model.basis, [(s.graph, s.correction) for s in sets])
    square = sum(float(np.sum(np.square(x))) for s in sets for x in s.correction)
    count = sum(len(s.guess.atoms) * _elements(s) for s in sets)
    return Scales(guess, correction, jnp.asarray(np.sqrt(square / count)))


def _elements(samples: Samples) -> int:
    """Returns the number of elements of one matrix of one geometry."""
    return int(np.sum(np.any(np.asarray(samples.orbitals[0, 0]) != 0, axis=1))) ** 2


def make_loss(model: Model, options: LearnConfig, *, integrated: bool = False):
    """Builds (params, scales, samples, key, fine) -> (losses, errors) of G geometries, each (G,).

    The loss is the mean of |error| + error^2 in units of the correction's size, of elements,
    whitened elements and elements between orbitals; `errors` are mean absolute errors of matrix
    elements, hartree.

    Args:
        model: Regression or flow.
        options: Weights; `fine` says whether those of fine-tuning count.
        integrated: Whether a flow is judged by what it predicts, and not at a random time.
    """
    error_of = integrated_error if integrated else predicted_error

    def one(params, scales: Scales, sample: Samples, key: Array, fine: Array):
        error = error_of(model, params, scales, sample, key)
        parts = _errors(model, options, sample, error, scales.unit_ha)
        weights = {
            "element": options.element_weight,
            "whitened": options.whitened_weight,
            "orbital": options.orbital_weight * jnp.where(fine, FINE_TUNING, 1.0),
        }
        loss = sum(weights[name] * part for name, part in parts.items())
        matrices = padded_matrices(model.basis, sample.graph, error, sample.phases)
        mae = jnp.sum(jnp.abs(matrices)) / (len(matrices) * _real(sample))
        return loss, mae

    def loss(params, scales, samples, key, fine):
        keys = jax.random.split(key, len(samples.occupied))
        return jax.vmap(one, (None, None, 0, 0, None))(params, scales, samples, keys, fine)

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
    mean, spread = (cast(x, dtype) for x in scales.correction.of(graph))
    atoms, pairs = ((a - b) * s for a, b, s in zip(found, target, spread, strict=True))
    # Where a window closes, what is left out of the prediction is part of the error.
    left_out = (1 - graph.window.astype(dtype))[:, None]
    return Blocks(atoms, pairs - left_out * (found.pairs * spread.pairs + mean.pairs))


def integrated_error(
    model: Model, params: Any, scales: Scales, sample: Samples, key: Array
) -> Blocks:
    """Returns blocks of (predicted - true) H, hartree; for a flow of the end of its integration."""
    found = correction(model, params, scales, sample.graph, sample.guess, key)
    error = Blocks(*(a - b for a, b in zip(found, sample.correction, strict=True)))
    return cast(error, jax.tree.leaves(params)[0].dtype)


def _elements_of(model: Model, blocks: Blocks) -> tuple[Array, Array]:
    """Returns the matrix elements of the blocks, over padded orbitals."""
    flat = model.basis.coupling().reshape(-1, model.basis.width**2)
    return tuple(x @ jnp.asarray(flat, x.dtype) for x in blocks)


def _real(sample: Samples) -> Array:
    """Returns the number of elements of one matrix, without padding."""
    return jnp.sum(jnp.any(sample.orbitals[0] != 0, axis=1)) ** 2


def _errors(
    model: Model, options: LearnConfig, sample: Samples, error: Blocks, unit_ha: Array
) -> dict[str, Array]:
    """Returns the mean of |x| + x^2, x in units of the correction, of each kind of element."""
    unit = unit_ha.astype(error.atoms.dtype)
    parts = _elements_of(model, error)
    found = {"element": sum(jnp.sum(_size(m / unit)) for m in parts) / _real(sample)}
    if not options.orbital_weight and not options.whitened_weight:
        return found
    matrices = padded_matrices(model.basis, sample.graph, error, sample.phases) / unit
    if options.whitened_weight:
        white = _between(sample.whitening, matrices)
        found["whitened"] = jnp.mean(_size(white))
    if options.orbital_weight:
        between = _between(sample.orbitals, matrices)
        empty = jnp.arange(between.shape[-1]) >= sample.occupied[:, None]
        both = empty[:, :, None] & empty[:, None, :]
        weight = jnp.where(both, VIRTUAL_WEIGHT, 1.0).astype(unit.dtype)
        found["orbital"] = jnp.sum(weight * _size(between)) / jnp.sum(weight)
    return found


def _between(vectors: Array, matrices: Array) -> Array:
    """Returns V^H M V at every k-point."""
    return jnp.conj(jnp.swapaxes(vectors, -1, -2)) @ matrices @ vectors


def _size(x: Array) -> Array:
    absolute = jnp.abs(x)
    return absolute + absolute * absolute

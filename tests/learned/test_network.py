"""Symmetries of the network on random molecules, and the blocks it works with."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config.learned import FlowConfig, LearnedModelConfig
from engine.learned import flow
from engine.learned.graph import (
    Blocks,
    molecule_graph,
    padded_matrix,
    symmetrised,
    to_blocks,
    to_matrix,
)
from engine.learned.model import init, make_model, make_predict
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scales, fit_scale
from tests.learned.molecules import (
    BASES,
    SYMBOLS,
    orbital_rotation,
    orthogonal,
    positions,
    symmetric,
)

TINY = LearnedModelConfig(
    channels=4, input_channels=3, output_channels=3, layers=1, hidden=8, radial=6
)


def scales_of(basis, symbols, rng):
    size = sum(2 * l + 1 for s in symbols for l in dict(basis.shells)[s])
    matrices = np.stack([symmetric(rng, size) for _ in range(6)])
    graph = molecule_graph(basis, symbols, np.zeros((6, len(symbols), 3)))
    fitted = fit_scale(basis, [(graph, to_blocks(basis, symbols, matrices))])
    return Scales(fitted, fitted, jnp.asarray(1.0)), matrices[0]


def made(name, dtype, options=TINY, flows=None):
    """Returns (predict, symbols, positions, guess) of a network with random parameters."""
    rng = np.random.default_rng(5)
    basis, symbols = OrbitalBasis.of(BASES[name]), SYMBOLS[name]
    model = make_model(basis, options, flows or FlowConfig())
    scales, guess = scales_of(basis, symbols, rng)
    params = jax.tree.map(lambda x: x.astype(dtype), init(model, jax.random.key(1)))
    predict = make_predict(model)
    key = jax.random.key(3)
    r = positions(rng, len(symbols))
    return basis, symbols, r, guess, lambda s, r, g: predict(params, scales, s, r, g, key)


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [(name, jnp.float64, 1e-10) for name in BASES] + [("minimal", jnp.float32, 3e-5)],
)
def test_predictions_turn_with_the_molecule(name, dtype, tolerance):
    """Rotations, reflections, translations and permutations; the matrix is symmetric."""
    basis, symbols, r, guess, predict = made(name, dtype)
    rng = np.random.default_rng(8)
    plain = predict(symbols, r, guess)
    assert np.abs(plain - guess).max() > 1e-2  # there is something to turn
    np.testing.assert_allclose(plain, plain.T, atol=1e-12)
    for sign in (1, -1):
        Q = orthogonal(rng, sign)
        D = orbital_rotation(basis, symbols, Q)
        turned = predict(symbols, r @ Q.T + [1.0, -2.0, 0.5], D @ guess @ D.T)
        np.testing.assert_allclose(turned, D @ plain @ D.T, atol=tolerance)
    order = [2, 0, 3, 1]
    sizes = [sum(2 * l + 1 for l in dict(basis.shells)[s]) for s in symbols]
    starts = np.cumsum([0, *sizes])
    index = np.concatenate([np.arange(starts[a], starts[a + 1]) for a in order])
    moved = predict([symbols[a] for a in order], r[order], guess[np.ix_(index, index)])
    np.testing.assert_allclose(moved, plain[np.ix_(index, index)], atol=tolerance)


@pytest.mark.parametrize(
    "change",
    [{"convolution": "tensor"}, {"pair_update": "geometry"}, {"pair_update": "content"}],
    ids=str,
)
def test_every_variant_is_equivariant(change):
    options = dataclasses.replace(TINY, **change)
    basis, symbols, r, guess, predict = made("minimal", jnp.float64, options)
    Q = orthogonal(np.random.default_rng(2), -1)
    D = orbital_rotation(basis, symbols, Q)
    plain, turned = predict(symbols, r, guess), predict(symbols, r @ Q.T, D @ guess @ D.T)
    assert np.abs(plain - guess).max() > 1e-2
    np.testing.assert_allclose(turned, D @ plain @ D.T, atol=1e-10)


def test_a_molecule_on_the_axes_is_like_any_other():
    """Bonds along the polar axis and its opposite, where frames are chosen anew."""
    basis, symbols, _, guess, predict = made("minimal", jnp.float64)
    r = np.array([[0, 0, 0], [0, 0, 1.8], [0, 0, -1.8], [0, 2.2, 0.0]])
    plain, Q = predict(symbols, r, guess), orthogonal(np.random.default_rng(4))
    D = orbital_rotation(basis, symbols, Q)
    np.testing.assert_allclose(
        predict(symbols, r @ Q.T, D @ guess @ D.T), D @ plain @ D.T, atol=1e-10
    )


@pytest.mark.parametrize("name", BASES)
def test_matrices_come_back_from_their_blocks(name):
    rng = np.random.default_rng(1)
    basis, symbols = OrbitalBasis.of(BASES[name]), SYMBOLS[name]
    size = sum(2 * l + 1 for s in symbols for l in dict(basis.shells)[s])
    whole = rng.normal(size=(size, size))
    blocks = to_blocks(basis, symbols, whole)
    graph = molecule_graph(basis, symbols, positions(rng, 4))
    back = to_matrix(basis, symbols, np.asarray(padded_matrix(basis, graph, blocks)))
    np.testing.assert_allclose(back, whole, atol=1e-13)
    half = symmetrised(basis, graph, Blocks(*map(jnp.asarray, blocks)))
    back = to_matrix(basis, symbols, np.asarray(padded_matrix(basis, graph, half)))
    np.testing.assert_allclose(back, (whole + whole.T) / 2, atol=1e-13)


def test_scaled_blocks_have_unit_size_and_come_back():
    rng = np.random.default_rng(2)
    basis, symbols = OrbitalBasis.of(BASES["split valence"]), SYMBOLS["split valence"]
    scales, matrix = scales_of(basis, symbols, rng)
    graph = molecule_graph(basis, symbols, positions(rng, 4))
    blocks = to_blocks(basis, symbols, matrix)
    scaled = scales.guess.apply(graph, Blocks(*map(jnp.asarray, blocks)))
    for whole, again in zip(blocks, scales.guess.undo(graph, scaled), strict=True):
        np.testing.assert_allclose(again, whole, atol=1e-12)
    assert 0.5 < float(jnp.std(scaled.pairs[scaled.pairs != 0])) < 2


def flow_setting(prior):
    rng = np.random.default_rng(3)
    basis, symbols = OrbitalBasis.of(BASES["split valence"]), SYMBOLS["split valence"]
    scales, matrix = scales_of(basis, symbols, rng)
    graph = molecule_graph(basis, symbols, positions(rng, 4))
    graph = jax.tree.map(jnp.asarray, graph)
    options = FlowConfig(enabled=True, prior=prior, steps=3)
    return basis, symbols, graph, scales, matrix, options


@pytest.mark.parametrize("prior", ["goe", "tensor", "path"])
def test_noise_is_symmetric_and_its_law_invariant(prior):
    """The covariance of random matrices does not change under a rotation of the orbitals."""
    basis, symbols, graph, scales, _, options = flow_setting(prior)
    draw = flow.make_prior(basis, options, scales.correction)

    def matrix(key):
        noise = scales.correction.undo(graph, draw(key, graph, jnp.float64))
        mean, _ = scales.correction.of(graph)
        noise = Blocks(*(x - m for x, m in zip(noise, mean, strict=True)))
        return padded_matrix(basis, graph, noise)

    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = to_matrix(basis, symbols, np.asarray(jax.vmap(matrix)(keys)))
    np.testing.assert_allclose(drawn, np.swapaxes(drawn, 1, 2), atol=1e-12)
    D = orbital_rotation(basis, symbols, orthogonal(np.random.default_rng(7), -1))
    v = np.random.default_rng(9).normal(size=(2, len(D)))
    plain = np.einsum("i,gij,j->g", v[0], drawn, v[1])
    turned = np.einsum("i,gij,j->g", v[0] @ D, drawn, D.T @ v[1])
    assert plain.std() > 0.1
    assert abs(plain.std() / turned.std() - 1) < 0.06
    if prior == "goe":
        elements = drawn[:, 0, 5:].std(axis=0)
        np.testing.assert_allclose(elements, elements.mean(), rtol=0.08)


def test_the_integration_ends_where_the_network_points():
    basis, _, graph, scales, _, options = flow_setting("path")
    draw = flow.make_prior(basis, options, scales.correction)
    target = draw(jax.random.key(9), graph, jnp.float64)
    times = []

    def expected(draft, time):
        times.append(float(time))
        share = float(time)
        noise_left = jnp.abs(draft.pairs - share * target.pairs).max()
        assert noise_left > 0.1 * (1 - share)
        return target

    with jax.disable_jit():
        found = flow.integrate(expected, draw, graph, jax.random.key(0), options, jnp.float64)
    np.testing.assert_allclose(times, [0.01, 0.34, 0.67], atol=1e-12)
    np.testing.assert_allclose(found.pairs, target.pairs, atol=1e-12)


def test_flows_predict_equal_matrices_for_equal_noise_and_others_for_other():
    basis, symbols, r, guess, predict = made(
        "minimal", jnp.float32, flows=FlowConfig(enabled=True, steps=2)
    )
    first, second = (predict(symbols, r, guess) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - guess).max() > 1e-2

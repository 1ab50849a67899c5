"""Symmetries of predictions for crystals, on random cells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config.learned import FlowConfig, LearnedModelConfig
from engine.learned import crystal, lattice, loss
from engine.learned.model import init, make_model, make_predict
from engine.learned.orbitals import OrbitalBasis
from engine.learned.scales import Scales, fit_scale
from tests.learned.molecules import BASES, orbital_rotation, orthogonal, symmetric

CUTOFF = 7.0
TINY = LearnedModelConfig(
    channels=4,
    input_channels=3,
    output_channels=3,
    layers=1,
    hidden=8,
    radial=6,
    cutoff_bohr=CUTOFF,
)
BASIS = OrbitalBasis.of(BASES["minimal"])
SYMBOLS = ("O", "H")
SIZE = 6
MESH = np.array([5, 5, 1])


def cell(rng):
    """Returns lattice and positions of a layer: two short vectors, one long."""
    a = np.array([[3.4, 0.3, 0.1], [-0.5, 3.7, 0.2], [0.2, 0.1, 30.0]])
    return a, np.array([[0.3, 0.2, 0.1], [1.9, 1.4, 0.9]]) + 0.1 * rng.normal(size=(2, 3))


def symmetric_blocks(rng, mesh):
    """Returns random real H0(R) with H0(-R) = H0(R)^T, one per class, small far away."""
    cells = lattice.translations(mesh)
    blocks = rng.normal(size=(len(cells), SIZE, SIZE))
    number = {tuple(c): n for n, c in enumerate(cells)}
    opposite = [number[tuple(-c % mesh)] for c in cells]
    return (blocks + np.swapaxes(blocks[opposite], 1, 2)) / 2


@pytest.fixture(scope="module")
def made():
    """Returns predict(symbols, lattice, positions, mesh, guess) of random parameters, float64."""
    rng = np.random.default_rng(5)
    model = make_model(BASIS, TINY, FlowConfig())
    a, r = cell(rng)
    pairs = crystal.pairs_of(a, r, CUTOFF)
    graph = crystal.crystal_graph(BASIS, SYMBOLS, a[None], r[None], pairs, CUTOFF)
    own = np.stack([symmetric_blocks(rng, MESH)])
    inside = np.linalg.norm(graph.vectors, axis=-1) < CUTOFF
    fitted = fit_scale(
        BASIS, [(graph, crystal.crystal_blocks(BASIS, SYMBOLS, own, MESH, pairs, inside))]
    )
    scales = Scales(fitted, fitted, jnp.asarray(1.0))
    params = jax.tree.map(lambda x: x.astype(jnp.float64), init(model, jax.random.key(1)))
    predict = crystal.make_predict_crystal(model)
    key = jax.random.key(3)
    return model, params, scales, lambda *known: predict(params, scales, *known, key)


def at(found, a, kpoints):
    matrices, cells = found
    return lattice.to_kpoints(matrices, kpoints, cells @ a)


def test_predictions_turn_with_the_crystal_and_h_of_k_is_hermitian(made):
    rng = np.random.default_rng(8)
    a, r = cell(rng)
    guess, k = symmetric_blocks(rng, MESH), rng.normal(size=(3, 3))
    plain = made[-1](SYMBOLS, a, r, MESH, guess)
    assert np.abs(plain[0]).max() > 1e-2
    bands = at(plain, a, k)
    np.testing.assert_allclose(bands, np.conj(np.swapaxes(bands, 1, 2)), atol=1e-12)
    assert np.abs(bands.imag).max() > 1e-3
    for sign in (1, -1):
        Q = orthogonal(rng, sign)
        D = orbital_rotation(BASIS, SYMBOLS, Q)
        turned = made[-1](SYMBOLS, a @ Q.T, r @ Q.T + [1.0, -2.0, 0.5], MESH, D @ guess @ D.T)
        np.testing.assert_array_equal(turned[1], plain[1])
        np.testing.assert_allclose(turned[0], D @ plain[0] @ D.T, atol=1e-10)


def test_atoms_may_be_numbered_otherwise_and_belong_to_another_cell(made):
    rng = np.random.default_rng(9)
    a, r = cell(rng)
    guess, k = symmetric_blocks(rng, MESH), rng.normal(size=(2, 3))
    plain = at(made[-1](SYMBOLS, a, r, MESH, guess), a, k)
    index = np.r_[5, 0:5]
    moved = made[-1](SYMBOLS[::-1], a, r[::-1], MESH, guess[:, index[:, None], index])
    np.testing.assert_allclose(at(moved, a, k), plain[:, index[:, None], index], atol=1e-10)
    # The hydrogen atom in the next cell: its Bloch sums gain a phase, H(R) other translations.
    shift = np.array([1, -1, 0])
    cells = lattice.translations(MESH)
    number = {tuple(c): n for n, c in enumerate(cells)}
    to = guess.copy()
    for n, c in enumerate(cells):  # O-H blocks: cell R now holds what R + shift did
        to[n][:5, 5:] = guess[number[tuple((c + shift) % MESH)]][:5, 5:]
        to[n][5:, :5] = guess[number[tuple((c - shift) % MESH)]][5:, :5]
    other = at(made[-1](SYMBOLS, a, r + [np.zeros(3), shift @ a], MESH, to), a, k)
    phase = np.exp(-1j * k @ (shift @ a))[:, None] ** np.r_[np.zeros(5), 1.0]
    np.testing.assert_allclose(
        other, np.conj(phase)[:, :, None] * plain * phase[:, None, :], atol=1e-10
    )


def test_a_doubled_cell_has_the_same_matrix(made):
    """Bands at a k of the doubled cell: those of the primitive cell at k and half a vector on."""
    rng = np.random.default_rng(10)
    a, r = cell(rng)
    mesh = np.array([6, 5, 1])
    guess = symmetric_blocks(rng, mesh)
    plain = made[-1](SYMBOLS, a, r, mesh, guess)
    double, half = np.diag([2, 1, 1]) @ a, np.array([3, 5, 1])
    number = {tuple(c): n for n, c in enumerate(lattice.translations(mesh))}
    big = np.zeros((15, 2 * SIZE, 2 * SIZE))
    for n, c in enumerate(lattice.translations(half)):
        for p in (0, 1):
            for q in (0, 1):
                one = (c * [2, 1, 1] + [q - p, 0, 0]) % mesh
                rows, columns = (slice(SIZE * x, SIZE * (x + 1)) for x in (p, q))
                big[n][rows, columns] = guess[number[tuple(one)]]
    whole = made[-1](SYMBOLS * 2, double, np.vstack([r, r + a[0]]), half, big)
    k = np.array([[0.1, 0.2, 0.0]])
    found = np.linalg.eigvalsh(at(whole, double, k)[0])
    shifted = k + np.pi * np.linalg.inv(a).T[0]  # half a reciprocal vector further
    both = np.concatenate([np.linalg.eigvalsh(at(plain, a, x)[0]) for x in (k, shifted)])
    np.testing.assert_allclose(found, np.sort(both), atol=1e-10)


def test_a_molecule_in_a_large_cell_is_a_molecule(made):
    model, params, scales, predict = made
    rng = np.random.default_rng(11)
    r = np.array([[0.3, 0.2, 0.1], [1.9, 1.4, 0.9]])
    guess = symmetric(rng, SIZE)
    found, cells = predict(SYMBOLS, 40 * np.eye(3), r, np.ones(3, int), guess[None])
    alone = make_predict(model)(params, scales, SYMBOLS, r, guess, jax.random.key(3))
    assert len(cells) == 1 and np.linalg.norm(r[1] - r[0]) < 0.6 * CUTOFF
    np.testing.assert_allclose(guess + found[0], alone, atol=1e-12)


def test_blocks_leave_smoothly_at_the_cutoff(made):
    rng = np.random.default_rng(12)
    a, r = cell(rng)
    guess = symmetric_blocks(rng, MESH)
    lengths = np.linalg.norm(lattice.translations(MESH) @ a, axis=-1)
    lengths = lengths[(lengths > 6) & (lengths < 8)]
    found = []
    for nudge in (-1e-4, 1e-4):  # an oxygen atom and an image on both sides of the cutoff
        scale = CUTOFF / lengths[0] * (1 + nudge)
        found.append(at(made[-1](SYMBOLS, scale * a, r, MESH, guess), scale * a, np.zeros((1, 3))))
    assert np.abs(found[1] - found[0]).max() < 1e-2 * np.abs(found[0]).max()


def test_the_error_of_training_is_that_of_the_prediction(made):
    """Of a regression, where windows close too."""
    model, params, scales, _ = made
    rng = np.random.default_rng(4)
    a, r = cell(rng)
    pairs = crystal.pairs_of(a, r, CUTOFF)
    graph = crystal.crystal_graph(BASIS, SYMBOLS, a, r, pairs, CUTOFF)
    inside = np.linalg.norm(graph.vectors, axis=-1) < CUTOFF
    guess, true = (
        crystal.crystal_blocks(BASIS, SYMBOLS, symmetric_blocks(rng, MESH), MESH, pairs, inside)
        for _ in range(2)
    )
    sample = loss.Samples(graph, guess, true, None, None, None, None)
    known = params, scales, jax.tree.map(jnp.asarray, sample), jax.random.key(0)
    errors = [
        jax.jit(f, static_argnums=0)(model, *known)
        for f in (loss.predicted_error, loss.integrated_error)
    ]
    for one, other in zip(*errors, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert np.any((graph.window > 0) & (graph.window < 0.9))

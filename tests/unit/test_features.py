"""The displacement features: exact limits, periodicity, smoothness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.wavefunction import features

LATTICE = np.array([[7.2, 0.0, 0.0], [1.5, 6.0, 0.3], [-0.7, 2.0, 100.0]])


def _system(positions, *, periodic=True, species=None):
    cell = Cell(jnp.asarray(LATTICE), True) if periodic else Cell.open()
    positions = jnp.asarray(positions, float).reshape(-1, 3)
    return System(
        cell,
        positions,
        jnp.ones(len(positions)),
        jnp.zeros(3),
        ("H",) * len(positions),
        species or electrons(2, 1),
    )


def test_the_distance_is_the_tri_metric():
    r = np.array([1.1, -2.3, 0.7])
    w = 2 * np.pi * r @ np.linalg.inv(LATTICE)
    one, sine = 1 - np.cos(w), np.sin(w)
    metric = LATTICE @ LATTICE.T / (2 * np.pi) ** 2
    expected = one @ metric @ one + sine @ metric @ sine
    _, squared = features.separation(jnp.asarray(r), Cell(jnp.asarray(LATTICE), True))
    np.testing.assert_allclose(squared, expected, rtol=1e-12)


def test_the_distance_is_the_length_up_to_third_order():
    direction = np.array([0.6, -0.48, 0.64])
    for step in (1e-2, 1e-3):
        _, squared = features.separation(
            jnp.asarray(step * direction), Cell(jnp.asarray(LATTICE), True)
        )
        assert abs(float(jnp.sqrt(squared)) / step - 1) < 0.1 * step**2


def pairs(walker, system, *, smooth):
    """Returns the features of all pairs of a walker (n, 3)."""
    itself = jnp.eye(len(walker), dtype=walker.dtype)
    return features.pair(walker[:, None] - walker, itself, system.cell, smooth=smooth)


@pytest.mark.parametrize("translation", [(1, 0, 0), (0, -1, 0), (0, 0, 1), (2, -3, 1)])
def test_features_do_not_see_lattice_translations_of_one_particle(translation):
    walker = jnp.asarray(np.random.default_rng(0).uniform(-3, 3, (3, 3)))
    moved = walker.at[1].add(np.array(translation) @ LATTICE)
    for system in (_system([[0.3, 0.1, 0.2], [2.0, 1.0, 50.0]]), _system([])):
        for f in (
            lambda x, s=system: features.one_body(x, s, anchored=True),
            lambda x, s=system: pairs(x, s, smooth=True),
            lambda x, s=system: pairs(x, s, smooth=False),
        ):
            np.testing.assert_allclose(f(walker), f(moved), atol=1e-11)


def test_without_nuclei_a_periodic_cell_is_translation_invariant_unless_anchored():
    walker = jnp.asarray(np.random.default_rng(0).uniform(-3, 3, (3, 3)))
    system = _system([])
    free = [features.one_body(x, system, anchored=False) for x in (walker, walker + 0.4)]
    tied = [features.one_body(x, system, anchored=True) for x in (walker, walker + 0.4)]
    np.testing.assert_allclose(*free)
    assert float(jnp.abs(tied[0] - tied[1]).max()) > 0.01


def test_an_open_cell_without_nuclei_is_centred_at_the_origin():
    assert features.centres(_system([], periodic=False)).shape == (1, 3)
    assert features.centres(_system([])).shape == (0, 3)


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("smooth", [False, True])
def test_pair_features_differentiate_twice_at_the_self_pairs(periodic, smooth):
    walker = jnp.asarray(np.random.default_rng(1).uniform(-3, 3, (3, 3)))
    system = _system([[0.0, 0.0, 0.0]], periodic=periodic)
    second = jax.jit(jax.hessian(lambda x: pairs(x, system, smooth=smooth).sum()))(walker)
    assert np.isfinite(second).all()


def test_smooth_pair_features_have_no_kink_and_the_distance_has_one():
    system = _system([[0.0, 0.0, 0.0]], species=electrons(2, 0))
    slope = jax.grad(
        lambda t, smooth: pairs(
            jnp.stack([jnp.zeros(3), t * jnp.array([0.6, 0.8, 0.0])]), system, smooth=smooth
        )[0, 1, -1]
    )
    np.testing.assert_allclose(slope(1e-6, True), 0, atol=1e-5)
    np.testing.assert_allclose(slope(1e-6, False), 1, atol=1e-5)


def test_a_vacuum_of_100_bohr_stays_of_order_one():
    walker = jnp.array([[0.0, 0.0, 49.0], [1.0, 0.0, -30.0], [0.0, 2.0, 0.0]])
    system = _system([[0.3, 0.1, 0.2]])
    seen = (
        features.one_body(walker, system, anchored=True),
        pairs(walker, system, smooth=True),
    )
    assert max(float(jnp.abs(f).max()) for f in seen) < 6


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("periodic", [False, True])
def test_features_at_a_nucleus_are_their_limits(periodic, dtype):
    nuclei = [[0.3, 0.1, 0.2], [2.0, 1.0, 3.0]]
    system = _system(nuclei, periodic=periodic, species=electrons(1, 0))
    seen = lambda x: features.one_body(x, system, anchored=True)
    at = jnp.asarray(nuclei[:1], dtype)
    near = at + jnp.asarray([[0.0, 0.0, 1e-3]], dtype)
    assert seen(at).dtype == dtype
    np.testing.assert_allclose(seen(at), seen(near), atol=2e-3)
    vectors = seen(at)[0, 1 : 1 + (6 if periodic else 3)]
    np.testing.assert_allclose(vectors, 0, atol=1e-6)
    assert np.isfinite(jax.hessian(lambda x: seen(x).sum())(at)).all()


@pytest.mark.parametrize("distance", [1e-3, 1e-6])
def test_the_length_is_exact_away_from_zero(distance):
    np.testing.assert_allclose(features.length(jnp.asarray(distance**2)), distance, rtol=1e-12)

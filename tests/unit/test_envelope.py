"""Exponentials around the nuclei: values, far away, periodicity."""

import jax
import jax.numpy as jnp
import numpy as np

from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.wavefunction.envelope import EXPONENTS, WIDEST, Decay, initial_exponents

LATTICE = jnp.asarray([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.0, 0.5, 7.0]])


def _system(cell):
    return System(
        cell,
        jnp.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3.0]]),
        jnp.array([1.0, 3.0]),
        jnp.zeros(3),
        ("H", "Li"),
        electrons(2, 2),
    )


def _decay(walker, system):
    params = Decay(walker.dtype).init(jax.random.key(0), walker, system)
    return params["params"]["sigma"], *Decay(walker.dtype).apply(params, walker, system)


def test_values_times_factor_are_the_exponentials():
    walker = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))
    system = _system(Cell.open())
    sigma, values, log = _decay(walker, system)
    distance = jnp.linalg.norm(walker[:, None] - system.positions, axis=-1)
    exact = jnp.exp(-distance[..., None] * sigma).reshape(4, -1)
    np.testing.assert_allclose(values * jnp.exp(log)[:, None], exact, rtol=1e-12)
    np.testing.assert_allclose(values.max(axis=-1), 1.0)


def test_single_precision_survives_a_thousand_bohr():
    walker = jnp.full((4, 3), 1000.0, jnp.float32)
    _, values, log = _decay(walker, _system(Cell.open()))
    assert values.dtype == log.dtype == jnp.float32
    assert np.isfinite(log).all() and float(values.max()) == 1.0


def test_periodic_in_the_lattice():
    walker = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))
    system = _system(Cell(LATTICE, True))
    _, a, log_a = _decay(walker, system)
    _, b, log_b = _decay(walker + jnp.array([1.0, -2.0, 1.0]) @ LATTICE, system)
    np.testing.assert_allclose(a, b, rtol=1e-10)
    np.testing.assert_allclose(log_a, log_b, rtol=1e-10)


def test_exponents_start_between_the_valence_and_the_nuclear_charge():
    sigma = initial_exponents(jnp.array([1.0, 3.0]), jnp.float64)
    assert sigma.shape == (2, EXPONENTS)
    np.testing.assert_allclose(sigma[:, 0], WIDEST)
    np.testing.assert_allclose(sigma[:, -1], [2.0, 3.0])


def test_finite_slopes_at_a_nucleus():
    system = _system(Cell.open())
    walker = jnp.concatenate([system.positions, jnp.ones((2, 3))])
    params = Decay(jnp.float64).init(jax.random.key(0), walker, system)
    slope = jax.jacobian(lambda x: Decay(jnp.float64).apply(params, x, system)[0])(walker)
    assert np.isfinite(slope).all()

"""Fractional and Cartesian coordinates of any lattice, left-handed and traced ones included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.system.cell import Cell

SKEWED = np.array([[4.1, 0.0, 0.2], [0.9, 4.6, 0.0], [-0.5, 0.3, 7.3]])
LATTICES = {"right-handed": SKEWED, "left-handed": SKEWED[[1, 0, 2]]}
POINTS = np.random.default_rng(0).normal(scale=9, size=(5, 2, 3))


@pytest.mark.parametrize("name", LATTICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 1e-5), (jnp.float64, 1e-13)])
def test_coordinates_and_back(name, dtype, tolerance):
    lattice, points = LATTICES[name], jnp.asarray(POINTS, dtype)

    @jax.jit
    def coordinates(lattice, points):
        cell = Cell(lattice, True)
        inside = cell.fractional(points)
        return inside, cell.cartesian(inside), cell.wrap(points), cell.reciprocal

    inside, back, wrapped, reciprocal = coordinates(lattice, points)
    assert inside.dtype == back.dtype == wrapped.dtype == dtype
    np.testing.assert_allclose(inside @ lattice, points, atol=tolerance)
    np.testing.assert_allclose(back, points, atol=tolerance)
    np.testing.assert_allclose(reciprocal @ lattice.T, 2 * np.pi * np.eye(3), atol=1e-12)
    moved = (wrapped - points) @ np.linalg.inv(lattice)
    np.testing.assert_allclose(moved, np.round(moved), atol=10 * tolerance)
    share = wrapped @ np.linalg.inv(lattice)
    assert share.min() > -10 * tolerance and share.max() < 1 + 10 * tolerance


def test_the_inverse_has_the_derivatives_of_an_inverse():
    def found(lattice):
        return jnp.sum(Cell(lattice, True).fractional(jnp.asarray(POINTS)) ** 3)

    def wanted(lattice):
        return jnp.sum((jnp.asarray(POINTS) @ jnp.linalg.inv(lattice)) ** 3)

    lattice = jnp.asarray(SKEWED)
    np.testing.assert_allclose(jax.grad(found)(lattice), jax.grad(wanted)(lattice), rtol=1e-11)

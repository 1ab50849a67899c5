"""Derivatives of products of orbitals, by the rule of their rows and by Hessians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.hamiltonian.kinetic import forward
from engine.row_products import row_products
from engine.types import LogPsi

MASSES = np.array([1.0, 7.0, 2.0])


@pytest.mark.parametrize("parts", [(1, 1), (2, 1), (2, 2)])
def test_derivatives_are_those_of_the_sum(parts):
    rng = np.random.default_rng(1)
    of_all, of_one = rng.normal(size=(9, parts[0] * 20)), rng.normal(size=(3, parts[1] * 12))
    weights = rng.normal(size=(2, 2, 3, 3))

    def summed(walker):
        f = jnp.cos(jnp.sin(walker).reshape(-1) @ of_all).reshape(parts[0], 2, 5, 2)[:, :, :4, 0]
        f = jnp.stack([f, f * walker[0, 0], jnp.sin(f)])  # every row depends on all particles
        phi = jnp.cos(walker @ of_one).reshape(3, parts[1], 4, 3)
        found = row_products(f, phi)
        return jnp.sum(weights[0] * found.real) + jnp.sum(weights[1] * found.imag)

    walker = jnp.asarray(rng.normal(size=(3, 3)))
    one = lambda r: LogPsi(summed(r), jnp.zeros_like(r[0, 0]) * r[0, 0])
    found = jax.jit(lambda r: forward(one, r, MASSES))(walker)
    inverse = 1 / np.repeat(MASSES, 3)
    gradient = jax.grad(summed)(walker).ravel() * inverse**0.5
    second = jnp.diagonal(jax.hessian(summed)(walker).reshape(9, 9)) @ inverse
    np.testing.assert_allclose(found.gradient.log, gradient, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.laplacian.log, second, rtol=1e-10, atol=1e-10)

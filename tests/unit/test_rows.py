"""Operations on rows: values against explicit sums, derivatives against Hessians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import rows
from engine.hamiltonian.kinetic import forward
from engine.types import LogPsi

MASSES = np.array([1.0, 7.0, 2.0])
MEMBERS = np.array([0, 0, 1])
INDICATOR = jnp.asarray(np.eye(2)[MEMBERS].T)
SHAPES = ((2, 4, 1), (2, 2, 3))
"""Of two groups of functions: A, t_g and m_g."""


def of_all(walker, *shape):
    """Returns (3, *shape): every row depends on all particles."""
    weights = np.random.default_rng(1).normal(size=(9, int(np.prod(shape))))
    f = jnp.cos(jnp.sin(walker).reshape(-1) @ weights).reshape(shape)
    return jnp.stack([f, f * walker[0, 0], jnp.sin(f)])


def of_one(walker, *shape):
    """Returns (3, *shape): row i depends on particle i."""
    return jnp.cos(jnp.tensordot(walker, np.random.default_rng(2).normal(size=(3, *shape)), 1))


def derivatives_are_those_of_the_sum(function, dense_own):
    """Whether the functions of one particle come with dense derivatives or their own alone."""
    rng = np.random.default_rng(3)
    walker = jnp.asarray(rng.normal(size=(3, 3)))
    shape = jax.eval_shape(function, walker).shape
    weights = rng.normal(size=(2, *shape))

    def summed(r):
        found = function(r)
        return jnp.sum(weights[0] * found.real) + jnp.sum(weights[1] * found.imag)

    one = lambda r: LogPsi(summed(r), jnp.zeros_like(r[0, 0]) * r[0, 0])
    found = jax.jit(lambda r: forward(one, r, MASSES))(walker)
    inverse = 1 / np.repeat(MASSES, 3)
    gradient = jax.grad(summed)(walker).ravel() * inverse**0.5
    second = jnp.diagonal(jax.hessian(summed)(walker).reshape(9, 9)) @ inverse
    np.testing.assert_allclose(found.gradient.log, gradient, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.laplacian.log, second, rtol=1e-10, atol=1e-10)

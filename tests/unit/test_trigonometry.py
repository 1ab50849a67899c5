"""The polynomials are the functions, and so are their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.trigonometry import cos_pi, sin_pi

X = np.concatenate(
    [np.linspace(-9.0, 9.0, 20011), np.arange(-9.0, 9.5, 0.5), [1e6 + 0.25, 2.0**23 + 1]]
)
EXACT = {sin_pi: lambda x: np.sin(np.pi * x), cos_pi: lambda x: np.cos(np.pi * x)}


@pytest.mark.parametrize("function", EXACT, ids=("sin", "cos"))
@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float32, 2.5e-7), (jnp.float64, 1e-13)])
def test_values_and_types(function, dtype, tolerance):
    x = jnp.asarray(X, dtype)
    found = function(x)
    assert found.dtype == dtype
    exact = EXACT[function](np.asarray(x, np.float64))
    np.testing.assert_allclose(found, exact, atol=tolerance, rtol=0)


def test_derivatives_follow_the_functions():
    x = jnp.asarray(X[::97], jnp.float32)
    first = jax.vmap(jax.grad(sin_pi))(x)
    second = jax.vmap(jax.grad(jax.grad(cos_pi)))(x)
    exact = np.asarray(x, np.float64) * np.pi
    assert first.dtype == second.dtype == jnp.float32
    np.testing.assert_allclose(first, np.pi * np.cos(exact), atol=1e-6)
    np.testing.assert_allclose(second, -(np.pi**2) * np.cos(exact), atol=3e-6)

"""log psi of a sum of determinants against numpy, and at extreme magnitudes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.wavefunction.determinant import Expansion, log_sum_determinants


def _matrices(n, complex_, seed=0):
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(3, n, n))
    return real + 1j * rng.normal(size=(3, n, n)) if complex_ else real


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 6])
def test_equals_the_sum_of_numpy_determinants(n, complex_):
    m = _matrices(n, complex_)
    psi = log_sum_determinants([jnp.asarray(m)])
    exact = np.linalg.det(m).sum()
    np.testing.assert_allclose(np.exp(psi.log) * np.exp(1j * psi.arg), exact, rtol=1e-12)
    if not complex_:
        assert float(psi.arg) in (0.0, np.pi)


@pytest.mark.parametrize("n", [2, 6])
def test_weights_multiply_the_determinants(n):
    m, weights = _matrices(n, True), np.array([1.0, 0.0, -0.7])
    psi = log_sum_determinants([jnp.asarray(m)], jnp.asarray(weights))
    exact = weights @ np.linalg.det(m)
    np.testing.assert_allclose(np.exp(psi.log) * np.exp(1j * psi.arg), exact, rtol=1e-12)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("sizes", [(2, 1), (4, 3), (6, 2)])
def test_blocks_are_those_of_one_matrix(sizes, complex_):
    blocks = [jnp.asarray(_matrices(n, complex_, seed=n)) for n in sizes]
    full, start = np.zeros((3, sum(sizes), sum(sizes)), complex if complex_ else float), 0
    for n, block in zip(sizes, blocks, strict=True):
        full[:, start : start + n, start : start + n] = block
        start += n
    scale = np.random.default_rng(0).normal(size=sum(sizes))
    matrices = Expansion(blocks, jnp.asarray(scale)).matrices
    np.testing.assert_allclose(matrices, np.exp(scale)[:, None] * full, rtol=1e-12)
    psi, weights = log_sum_determinants(blocks, jnp.array([1.0, 0.3, -0.7])), [1.0, 0.3, -0.7]
    exact = weights @ np.linalg.det(full)
    np.testing.assert_allclose(np.exp(psi.log) * np.exp(1j * psi.arg), exact, rtol=1e-12)


@pytest.mark.parametrize("sizes", [(1, 1), (5, 5)])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, -1)])
def test_products_of_blocks_keep_a_real_phase_real(sizes, signs):
    blocks = [s * jnp.eye(n)[None] for n, s in zip(sizes, signs, strict=True)]
    expected = 0.0 if signs[0] == signs[1] else np.pi
    assert float(log_sum_determinants(blocks).arg) == pytest.approx(expected, abs=0)


def test_products_of_small_determinants_do_not_vanish():
    block = jnp.asarray([[[1.0, 1.0], [1.0, 1.001]]], jnp.float32)
    one, many = log_sum_determinants([block]), log_sum_determinants([block] * 16)
    np.testing.assert_allclose(many.log, 16 * one.log, rtol=1e-5)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("exponent", [-200, 200])
def test_row_factors_beyond_the_floating_point_range_of_psi(n, complex_, exponent):
    m = jnp.asarray(_matrices(n, complex_))
    factor = 10.0**exponent
    scaled, plain = log_sum_determinants([m * factor]), log_sum_determinants([m])
    np.testing.assert_allclose(scaled.log - n * exponent * np.log(10.0), plain.log, rtol=1e-9)
    np.testing.assert_allclose(scaled.arg, plain.arg, atol=1e-12)


@pytest.mark.parametrize("complex_", [False, True])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_gradient_is_the_trace_of_inverse_times_derivative(n, complex_):
    m, slope = _matrices(n, complex_)[:1], _matrices(n, complex_, seed=1)[:1]
    expected = np.trace(np.linalg.inv(m[0]) @ slope[0])
    _, (log, arg) = jax.jvp(lambda t: log_sum_determinants([m + t * slope]), (0.0,), (1.0,))
    np.testing.assert_allclose([log, arg], [expected.real, expected.imag], rtol=1e-9, atol=1e-12)

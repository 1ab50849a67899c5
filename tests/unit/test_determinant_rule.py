"""Derivatives of log-determinants, coordinate by coordinate, against those all at once."""

import folx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folx.api import FwdLaplArray
from folx.slogdet import dense_slogdet

from engine.hamiltonian import determinant_rule, kinetic
from engine.hamiltonian.row_rules import jet


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_loop_gives_what_one_contraction_gives(dtype):
    rng = np.random.default_rng(3)

    def random(*shape):
        x = rng.normal(size=shape)
        return jnp.asarray(x + 1j * rng.normal(size=shape) if dtype == np.complex128 else x)

    matrix = jet(random(2, 5, 5), random(15, 2, 5, 5), random(2, 5, 5))
    pairs = zip(determinant_rule.looped(matrix), dense_slogdet(matrix), strict=True)
    for found, wanted in pairs:
        assert type(found) is type(wanted)
        if not isinstance(wanted, FwdLaplArray):
            np.testing.assert_array_equal(found, wanted)
            continue
        np.testing.assert_allclose(found.x, wanted.x, rtol=1e-12)
        np.testing.assert_allclose(
            found.jacobian.dense_array, wanted.jacobian.dense_array, rtol=1e-11, atol=1e-12
        )
        np.testing.assert_allclose(found.laplacian, wanted.laplacian, rtol=1e-11)


@pytest.mark.parametrize(("backend", "is_looped"), [("cpu", True), ("gpu", False)])
def test_the_kinetic_energy_loops_on_cpus_alone(monkeypatch, backend, is_looped):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)

    def psi(walker):  # every row depends on all particles
        return jnp.linalg.slogdet(jnp.cos(walker @ walker.T + jnp.arange(5.0)))[1]

    assert kinetic.log_determinant is determinant_rule.log_determinant
    laplacian = jax.make_jaxpr(lambda x: folx.forward_laplacian(psi)(x).laplacian)
    assert ("scan" in str(laplacian(jnp.ones((5, 3))))) == is_looped

"""Gaussian basis functions against PySCF's, and as JAX programs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf import gto as pyscf_gto

from engine.mean_field import gto
from engine.types import Basis


def basis_of(mol, dtype=jnp.float64) -> Basis:
    shells = range(mol.nbas)
    return Basis(
        exponents=tuple(jnp.asarray(mol.bas_exp(i), dtype) for i in shells),
        coefficients=tuple(jnp.asarray(mol._libcint_ctr_coeff(i), dtype) for i in shells),
        atoms=tuple(int(mol.bas_atom(i)) for i in shells),
        angular=tuple(int(mol.bas_angular(i)) for i in shells),
    )


@pytest.fixture(scope="module")
def mol():
    g = pyscf_gto.basis.parse("O G\n 1.1 1.0\n")
    basis = {"N": "cc-pvtz", "O": pyscf_gto.basis.load("cc-pvdz", "O") + g, "H": "sto-3g"}
    return pyscf_gto.M(atom="N 0 0 0; O 0.3 1.1 -2.0; H 1.2 0.4 0.9", unit="B", basis=basis, spin=0)


def points(n=20, seed=1):
    return np.random.default_rng(seed).normal(scale=2.0, size=(n, 3))


def test_every_function_up_to_g_agrees_with_pyscf(mol):
    basis, r = basis_of(mol), points()
    assert set(basis.angular) == {0, 1, 2, 3, 4}
    ours = jax.vmap(lambda x: gto.evaluate(basis, x, jnp.asarray(mol.atom_coords())))(
        jnp.asarray(r)
    )
    theirs = mol.eval_gto("GTOval_sph", r)
    assert ours.shape == (20, basis.size)
    np.testing.assert_allclose(ours, theirs, atol=1e-12, rtol=1e-11)


def test_gradients_agree_with_pyscf(mol):
    basis, r = basis_of(mol), points(5)
    at = jnp.asarray(mol.atom_coords())
    ours = jax.jit(jax.vmap(jax.jacfwd(lambda x: gto.evaluate(basis, x, at))))(jnp.asarray(r))
    theirs = mol.eval_gto("GTOval_sph_deriv1", r)[1:]
    np.testing.assert_allclose(ours, np.moveaxis(theirs, 0, -1), atol=1e-11, rtol=1e-10)


def test_single_precision_stays_single(mol):
    r = jnp.asarray(points(4), jnp.float32)
    double = jnp.asarray(mol.atom_coords())
    values = jax.vmap(lambda x: gto.evaluate(basis_of(mol), x, double))(r)
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, mol.eval_gto("GTOval_sph", np.asarray(r)), atol=2e-5)


def test_derivatives_at_a_nucleus_are_finite(mol):
    basis, at = basis_of(mol), jnp.asarray(mol.atom_coords())
    slope = jax.jit(jax.jacfwd(lambda x: gto.evaluate(basis, x, at)))
    assert jnp.isfinite(slope(at[1])).all()
    for l in range(5):
        curvature = jax.jit(jax.hessian(lambda d, l=l: gto.solid_harmonics(l, d, d @ d)))
        assert jnp.isfinite(curvature(jnp.zeros(3))).all()

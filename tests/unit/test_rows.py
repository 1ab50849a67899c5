"""Operations on rows: values against explicit sums, derivatives against Hessians."""

import folx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from folx.api import FwdJacobian, FwdLaplArray

from engine import rows
from engine.hamiltonian.row_rules import own_alone

MASSES = np.array([1.0, 7.0, 2.0])
RATES = jnp.asarray(MASSES**-0.5)
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


def of_their_own(walker, *shape):
    """Returns `of_one`, as an input with the derivatives of each row's own coordinates alone."""
    value, first = of_one(walker, *shape), jax.jacfwd(lambda r: of_one(r, *shape))(walker)
    second = jax.hessian(lambda r: of_one(r, *shape))(walker)
    n = len(walker)
    first = jnp.stack([jnp.moveaxis(first[i, ..., i, :], -1, 0) for i in range(n)])
    second = jnp.stack(
        [jnp.trace(second[i, ..., i, :, i, :], axis1=-2, axis2=-1) for i in range(n)]
    )
    return own_alone(value, first, second, RATES)


def check(function, shapes, kind):
    """Compares derivatives of a function of (walker, functions of one particle each).

    Args:
        function: Maps (3, 3) and arrays to an array.
        shapes: Of a row of each of these arrays.
        kind: Whether they come with dense derivatives or those of their own coordinates.
    """
    walker = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3)))
    whole = lambda r: function(r, *(of_one(r, *shape) for shape in shapes))
    weights = np.random.default_rng(4).normal(size=(2, *jax.eval_shape(whole, walker).shape))

    def summed(found):
        return jnp.sum(weights[0] * found.real) + jnp.sum(weights[1] * found.imag)

    jacobian = jnp.diag(jnp.repeat(RATES, 3)).reshape(9, 3, 3)

    def rule(walker):
        place = FwdLaplArray(walker, FwdJacobian.from_dense(jacobian), jnp.zeros((3, 3)))
        if kind == "own":
            inputs = [of_their_own(walker, *shape) for shape in shapes]
            jet = folx.forward_laplacian(lambda r, *own: summed(function(r, *own)))(place, *inputs)
        else:
            jet = folx.forward_laplacian(lambda r: summed(whole(r)))(place)
        return jet.x, jet.jacobian.dense_array, jet.laplacian

    def autodiff(walker):
        value, gradient = jax.value_and_grad(lambda r: summed(whole(r)))(walker)
        hessian = jax.hessian(lambda r: summed(whole(r)))(walker).reshape(9, 9)
        inverse = 1 / np.repeat(MASSES, 3)
        return value, gradient.ravel() * inverse**0.5, jnp.diagonal(hessian) @ inverse

    found, expected = (jax.jit(f)(walker) for f in (rule, autodiff))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ["own", "dense"])
def test_derivatives_of_sums(kind):
    check(lambda r, e: rows.row_sums(e, of_all(r, 5), INDICATOR), [(4, 5)], kind)


@pytest.mark.parametrize("kind", ["own", "dense"])
def test_derivatives_of_hyperbolic_tangents(kind):
    def function(r, site):
        return rows.row_tanh(of_all(r, 5), site, of_all(r, 4, 5)[:2], MEMBERS)

    check(function, [(4, 5)], kind)


@pytest.mark.parametrize(("kind", "small"), [("own", 0), ("dense", rows.SMALL)])
@pytest.mark.parametrize("parts", [(1, 1, 1), (2, 1, 1), (2, 2, 1), (2, 1, 2), (2, 2, 2)])
def test_derivatives_of_products(parts, kind, small, monkeypatch):
    monkeypatch.setattr(rows, "SMALL", small)
    rows.row_products.clear_cache()
    rng = np.random.default_rng(1)
    c = [jnp.asarray(rng.normal(size=(3, parts[2], *shape, 3))) for shape in SHAPES]

    def function(r, *s):
        return rows.row_products(of_all(r, 2, parts[0], 2, 6), *s, *c)

    check(function, [(parts[1], *shape) for shape in SHAPES], kind)


def test_sums_are_over_the_particles_of_a_species():
    walker = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3)))
    e, shared = of_one(walker, 4, 5), of_all(walker, 5)
    found = rows.row_sums(e, shared, INDICATOR)
    np.testing.assert_allclose(found[0], e[0] * shared[0] + e[1] * shared[1], rtol=1e-12)
    np.testing.assert_allclose(found[1], e[2] * shared[2], rtol=1e-12)


@pytest.mark.parametrize("parts", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_orbitals_are_sums_of_functions_times_coefficients(parts):
    rng = np.random.default_rng(1)
    s = [rng.normal(size=(3, parts[0], *shape)) for shape in SHAPES]
    c = [rng.normal(size=(3, parts[1], *shape, 5)) for shape in SHAPES]
    f = rng.normal(size=(3, 2, 2, 4, 6))
    as_complex = lambda x, axis: sum(1j**k * np.take(x, k, axis) for k in range(x.shape[axis]))
    phi = [
        np.einsum("natm,natmj->natj", as_complex(a, 1), as_complex(b, 1))
        for a, b in zip(s, c, strict=True)
    ]
    expected = np.einsum("iakt,iatj->kij", as_complex(f, 2), np.concatenate(phi, axis=2))
    np.testing.assert_allclose(rows.row_products(f, *s, *c), expected, rtol=1e-12)

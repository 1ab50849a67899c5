"""The ansatz: reference determinant, holes, symmetry, derivatives, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from engine.config.fock import FockAnsatzConfig
from engine.errors import ConfigError
from engine.fock.backflow import make_backflow, reference_orbitals, uses_holes
from engine.fock.determinants import FockSpace, enumerate_all, unpack
from tests.fock.systems import hydrogen, molecule

WATER = (("O", "H", "H"), [[0, 0, 0], [0.2774, 0.8929, 0.2544], [0.6068, -0.2383, -0.7169]])
CASES = {
    "half": FockSpace(4, 2, 2),
    "below": FockSpace(5, 2, 1),
    "holes": FockSpace(4, 3, 3),
    "many": FockSpace(66, 2, 2),
}


def made(space, is_complex=False, dtype=jnp.float64, **config):
    rng = np.random.default_rng(0)
    columns = 2 * space.n_orbitals - space.n_electrons if uses_holes(space) else space.n_electrons
    reference = jnp.asarray(rng.normal(size=(2 * space.n_orbitals, columns)))
    options = FockAnsatzConfig(width=8, scale=0.3, **config)
    model = make_backflow(options, space, is_complex=is_complex, dtype=dtype)
    params = model.wavefunction.init(jax.random.key(1), space, reference)
    return model, params, reference


def some(space):
    if space.n_orbitals < 10:
        return enumerate_all(space)
    return jnp.asarray(
        np.random.default_rng(0).permutation(
            np.array([[[3, 0], [3, 0]], [[1, 2], [5, 0]], [[0, 3], [9, 0]]], np.uint64)
        )
    )


def amplitudes(model, params, reference, every):
    psi = jax.vmap(lambda x: model.wavefunction.apply(params, x, None, reference))(every)
    return np.asarray(jnp.exp(psi.log + 1j * psi.arg))


@pytest.mark.parametrize("orbitals", ["canonical", "oao"])
@pytest.mark.parametrize("system", ["water", "chain"])
def test_without_corrections_it_is_the_mean_field_determinant(system, orbitals):
    """Also with more than half of the orbitals filled, where the holes carry the determinant."""
    made_by = {
        "water": lambda: molecule(*WATER, orbitals=orbitals),
        "chain": lambda: hydrogen(4, 1.8, orbitals=orbitals),
    }
    integrals = made_by[system]()
    space = FockSpace(integrals.n_orbitals, integrals.n_up, integrals.n_down)
    assert uses_holes(space) == (system == "water")
    model = make_backflow(FockAnsatzConfig(), space, is_complex=False, dtype=jnp.float64)
    reference = jnp.asarray(reference_orbitals(integrals))
    params = model.wavefunction.init(jax.random.key(0), space, reference)
    params = jax.tree.map(jnp.zeros_like, params)
    every = enumerate_all(space)
    found = amplitudes(model, params, reference, every)
    spins = np.asarray(unpack(every, space.n_orbitals))
    wanted = np.array(
        [np.linalg.det(integrals.up[u]) * np.linalg.det(integrals.down[d]) for u, d in spins]
    )
    place = np.argmax(np.abs(wanted))
    assert found / found[place] == pytest.approx(wanted / wanted[place], abs=1e-9)
    assert np.abs(wanted[place]) > 0.01


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("determinants", [1, 3])
def test_layers_give_the_derivatives_by_all_parameters(name, is_complex, determinants):
    """input x slope, layer by layer, is what automatic differentiation finds."""
    space = CASES[name]
    model, params, reference = made(space, is_complex, determinants=determinants)
    x = some(space)[-1]

    def parts(p):
        psi = model.wavefunction.apply(p, x, space, reference)
        return jnp.stack(psi) if is_complex else psi.log[None]

    wanted = jax.jacrev(parts)(params)
    psi, inputs, slopes = model.derivatives(params, x, reference)
    assert psi.log == parts(params)[0]
    assert set(inputs) == set(slopes) == set(params)
    for layer in params:
        outer = inputs[layer][None, :, None] * slopes[layer][:, None, :]
        assert outer == pytest.approx(np.asarray(wanted[layer]["kernel"]), abs=1e-10)
        assert slopes[layer] == pytest.approx(np.asarray(wanted[layer]["bias"]), abs=1e-10)
    flat = np.asarray(ravel_pytree(wanted)[0])
    assert np.isfinite(flat).all() and np.abs(flat).max() > 1e-3


def test_spin_flip_symmetry_is_exact():
    space = CASES["half"]
    model, params, reference = made(space, spin_flip=True)
    every = enumerate_all(space)
    found = amplitudes(model, params, reference, every)
    assert (found == amplitudes(model, params, reference, every[:, ::-1])).all()
    plain, params, reference = made(space)
    other = amplitudes(plain, params, reference, every)
    assert np.abs(other - amplitudes(plain, params, reference, every[:, ::-1])).max() > 1e-3


def test_spin_flip_of_a_polarised_system_is_refused():
    with pytest.raises(ConfigError, match="equal numbers"):
        made(CASES["below"], spin_flip=True)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("is_complex", [False, True])
def test_single_precision_stays_single(name, is_complex):
    model, params, reference = made(CASES[name], is_complex, dtype=jnp.float32)
    x = some(CASES[name])[0]
    psi = model.wavefunction.apply(params, x, None, reference)
    assert {a.dtype for a in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert psi.log.dtype == psi.arg.dtype == jnp.float32
    double = made(CASES[name], is_complex)[0]
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), params)
    other = double.wavefunction.apply(wide, x, None, reference)
    assert float(psi.log) == pytest.approx(float(other.log), abs=1e-3)


def test_a_batch_is_a_loop():
    model, params, reference = made(CASES["half"], True)
    every = enumerate_all(CASES["half"])[:7]
    batch = jax.jit(jax.vmap(lambda x: model.wavefunction.apply(params, x, None, reference)))(every)
    one = [model.wavefunction.apply(params, x, None, reference) for x in every]
    assert batch.log == pytest.approx(np.array([p.log for p in one]), abs=1e-10)

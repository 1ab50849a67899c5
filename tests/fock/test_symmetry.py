"""Translations of the simulation cell: orbitals, determinants, amplitudes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from engine.config.fock import FockAnsatzConfig, FockOptimizerConfig
from engine.errors import ConfigError
from engine.fock import natural, slater_condon
from engine.fock.backflow import make_backflow, reference_orbitals
from engine.fock.determinants import NONE, FockSpace, enumerate_all, unpack
from engine.fock.gram import gram_matrix
from engine.fock.natural import make_fock_optimizer
from engine.fock.subspace import make_subspace
from engine.fock.symmetry import translations_of
from engine.io.integrals import read_integrals, write_integrals
from engine.mean_field.translations import cell_translations
from tests.fock.systems import hydrogen

RING = {"periodic": True, "cells": (3, 1, 1), "orbitals": "oao"}
CASES = {
    "gamma": {},
    "antiperiodic": {"twist": (0.5, 0, 0)},
    "twisted": {"twist": (0.25, 0, 0), "is_complex": True},
}


def moves(integrals):
    """Returns (K, n, n) the matrices of the translations among orbitals."""
    n = integrals.n_orbitals
    matrices = np.zeros((len(integrals.places), n, n), complex)
    for matrix, places, turns in zip(matrices, integrals.places, integrals.turns, strict=True):
        matrix[places, np.arange(n)] = np.exp(-2j * np.pi * turns)
    return matrices


def among_determinants(U, every, n):
    """Returns D(t) in the space of determinants from minors of U: no rule about signs enters."""
    D = np.ones((len(every), len(every)), complex)
    for rows in np.moveaxis(np.asarray(unpack(every, n)), 1, 0):
        strings, of = np.unique(rows, axis=0, return_inverse=True)
        chosen = [np.flatnonzero(x) for x in strings]
        minors = np.array([[np.linalg.det(U[np.ix_(y, x)]) for x in chosen] for y in chosen])
        D *= minors[of.reshape(-1)][:, of.reshape(-1)]
    return D


@pytest.mark.parametrize("name", CASES)
def test_the_hamiltonian_commutes_with_the_translations(name):
    integrals = hydrogen(2, 1.8, **RING, **CASES[name])
    for U in moves(integrals):
        assert U @ integrals.one_body @ U.conj().T == pytest.approx(integrals.one_body, abs=1e-7)
        moved = np.einsum(
            "ap,bq,pqrs,cr,ds->abcd", U, U.conj(), integrals.two_body, U, U.conj(), optimize=True
        )
        assert np.abs(moved - integrals.two_body).max() < 1e-7


def test_translations_of_a_skewed_cell_are_a_group():
    S = np.array([[2, 1, 0], [0, 2, 0], [0, 0, 1]])
    places, _ = cell_translations(S, np.zeros(3), 2)
    known = {tuple(p) for p in places}
    assert len(known) == 4 and tuple(range(8)) in known
    assert all(tuple(p[q]) in known for p in places for q in places)


@pytest.mark.parametrize("spin_flip", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_amplitudes_have_the_momentum_of_the_mean_field(name, spin_flip):
    """D(t) psi = chi psi for a random network, and chi is that of the determinant."""
    integrals = hydrogen(2, 1.8, **RING, **CASES[name])
    space = FockSpace(6, 3, 3)
    shifts = translations_of(integrals)
    options = FockAnsatzConfig(width=8, scale=0.5, spin_flip=spin_flip)
    number = {"is_complex": integrals.is_complex, "dtype": jnp.float64}
    model = make_backflow(options, space, **number, translations=shifts)
    reference = jnp.asarray(reference_orbitals(integrals))
    every = enumerate_all(space)
    params = model.wavefunction.init(jax.random.key(3), space, reference)

    def amplitudes(params):
        psi = jax.vmap(lambda x: model.wavefunction.apply(params, x, None, reference))(every)
        return np.exp(np.asarray(psi.log) + 1j * np.asarray(psi.arg))

    mean_field = amplitudes(jax.tree.map(jnp.zeros_like, params))
    psi = amplitudes(params)
    assert (psi != 0).sum() > 100
    for U, character in zip(moves(integrals), shifts.characters, strict=True):
        D = among_determinants(U, every, 6)
        for vector in (psi, mean_field):
            wanted = np.exp(2j * np.pi * character) * vector
            assert D @ vector == pytest.approx(wanted, abs=1e-8 * np.abs(vector).max())
    spins = np.asarray(unpack(every, 6))
    plain = [np.linalg.det(integrals.up[u]) * np.linalg.det(integrals.down[d]) for u, d in spins]
    assert mean_field == pytest.approx(np.array(plain), abs=1e-8)


def test_the_file_keeps_them_and_other_orbitals_have_none(tmp_path):
    integrals = hydrogen(2, 1.8, **RING)
    write_integrals(tmp_path / "i.h5", integrals, "f")
    again = read_integrals(tmp_path / "i.h5")
    assert (again.places == integrals.places).all() and (again.turns == integrals.turns).all()
    with pytest.raises(ConfigError, match="canonical orbitals"):
        translations_of(hydrogen(2, 1.8, **RING | {"orbitals": "canonical"}))


def test_a_mean_field_of_lower_symmetry_is_refused():
    import dataclasses

    integrals = hydrogen(2, 1.8, **RING)
    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 3)))[0]
    with pytest.raises(ConfigError, match="same in all cells"):
        translations_of(dataclasses.replace(integrals, up=mixed))


@pytest.mark.parametrize("name", CASES)
def test_one_row_of_every_orbit_gives_the_step_of_all(name, monkeypatch):
    """Two steps of SPRING, with momentum; orbits have up to six rows."""
    integrals = hydrogen(2, 1.8, **RING, **CASES[name])
    space, H = FockSpace(6, 3, 3), slater_condon.hamiltonian(integrals)
    number = {"is_complex": integrals.is_complex, "dtype": jnp.float64}
    ansatz = FockAnsatzConfig(width=8, scale=0.5, spin_flip=True)
    model = make_backflow(ansatz, space, **number, translations=translations_of(integrals))
    reference = jnp.asarray(reference_orbitals(integrals))
    every = enumerate_all(space)
    empty = jnp.full((10, *every.shape[1:]), NONE, jnp.uint64)
    subspace = make_subspace(space)(H, jnp.concatenate([every, empty]), every[:0])
    start = model.wavefunction.init(jax.random.key(3), space, reference)
    rows = []

    def recorded(model, params, words, *others):
        rows.append(len(words))
        return gram_matrix(model, params, words, *others)

    def after(model):
        options = FockOptimizerConfig(krylov=4, learning_rate=0.5, norm_constraint=1.0)
        optimizer = make_fock_optimizer(model, options, is_complex=integrals.is_complex)
        params, state = start, optimizer.init(start)
        for _ in range(2):
            params, state, _ = optimizer.step(params, state, subspace, reference)
        return ravel_pytree(params)[0]

    monkeypatch.setattr(natural, "gram_matrix", recorded)
    of_orbits, of_all = after(model), after(model._replace(representative=None))
    assert rows[0] < 100 and rows[1] == 410  # orbits have up to six of the 400 determinants
    moved = of_all - ravel_pytree(start)[0]
    assert jnp.linalg.norm(moved) > 0.1
    assert jnp.linalg.norm(of_orbits - of_all) < 1e-8 * jnp.linalg.norm(moved)

"""Energies of a network against dense matrices; sampling against the exact distribution."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config.fock import FockAnsatzConfig, FockOptimizerConfig
from engine.fock import slater_condon as sc
from engine.fock.backflow import make_backflow
from engine.fock.determinants import NONE, FockSpace
from engine.fock.estimators import core_energies
from engine.fock.functional import make_amplitudes, residual
from engine.fock.gram import gram_matrix
from engine.fock.markov import FockWalkers, make_chain, make_fock_local_energy
from engine.fock.natural import make_fock_optimizer
from engine.fock.subspace import make_subspace
from tests.fock.test_slater_condon import matrix, random_integrals

pytestmark = pytest.mark.slow  # programs of many shapes: minutes of compilation

CORE, SURVIVORS = np.arange(3, 40, 3), np.arange(4, 40, 3)


@functools.cache
def world(is_complex):
    """Returns a random Hamiltonian of 100 determinants and a random network on it."""
    space = FockSpace(5, 3, 2)
    h, g = random_integrals(5, 21, is_complex)
    H = sc.make_operator(0.3 * h - np.diag([4.0, 3, 2, 1, 0]), 0.05 * g, 0.4)
    T = sc.make_operator(random_integrals(5, 22, is_complex)[0], 0 * g, 0.1)
    options = FockAnsatzConfig(width=6, layers=2, scale=0.6)
    model = make_backflow(options, space, is_complex=is_complex, dtype=jnp.float64)
    reference = jnp.asarray(np.random.default_rng(0).normal(size=(10, 5)))
    params = model.wavefunction.init(jax.random.key(2), space, reference)
    full, every = matrix(space, H)
    amplitudes = jax.jit(make_amplitudes(model.wavefunction, is_complex=is_complex))
    return space, H, T, model, params, reference, full, every, amplitudes


def quotient(matrix, psi):
    return (psi.conj() @ matrix @ psi).real / (psi.conj() @ psi).real


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("buffer", [10**6, 60])
def test_every_energy_is_the_sum_it_is_named_after(is_complex, buffer):
    """Also where a small buffer makes the outside come in slices."""
    space, H, T, model, params, reference, full, every, amplitudes = world(is_complex)
    psi = np.asarray(amplitudes(params, every, reference))
    empty = jnp.full((3, *every.shape[1:]), NONE, jnp.uint64)  # slots that do not count
    found = core_energies(
        model.wavefunction,
        space,
        params,
        reference,
        jnp.concatenate([every[CORE], empty]),
        H,
        T,
        is_complex=is_complex,
        chunk=5,
        buffer=buffer,
        asymmetric_slices=np.inf,
    )
    core = psi[CORE] / np.linalg.norm(psi[CORE])
    inside = full[np.ix_(CORE, CORE)]
    energy = quotient(inside, core)
    outside = np.setdiff1d(np.arange(len(every)), CORE)
    tail = full[np.ix_(outside, CORE)] @ core
    gaps = energy - np.diag(full)[outside].real
    wanted = (np.abs(tail) ** 2 / gaps).sum() if (gaps[np.abs(tail) > 0] < 0).all() else np.nan
    row = core.conj() @ full[CORE] @ psi / np.linalg.norm(psi[CORE])
    assert found.projected == pytest.approx(energy, abs=1e-10)
    assert found.selected_ci == pytest.approx(np.linalg.eigvalsh(inside)[0], abs=1e-10)
    assert found.pt2 == pytest.approx(wanted, abs=1e-10, nan_ok=True)
    assert found.asymmetric == pytest.approx(row.real, abs=1e-10)
    assert found.variance == pytest.approx(np.linalg.norm(inside @ core - energy * core) ** 2)
    assert found.connected == (np.abs(full[np.ix_(outside, CORE)]).max(axis=1) > 0).sum()
    assert found.complete
    for operator, value in ((T, found.kinetic), (sc.spin_squared(space), found.spin_squared)):
        dense = matrix(space, operator)[0][np.ix_(CORE, CORE)]
        assert value == pytest.approx(quotient(dense, core), abs=1e-10)


def test_second_order_is_that_of_the_textbook_for_a_dominant_determinant():
    """The correction of the lowest determinant alone, which has all denominators negative."""
    space, H, T, model, params, reference, full, every, _ = world(False)
    first = int(np.argmin(np.diag(full)))
    found = core_energies(
        model.wavefunction,
        space,
        params,
        reference,
        every[first : first + 1],
        H,
        T,
        is_complex=False,
        chunk=4,
        buffer=10**6,
    )
    others = np.delete(np.arange(len(every)), first)
    terms = full[others, first] ** 2 / (full[first, first] - np.diag(full)[others])
    assert np.isfinite(found.pt2) and found.pt2 == pytest.approx(terms.sum(), abs=1e-10)
    assert found.pt2 < -1e-3


@pytest.mark.parametrize("is_complex", [False, True])
def test_local_energies_average_to_the_exact_expectation(is_complex):
    """Weighted with |psi|^2 they give <H>; single by single they are H psi / psi."""
    space, H, T, model, params, reference, full, every, amplitudes = world(is_complex)
    psi = np.asarray(amplitudes(params, every, reference))
    local = make_fock_local_energy(model.wavefunction, space, is_complex=is_complex)
    energy, kinetic = local(params, every, reference, H, T)
    assert np.asarray(energy) == pytest.approx((full @ psi) / psi, rel=1e-9)
    weights = np.abs(psi) ** 2 / (np.abs(psi) ** 2).sum()
    assert (weights * np.asarray(energy)).sum().real == pytest.approx(quotient(full, psi))
    dense = matrix(space, T)[0]
    assert (weights * np.asarray(kinetic)).sum().real == pytest.approx(quotient(dense, psi))


def test_the_chain_visits_determinants_as_often_as_psi_squared_says():
    space, _, _, model, params, reference, _, every, amplitudes = world(False)
    psi = np.asarray(amplitudes(params, every, reference))
    weights = psi**2 / (psi**2).sum()
    chain = make_chain(model.wavefunction, space, 20)
    walkers = FockWalkers(jnp.broadcast_to(every[0], (2000, 2, 1)), jnp.zeros(2000))
    place = {tuple(w.ravel()): k for k, w in enumerate(np.asarray(every))}
    counts = np.zeros(len(every))
    for step in range(12):
        walkers, acceptance = chain(params, walkers, reference, jax.random.key(step))
        if step >= 2:
            for w in np.asarray(walkers.words):
                counts[place[tuple(w.ravel())]] += 1
    frequency = counts / counts.sum()
    error = np.sqrt(weights * (1 - weights) / 2000)  # at most as many independent samples
    assert (np.abs(frequency - weights) < 5 * error + 1e-4).all()
    assert 0 < float(acceptance) < 1 and (counts > 0).sum() > len(every) / 2


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("functional", ["full", "symmetric", "projected", "asymmetric"])
def test_functionals_are_those_of_the_dense_blocks(functional, is_complex):
    space, H, _, _, params, reference, full, every, amplitudes = world(is_complex)
    both = np.concatenate([CORE, SURVIVORS])
    lists = (both, both[:0]) if functional == "full" else (CORE, SURVIVORS)
    sub = make_subspace(space)(H, *(every[x] for x in lists))
    psi = np.asarray(amplitudes(params, every[both], reference))
    found = residual(sub, jnp.asarray(psi), functional)
    v = len(CORE)
    block = full[np.ix_(both, both)].copy()
    if functional != "full":
        block[v:, v:] = np.diag(np.diag(block[v:, v:]))
    if functional == "projected":
        block, psi = block[:v, :v], psi[:v]
    image = block @ psi
    if functional == "asymmetric":
        image, psi = image[:v], psi[:v]
    energy = (psi.conj() @ image).real / (psi.conj() @ psi).real
    assert float(found.energy) == pytest.approx(energy, abs=1e-10)
    wanted = (image - energy * psi) / np.linalg.norm(psi)
    assert np.asarray(found.vector) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.parametrize("is_complex", [False, True])
def test_the_gram_matrix_is_that_of_the_jacobian(is_complex):
    space, _, _, model, params, reference, _, every, amplitudes = world(is_complex)
    words = every[CORE]
    jacobian = jax.jacrev(
        lambda p: jnp.stack(
            [(psi := amplitudes(p, words, reference)).real] + ([psi.imag] if is_complex else [])
        )
    )(params)
    leaves = [np.asarray(leaf).reshape(-1, *leaf.shape[2:]) for leaf in jax.tree.leaves(jacobian)]
    rows = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    psi = amplitudes(params, words, reference)
    found = gram_matrix(model, params, words, reference, psi)
    assert np.asarray(found) == pytest.approx(rows @ rows.T, abs=1e-10)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("functional", ["symmetric", "projected"])
def test_adam_follows_the_derivative_of_the_energy(functional, is_complex):
    """Its first step has the sign of the derivative by finite differences."""
    space, H, _, model, params, reference, _, every, amplitudes = world(is_complex)
    sub = make_subspace(space)(H, every[CORE], every[SURVIVORS])

    def energy(p):
        psi = amplitudes(p, sub.words, reference)
        return residual(sub, psi, functional).energy

    slope = jax.grad(energy)(params)
    options = FockOptimizerConfig(name="adam", functional=functional, learning_rate=1e-3)
    optimizer = make_fock_optimizer(model, options, is_complex=is_complex)
    moved, _, info = optimizer.step(params, optimizer.init(params), sub, reference)
    length = np.sqrt(sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(slope)))
    assert float(info["gradient_norm"]) == pytest.approx(length, rel=1e-8)
    for g, a, b in zip(*map(jax.tree.leaves, (slope, params, moved)), strict=True):
        large = np.abs(np.asarray(g)) > 1e-6
        assert (np.sign(g)[large] == -np.sign(b - a)[large]).all()


@pytest.mark.parametrize("is_complex", [False, True])
def test_minsr_is_the_regularised_natural_gradient(is_complex):
    """J^T (J J^T + lambda)^-1 b in sample space is (J^T J + lambda)^-1 J^T b in parameter space."""
    space, H, _, model, params, reference, _, every, amplitudes = world(is_complex)
    sub = make_subspace(space)(H, every[CORE], every[SURVIVORS])
    options = FockOptimizerConfig(
        functional="symmetric",
        momentum=0.0,
        damping=1e-2,
        learning_rate=0.5,
        norm_constraint=1e6,
    )
    optimizer = make_fock_optimizer(model, options, is_complex=is_complex)
    moved, _, info = optimizer.step(params, optimizer.init(params), sub, reference)

    def normalised(p):
        psi = amplitudes(p, sub.words, reference)
        psi = psi / jnp.sqrt(jnp.sum(jnp.abs(psi) ** 2))
        return jnp.concatenate([psi.real, psi.imag]) if is_complex else psi

    rows = jax.jacrev(normalised)(params)
    flat = jax.flatten_util.ravel_pytree
    J = np.stack(
        [
            np.asarray(flat(jax.tree.map(lambda a, k=k: a[k], rows))[0])
            for k in range(len(jax.tree.leaves(rows)[0]))
        ]
    )
    psi = normalised(params)
    if is_complex:  # the phase is free too
        half = len(psi) // 2
        turn = np.concatenate([-np.asarray(psi[half:]), np.asarray(psi[:half])])
        J = J - np.outer(turn, turn @ J)
    b = residual(sub, amplitudes(params, sub.words, reference), "symmetric").vector
    b = np.asarray(jnp.concatenate([b.real, b.imag]) if is_complex else b)
    wanted = np.linalg.solve(J.T @ J + 1e-2 * np.eye(J.shape[1]), J.T @ b)
    found = (np.asarray(flat(params)[0]) - np.asarray(flat(moved)[0])) / 0.5
    assert found == pytest.approx(wanted, abs=1e-7 * np.abs(wanted).max())
    assert float(info["learning_rate"]) == pytest.approx(0.5)

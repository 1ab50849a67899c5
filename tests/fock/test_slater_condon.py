"""Matrix elements against PySCF's FCI, against second quantisation written out, and counts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf import fci

from engine.fock import slater_condon as sc
from engine.fock.determinants import (
    FockSpace,
    aufbau,
    enumerate_all,
    excitation_table,
    orbitals_of,
    pack,
    rank,
    unpack,
)


def random_integrals(n, seed=0, is_complex=False):
    """Returns h_pq and (pq|rs) with the symmetries of a real or a complex Hamiltonian."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.normal(size=shape) + (1j * rng.normal(size=shape) if is_complex else 0)

    h, factors = draw(n, n), draw(3, n, n)
    factors = factors + factors.conj().transpose(0, 2, 1)
    if not is_complex:
        return h + h.T, np.einsum("xpq,xrs->pqrs", factors, factors)
    g = np.einsum("xpq,xrs->pqrs", factors, factors)
    return h + h.conj().T, g


def matrix(space, H):
    """Returns <y|H|x> between all determinants."""
    every = enumerate_all(space)
    element = jax.vmap(jax.vmap(lambda y, x: sc.between(space, H, y, x), (None, 0)), (0, None))
    return np.asarray(jax.jit(element)(every, every)), every


@pytest.mark.parametrize(("n", "up", "down"), [(5, 3, 2), (6, 2, 2), (6, 4, 4)])
def test_H_psi_is_that_of_PySCF_on_random_vectors(n, up, down):
    h, g = random_integrals(n)
    space = FockSpace(n, up, down)
    found, every = matrix(space, sc.make_operator(h, g, 0.7))
    spins = np.asarray(unpack(every, n))
    strings = [fci.cistring.make_strings(range(n), count) for count in (up, down)]
    address = [np.searchsorted(s, spins[:, k] @ (1 << np.arange(n))) for k, s in enumerate(strings)]
    vector = np.random.default_rng(1).normal(size=(len(strings[0]), len(strings[1])))
    absorbed = fci.direct_spin1.absorb_h1e(h, g, n, (up, down), 0.5)
    wanted = fci.direct_spin1.contract_2e(absorbed, vector, n, (up, down)) + 0.7 * vector
    found = found @ vector[address[0], address[1]]
    assert np.abs(found - wanted[address[0], address[1]]).max() < 1e-10


def annihilators(n):
    """Returns the annihilators of 2 n spin orbitals as matrices: Jordan and Wigner."""
    z, lower, one = np.diag([1.0, -1.0]), np.array([[0, 1.0], [0, 0]]), np.eye(2)
    result = []
    for k in range(2 * n):
        product = np.eye(1)
        for site in range(2 * n):
            product = np.kron(product, z if site < k else lower if site == k else one)
        result.append(product)
    return result


def test_complex_hamiltonian_is_the_sum_of_products_of_operators():
    n, space = 3, FockSpace(3, 2, 1)
    h, g = random_integrals(n, 3, is_complex=True)
    a = annihilators(n)
    whole = 0
    for s in (0, n):
        whole = whole + sum(h[p, q] * a[s + p].T @ a[s + q] for p, q in np.ndindex(n, n))
        for t in (0, n):
            whole = whole + 0.5 * sum(
                g[p, q, u, v] * a[s + p].T @ a[t + u].T @ a[t + v] @ a[s + q]
                for p, q, u, v in np.ndindex(n, n, n, n)
            )
    found, every = matrix(space, sc.make_operator(h, g, 0.0))
    flat = np.asarray(unpack(every, n)).reshape(len(every), -1)
    index = flat @ (1 << np.arange(2 * n)[::-1])
    assert np.abs(found - whole[np.ix_(index, index)]).max() < 1e-12
    assert np.abs(found.imag).max() > 0.1


def test_spin_squared_has_the_eigenvalues_of_angular_momentum():
    found, _ = matrix(space := FockSpace(4, 2, 2), sc.spin_squared(space))
    values = np.round(np.linalg.eigvalsh(found), 9)
    assert {0.0: 20, 2.0: 15, 6.0: 1} == dict(
        zip(*np.unique(values, return_counts=True), strict=True)
    )
    found, _ = matrix(space := FockSpace(4, 3, 2), sc.spin_squared(space))
    assert set(np.round(np.linalg.eigvalsh(found), 9)) == {0.75, 3.75}


@pytest.mark.parametrize(
    ("n", "up", "down", "count"),
    [(10, 5, 5, 875), (8, 4, 4, 360), (30, 15, 15, 73125), (32, 16, 16, 94848), (6, 4, 1, 59)],
)
def test_the_number_of_connections_is_exact(n, up, down, count):
    space = FockSpace(n, up, down)
    assert space.n_connected == count == len(excitation_table(space))


@pytest.mark.parametrize(("n", "up", "down"), [(6, 3, 2), (70, 3, 2)])
def test_connections_are_all_the_determinants_of_rank_one_and_two(n, up, down):
    """Also beyond 64 orbitals, where a spin has two words."""
    space = FockSpace(n, up, down)
    rng = np.random.default_rng(2)
    rows = np.zeros((2, n), bool)
    for row, count in zip(rows, (up, down), strict=True):
        row[rng.choice(n, count, replace=False)] = True
    x = pack(jnp.asarray(rows))
    found = sc.connected(space)(x)
    assert len(np.unique(np.asarray(found).reshape(len(found), -1), axis=0)) == space.n_connected
    assert set(np.asarray(rank(x, found))) == {1, 2}
    counts = np.asarray(unpack(found, n)).sum(axis=-1)
    assert (counts == [up, down]).all()


@pytest.mark.parametrize("is_complex", [False, True])
def test_elements_of_connections_are_those_between_pairs(is_complex):
    n, space = 7, FockSpace(7, 3, 4)
    H = sc.make_operator(*random_integrals(n, 5, is_complex), 0.0)
    x = enumerate_all(space)[321]
    listed = sc.connected_elements(space)(H, x)
    pairs = jax.vmap(lambda y: sc.between(space, H, y, x))(sc.connected(space)(x))
    assert np.abs(listed - pairs).max() < 1e-12


def test_words_and_occupations_are_the_same_thing_for_130_orbitals():
    rng = np.random.default_rng(7)
    occupation = rng.random((5, 2, 130)) < 0.5
    words = pack(jnp.asarray(occupation))
    assert words.shape == (5, 2, 3) and words.dtype == jnp.uint64
    assert (np.asarray(unpack(words, 130)) == occupation).all()
    differing = (occupation[0] != occupation[1]).sum()
    assert int(rank(words[0], words[1])) == differing // 2


def test_the_first_determinant_has_the_first_orbitals():
    occupied, empty = orbitals_of(FockSpace(4, 2, 1), aufbau(FockSpace(4, 2, 1)))
    assert list(occupied) == [0, 1, 4] and list(empty) == [2, 3, 5, 6, 7]

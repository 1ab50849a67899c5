"""Slater-Condon rules: matrix elements of the Hamiltonian between determinants.

diagonal        sum_i h_ii + 1/2 sum_ij [(ii|jj) - same spin (ij|ji)]
i -> a          sign (h_ai + sum_k [(ai|kk) - same spin (ak|ki)])
i, j -> a, b    sign ((ai|bj) - (aj|bi)), where only pairs of equal spin count

The sign is the parity of the occupied spin orbitals that each electron passes, one after the
other. Everything is written for one determinant; `vmap` outside.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.fock.determinants import FockSpace, bit_masks, excitation_table, orbitals_of, unpack
from engine.io.integrals import Integrals


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FockHamiltonian:
    """A spin-free two-body operator in arrays that the rules read, hartree.

    Attributes:
        one_body: (n, n) h_pq.
        two_body: (n, n, n, n) (pq|rs).
        coulomb: (n, n, n) (pq|kk).
        exchange: (n, n, n) (pk|kq).
        constant: Scalar, on the diagonal.
    """

    one_body: Array
    two_body: Array
    coulomb: Array
    exchange: Array
    constant: Array


def make_operator(one_body, two_body, constant: float) -> FockHamiltonian:
    """Builds the operator of arrays h_pq and (pq|rs)."""
    one, two = jnp.asarray(one_body), jnp.asarray(two_body)
    coulomb, exchange = jnp.einsum("pqkk->pqk", two), jnp.einsum("pkkq->pqk", two)
    return FockHamiltonian(one, two, coulomb, exchange, jnp.asarray(constant, jnp.float64))


def hamiltonian(integrals: Integrals) -> FockHamiltonian:
    """Builds the electronic Hamiltonian; its constant holds nuclei, Madelung term, frozen core."""
    return make_operator(integrals.one_body, integrals.two_body, integrals.constant)


def kinetic(integrals: Integrals) -> FockHamiltonian:
    """Builds the kinetic energy."""
    zero = np.zeros_like(integrals.two_body)
    return make_operator(integrals.kinetic, zero, integrals.frozen_kinetic)


def spin_squared(space: FockSpace) -> FockHamiltonian:
    """Builds S^2.

    S^2 = constant - 1/2 sum_pq a+_ps a+_qt a_pt a_qs summed over spins s, t, that is
    (pq|qp) = -1 and constant = S_z^2 + N - (N_up^2 + N_down^2) / 2.
    """
    n, up, down = space.n_orbitals, space.n_up, space.n_down
    two = np.zeros((n, n, n, n))
    p, q = np.indices((n, n))
    two[p, q, q, p] = -1.0
    constant = (up - down) ** 2 / 4 + up + down - (up**2 + down**2) / 2
    return make_operator(np.zeros((n, n)), two, constant)


def diagonal(space: FockSpace, H: FockHamiltonian, x: Array) -> Array:
    """Returns <x|H|x>, a real scalar."""
    spins = unpack(x, space.n_orbitals).astype(jnp.float64)
    total = spins.sum(axis=0)
    levels = jnp.diagonal(H.one_body).real
    coulomb = jnp.einsum("ppk->pk", H.coulomb).real
    exchange = jnp.einsum("ppk->pk", H.exchange).real
    pairs = total @ coulomb @ total - jnp.einsum("sp,pk,sk->", spins, exchange, spins)
    return total @ levels + 0.5 * pairs + H.constant


def make_levels(space: FockSpace):
    """Builds the compiled (H, words (M, 2, w)) -> (M,) <x|H|x>."""

    @jax.jit
    def levels(H: FockHamiltonian, words: Array) -> Array:
        return jax.lax.map(lambda x: diagonal(space, H, x), words, batch_size=4096)

    return levels


def single(space: FockSpace, H: FockHamiltonian, occupied: Array, i: Array, a: Array) -> Array:
    """Returns <y|H|x> of y = a+_a a_i x; `occupied` (2 n,) is the occupation of x."""
    spin, p, q = i // space.n_orbitals, a % space.n_orbitals, i % space.n_orbitals
    spins = occupied.reshape(2, -1).astype(jnp.float64)
    field = H.coulomb[p, q] @ spins.sum(axis=0) - H.exchange[p, q] @ spins[spin]
    return _parity(_between(occupied, i, a)) * (H.one_body[p, q] + field)


def double(
    space: FockSpace, H: FockHamiltonian, occupied: Array, i: Array, j: Array, a: Array, b: Array
) -> Array:
    """Returns <y|H|x> of y = a+_b a_j a+_a a_i x; i, a have one spin and j, b have one."""
    n = space.n_orbitals
    passed = _between(occupied, i, a) + _between(occupied, j, b)
    passed = passed + _inside(i, j, b) + _inside(a, j, b)
    p, q, r, s = (orbital % n for orbital in (a, i, b, j))
    direct, crossed = H.two_body[p, q, r, s], H.two_body[p, s, r, q]
    return _parity(passed) * (direct - jnp.where(i // n == j // n, crossed, 0.0))


def _between(occupied: Array, i: Array, a: Array) -> Array:
    """Returns how many occupied spin orbitals lie strictly between i and a."""
    below = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(occupied.astype(jnp.int32))])
    return below[jnp.maximum(i, a)] - below[jnp.minimum(i, a) + 1]


def _inside(orbital: Array, j: Array, b: Array) -> Array:
    return ((jnp.minimum(j, b) < orbital) & (orbital < jnp.maximum(j, b))).astype(jnp.int32)


def _parity(count: Array) -> Array:
    return 1.0 - 2.0 * (count % 2)


def connected(space: FockSpace):
    """Builds x -> (n_connected, 2, w): the singles and doubles of a determinant."""
    table = jnp.asarray(excitation_table(space))
    return lambda x: excited(space, table, x)


def connected_elements(space: FockSpace):
    """Builds (H, x) -> (n_connected,) the elements <y|H|x>, in the order of `connected`."""
    table, n_singles = jnp.asarray(excitation_table(space)), space.n_singles

    def elements(H: FockHamiltonian, x: Array) -> Array:
        occupied = unpack(x, space.n_orbitals).reshape(-1)
        i, j, a, b = _named(space, table, x)
        ones = jax.vmap(lambda i, a: single(space, H, occupied, i, a))(i[:n_singles], a[:n_singles])
        twos = jax.vmap(lambda i, j, a, b: double(space, H, occupied, i, j, a, b))(
            i[n_singles:], j[n_singles:], a[n_singles:], b[n_singles:]
        )
        return jnp.concatenate([ones, twos])

    return elements


def excited(space: FockSpace, rows: Array, x: Array) -> Array:
    """Returns the determinants (..., 2, w) that rows (..., 4) of the excitation table make of x."""
    masks = jnp.asarray(bit_masks(space))
    i, j, a, b = _named(space, rows, x)
    return x ^ masks[i] ^ masks[a] ^ masks[j] ^ masks[b]


def _named(space: FockSpace, table: Array, x: Array) -> tuple[Array, ...]:
    """Returns the spin orbitals i, j, a, b of every excitation of x; -1 stands for none."""
    occupied, empty = orbitals_of(space, x)
    i, j, a, b = table.T
    return occupied[i], jnp.where(j < 0, -1, occupied[j]), empty[a], jnp.where(b < 0, -1, empty[b])


def between(space: FockSpace, H: FockHamiltonian, y: Array, x: Array) -> Array:
    """Returns <y|H|x> of any two determinants; zero beyond double excitations."""
    occupied = unpack(x, space.n_orbitals).reshape(-1)
    left, came = (unpack(w, space.n_orbitals).reshape(-1) for w in (x & ~y, y & ~x))
    last = len(occupied) - 1
    i, j = jnp.argmax(left), last - jnp.argmax(left[::-1])
    a, b = jnp.argmax(came), last - jnp.argmax(came[::-1])
    count = jnp.sum(left)
    return jnp.select(
        [count == 0, count == 1, count == 2],
        [
            diagonal(space, H, x).astype(H.one_body.dtype),
            single(space, H, occupied, i, a),
            double(space, H, occupied, i, j, a, b),
        ],
        0.0,
    )

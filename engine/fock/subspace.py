"""The effective Hamiltonian of core and survivors, kept between rebuilds as lists of neighbours.

S = V + P. Core rows see all of S, survivor rows see the core and their own diagonal:

H_eff = [[H_VV, H_VP], [H_PV, diag(H_PP)]]

Its Rayleigh quotient is the symmetric functional. The stationary amplitude of a survivor is the
Epstein-Nesbet one, so that |psi| tells who belongs into the core. With P left out it is the
Hamiltonian projected on the core, and the quotient is a bound.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.determinants import FockSpace, aufbau, keys, rank, valid
from engine.fock.slater_condon import (
    FockHamiltonian,
    between,
    connected,
    connected_elements,
    make_levels,
)

ROWS = 256
"""Rows compared with all columns at a time."""
SEARCH = 4
"""A look-up costs as much as about so many comparisons."""
IN_FLIGHT = 200_000
"""Excitations looked up at a time."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Subspace:
    """H_eff as lists: row i has `elements[i]` at the columns `neighbours[i]`.

    Attributes:
        words: (S, 2, w) core, then survivors; empty slots replaced by a real determinant.
        filled: (S,) 1.0, and 0.0 for empty slots.
        diagonal: (S,) H_ii, hartree.
        core_neighbours: (V, a) places in S.
        core_elements: (V, a) <x_i|H|x_j>, zero where a row has fewer neighbours.
        survivor_neighbours: (P, b) places in V.
        survivor_elements: (P, b).
    """

    words: Array
    filled: Array
    diagonal: Array
    core_neighbours: Array
    core_elements: Array
    survivor_neighbours: Array
    survivor_elements: Array

    @property
    def core_size(self) -> int:
        """Slots of the core V."""
        return len(self.core_neighbours)

    def apply(self, psi: Array) -> Array:
        """Returns (S,) H_eff psi."""
        core = psi[: self.core_size]
        coupled = [
            jnp.sum(self.core_elements * psi[self.core_neighbours], axis=1),
            jnp.sum(self.survivor_elements * core[self.survivor_neighbours], axis=1),
        ]
        return self.diagonal * psi + jnp.concatenate(coupled)

    def apply_core(self, core: Array) -> Array:
        """Returns (V,) H_VV psi of core amplitudes."""
        inside = self.core_neighbours < self.core_size
        padded = core[jnp.where(inside, self.core_neighbours, 0)]
        coupled = jnp.sum(jnp.where(inside, self.core_elements * padded, 0.0), axis=1)
        return self.diagonal[: self.core_size] * core + coupled


def make_subspace(space: FockSpace):
    """Builds (H, core (V, 2, w), survivors (P, 2, w)) -> Subspace; compiles per width of lists."""
    count = jax.jit(lambda rows, columns: _count(space, rows, columns))
    lists = jax.jit(
        lambda H, rows, columns, width: _lists(space, H, rows, columns, width),
        static_argnames="width",
    )
    levels = make_levels(space)

    def subspace(H: FockHamiltonian, core: Array, survivors: Array) -> Subspace:
        both = jnp.concatenate([core, survivors])
        filled = valid(both)
        words = jnp.where(filled[:, None, None], both, aufbau(space))
        sides = []
        for rows, columns in ((core, both), (survivors, core)):
            width = _bucket(int(count(rows, columns))) if len(rows) else 1
            sides += lists(H, rows, columns, width=width)
        return Subspace(words, filled.astype(jnp.float64), levels(H, words), *sides)

    return subspace


def _bucket(width: int) -> int:
    """Returns the next power of two: each width is a program of its own, and those take seconds."""
    return max(16, 1 << max(width - 1, 0).bit_length())


def _searched(space: FockSpace, columns: Array) -> bool:
    """Tells whether excitations are looked up among the columns, or all columns compared."""
    return SEARCH * space.n_connected < len(columns)


def _count(space: FockSpace, rows: Array, columns: Array) -> Array:
    """Returns the largest number of columns that a row couples to."""
    if not _searched(space, columns):
        counts = jax.lax.map(lambda x: jnp.sum(_coupled(x, columns)), rows, batch_size=ROWS)
        return jnp.max(counts)
    excited, find = connected(space), _make_find(space, columns)

    def one(row):
        return jnp.sum(find(excited(row))[0] & valid(row))

    return jnp.max(jax.lax.map(one, rows, batch_size=_rows_at_a_time(space)))


def _lists(space: FockSpace, H: FockHamiltonian, rows: Array, columns: Array, width: int):
    """Returns places (R, width) among the columns, and elements, zero in slots that are not used.

    The order within a row is free.
    """
    if not len(rows):
        return jnp.zeros((0, width), jnp.int32), jnp.zeros((0, width), H.one_body.dtype)
    if _searched(space, columns):
        one, size = _by_search(space, H, columns, width), _rows_at_a_time(space)
    else:
        one, size = _by_comparison(space, H, columns, width), ROWS
    return jax.lax.map(one, rows, batch_size=size)


def _rows_at_a_time(space: FockSpace) -> int:
    return max(1, min(ROWS, IN_FLIGHT // space.n_connected))


def _by_comparison(space: FockSpace, H: FockHamiltonian, columns: Array, width: int):
    def one(row):
        coupled = _coupled(row, columns)
        place = jnp.nonzero(coupled, size=width, fill_value=0)[0]
        used = jnp.arange(width) < jnp.sum(coupled)
        element = jax.vmap(lambda x: between(space, H, row, x))(columns[place])
        return place.astype(jnp.int32), jnp.where(used, element, 0.0)

    return one


def _coupled(row: Array, columns: Array) -> Array:
    """Returns (C,) True where a column is a single or double excitation of the row."""
    distance = rank(row, columns)
    return valid(row) & valid(columns) & (distance > 0) & (distance <= 2)


def _by_search(space: FockSpace, H: FockHamiltonian, columns: Array, width: int):
    excited, elements = connected(space), connected_elements(space)
    find = _make_find(space, columns)

    def one(row):
        hit, place = find(excited(row))
        hit &= valid(row)
        chosen = jnp.nonzero(hit, size=width, fill_value=0)[0]
        used = jnp.arange(width) < jnp.sum(hit)
        element = elements(H, row)[chosen].conj()  # of <y|H|row>
        return jnp.where(used, place[chosen], 0), jnp.where(used, element, 0.0)

    return one


def _make_find(space: FockSpace, columns: Array):
    """Builds words (E, 2, w) -> (which are among the columns, their places there)."""
    count, bits = len(columns), len(columns).bit_length()
    flat = keys(space, columns)
    order = jnp.lexsort(tuple(flat.T)).astype(jnp.int32)
    table = flat[order]

    def less(x, y):
        found, equal = jnp.zeros(len(x), bool), jnp.ones(len(x), bool)
        for word in range(x.shape[1] - 1, -1, -1):  # lexsort: the last one counts most
            found |= equal & (x[:, word] < y[:, word])
            equal &= x[:, word] == y[:, word]
        return found

    def find(words):
        wanted = keys(space, words)

        def halve(k, below):
            further = below + jnp.left_shift(1, bits - 1 - k).astype(jnp.int32)
            here = table[jnp.minimum(further, count) - 1]
            return jnp.where((further <= count) & less(here, wanted), further, below)

        below = jax.lax.fori_loop(0, bits, halve, jnp.zeros(len(wanted), jnp.int32))
        place = jnp.minimum(below, count - 1)
        return (below < count) & jnp.all(table[place] == wanted, axis=1), order[place]

    return find

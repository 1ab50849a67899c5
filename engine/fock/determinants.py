"""Determinants as bit strings, and which determinants a Hamiltonian connects.

Spin orbitals are numbered in blocks, P = p for spin up and n + p for spin down; creators stand
in that order. A determinant is an array (2, w) of unsigned 64-bit words, w = ceil(n / 64): bit
p of a row is the occupation of orbital p with that spin. Any number of orbitals fits.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.errors import ConfigError

BITS = 64
NONE = np.iinfo(np.uint64).max
"""Every word of an empty slot in a list of determinants."""


@dataclasses.dataclass(frozen=True)
class FockSpace:
    """All determinants of N_up + N_down electrons in n orbitals.

    Attributes:
        n_orbitals: Spatial orbitals n.
        n_up: Spin-up electrons.
        n_down: Spin-down electrons.
    """

    n_orbitals: int
    n_up: int
    n_down: int

    def __post_init__(self):
        if not (0 <= self.n_down <= self.n_orbitals and 0 <= self.n_up <= self.n_orbitals):
            raise ConfigError(
                f"{self.n_up} + {self.n_down} electrons in {self.n_orbitals} orbitals",
                where="integrals",
                expected="at most one electron of each spin in an orbital",
                remedy="choose a larger active space",
            )

    @property
    def counts(self) -> tuple[int, int]:
        """Electrons of each spin."""
        return self.n_up, self.n_down

    @property
    def n_electrons(self) -> int:
        """Electrons of both spins."""
        return self.n_up + self.n_down

    @property
    def words(self) -> int:
        """Words per spin."""
        return -(-self.n_orbitals // BITS)

    @property
    def dimension(self) -> int:
        """Number of determinants."""
        return math.comb(self.n_orbitals, self.n_up) * math.comb(self.n_orbitals, self.n_down)

    @property
    def n_singles(self) -> int:
        """Single excitations of every determinant."""
        return sum(c * (self.n_orbitals - c) for c in self.counts)

    @property
    def n_connected(self) -> int:
        """Single and double excitations of every determinant."""
        up, down = (c * (self.n_orbitals - c) for c in self.counts)
        pairs = sum(math.comb(c, 2) * math.comb(self.n_orbitals - c, 2) for c in self.counts)
        return up + down + pairs + up * down


def pack(occupation: Array) -> Array:
    """Returns (..., 2, w) words of an occupation (..., 2, n) of zeros and ones."""
    n = occupation.shape[-1]
    padded = jnp.zeros((*occupation.shape[:-1], -(-n // BITS) * BITS), jnp.uint64)
    padded = padded.at[..., :n].set(jnp.asarray(occupation).astype(jnp.uint64))
    values = jnp.uint64(1) << jnp.arange(BITS, dtype=jnp.uint64)
    return jnp.sum(padded.reshape(*padded.shape[:-1], -1, BITS) * values, axis=-1, dtype=jnp.uint64)


def unpack(words: Array, n: int) -> Array:
    """Returns the occupation (..., 2, n) as booleans."""
    bits = (words[..., None] >> jnp.arange(BITS, dtype=jnp.uint64)) & jnp.uint64(1)
    return bits.reshape(*words.shape[:-1], -1)[..., :n].astype(bool)


def aufbau(space: FockSpace) -> Array:
    """Returns (2, w) the determinant of the first orbitals."""
    rows = [np.arange(space.n_orbitals) < count for count in space.counts]
    return pack(jnp.asarray(np.stack(rows)))


def enumerate_all(space: FockSpace) -> Array:
    """Returns (dimension, 2, w) every determinant; for small spaces."""
    strings = []
    for count in space.counts:
        chosen = np.array(
            list(itertools.combinations(range(space.n_orbitals), count)), int
        ).reshape(-1, count)
        rows = np.zeros((len(chosen), space.n_orbitals), bool)
        np.put_along_axis(rows, chosen, True, axis=1)
        strings.append(rows)
    up, down = strings
    pairs = [np.repeat(up, len(down), 0), np.tile(down, (len(up), 1))]
    return pack(jnp.asarray(np.stack(pairs, axis=1)))


def keys(space: FockSpace, words: Array) -> Array:
    """Returns (M, k) what tells determinants (M, 2, w) apart: one word where both spins fit."""
    if 2 * space.n_orbitals > BITS:
        return words.reshape(len(words), -1)
    half = jnp.uint64(BITS // 2)
    return ((words[:, 0] << half) | (words[:, 1] & jnp.uint64(2**32 - 1))).reshape(-1, 1)


def sorted_order(space: FockSpace, words: Array) -> Array:
    """Returns (M,) the order of a list (M, 2, w) by its keys, empty slots last; not to be compiled.

    On a CPU numpy sorts many times faster than a compiled program.
    """
    wanted = _compiled_keys(space, words)
    if jax.default_backend() != "cpu":
        return _compiled_order(wanted)
    columns = np.asarray(wanted).T
    order = np.argsort(columns[0]) if len(columns) == 1 else np.lexsort(columns)
    return jnp.asarray(order.astype(np.int32))


_compiled_keys = jax.jit(keys, static_argnums=0)
_compiled_order = jax.jit(lambda columns: jnp.lexsort(tuple(columns.T)).astype(jnp.int32))


def groups(words: Array) -> Array:
    """Returns (M,) numbers of the different determinants along a sorted list (M, 2, w)."""
    flat = words.reshape(len(words), -1)
    fresh = jnp.any(flat[1:] != flat[:-1], axis=1)
    return jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(fresh, dtype=jnp.int32)])


def valid(words: Array) -> Array:
    """Returns (...,) False for the empty slots of a list (..., 2, w)."""
    return jnp.any(words != jnp.uint64(NONE), axis=(-1, -2))


def rank(x: Array, y: Array) -> Array:
    """Returns the excitation rank between determinants (..., 2, w): half the differing bits."""
    return jnp.sum(jnp.bitwise_count(x ^ y), axis=(-1, -2)).astype(jnp.int32) // 2


def orbitals_of(space: FockSpace, x: Array) -> tuple[Array, Array]:
    """Returns occupied (N,) and empty (2 n - N,) spin orbitals of one determinant, ascending."""
    flat = unpack(x, space.n_orbitals).reshape(-1)
    occupied = jnp.nonzero(flat, size=space.n_electrons)[0]
    return occupied, jnp.nonzero(~flat, size=2 * space.n_orbitals - space.n_electrons)[0]


def excitation_table(space: FockSpace) -> np.ndarray:
    """Returns (n_connected, 4): places of i, j among the occupied, of a, b among the empty ones.

    Electrons go i -> a and j -> b. Singles come first and have j = b = -1.
    """
    occupied = np.split(np.arange(space.n_electrons), [space.n_up])
    holes = 2 * space.n_orbitals - space.n_electrons
    empty = np.split(np.arange(holes), [space.n_orbitals - space.n_up])
    singles = [(i, -1, a, -1) for o, e in zip(occupied, empty, strict=True) for i in o for a in e]
    doubles = [
        (*ij, *ab)
        for o, e in zip(occupied, empty, strict=True)
        for ij in itertools.combinations(o, 2)
        for ab in itertools.combinations(e, 2)
    ]
    up, down = (list(itertools.product(o, e)) for o, e in zip(occupied, empty, strict=True))
    doubles += [(i, j, a, b) for i, a in up for j, b in down]
    return np.array(singles + doubles, np.int32).reshape(-1, 4)


def bit_masks(space: FockSpace) -> np.ndarray:
    """Returns (2 n + 1, 2, w): the bit of each spin orbital; the last row is empty."""
    masks = np.zeros((2 * space.n_orbitals + 1, 2, space.words), np.uint64)
    for orbital in range(2 * space.n_orbitals):
        spin, p = divmod(orbital, space.n_orbitals)
        masks[orbital, spin, p // BITS] = np.uint64(1) << np.uint64(p % BITS)
    return masks

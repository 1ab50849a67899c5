"""Symmetries of the amplitudes: exchange of the spins, translations of the simulation cell.

A group element g takes a determinant to p_g(x) |g x> with a phase p_g, and a state of the character
chi_g has psi(x) = chi_g conj(p_g(x)) psi(g x). The network is asked at one determinant of every
orbit, the one of the largest words; amplitudes of an orbit that contradict one another are zero.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.errors import ConfigError
from engine.fock.determinants import FockSpace, pack, unpack
from engine.io.integrals import Integrals

ALIKE = 1e-6
"""Largest deviation of phases, in turns, and of a character's modulus from one."""


class Translations(NamedTuple):
    """Translations of a simulation cell among orbitals that they take to one another.

    Attributes:
        places: (K, n) the orbital that each one goes to.
        turns: (K, n) its phase exp(-2 pi i turns), from the twist.
        characters: (K,) of the mean-field determinant, exp(2 pi i characters).
    """

    places: np.ndarray
    turns: np.ndarray
    characters: np.ndarray


class Orbit(NamedTuple):
    """Where the network is asked for the amplitude of a determinant.

    Attributes:
        words: (2, w).
        turns: Scalar; psi(x) = exp(2 pi i turns) psi(words).
        vanishes: Scalar, whether symmetry forbids the determinant.
    """

    words: Array
    turns: Array
    vanishes: Array


def translations_of(integrals: Integrals) -> Translations:
    """Returns the translations of the simulation cell.

    Raises:
        ConfigError: Other orbitals than oao, or a mean field that is not symmetric.
    """
    if integrals.places is None:
        raise ConfigError(
            f"translation symmetry in {integrals.orbitals} orbitals",
            where="ansatz, key 'translations'",
            expected="a crystal in oao orbitals, which translations take to one another",
            remedy="set integrals.orbitals: oao, or translations: false",
        )
    places, turns = integrals.places, integrals.turns
    overlaps = np.array(
        [
            np.prod([_overlap(c, p, t) for c in (integrals.up, integrals.down)])
            for p, t in zip(places, turns, strict=True)
        ]
    )
    if np.abs(np.abs(overlaps) - 1).max() > ALIKE:
        raise ConfigError(
            "the mean field is not the same in all cells of the simulation cell",
            where="ansatz, key 'translations'",
            expected=f"a determinant that translations leave alone, found overlaps "
            f"{np.abs(overlaps).min():.3f}",
            remedy="choose twists or a cell with closed shells, or set translations: false",
        )
    return Translations(places, turns, np.angle(overlaps) / (2 * np.pi))


def _overlap(occupied: np.ndarray, places: np.ndarray, turns: np.ndarray) -> complex:
    moved = np.empty(occupied.shape, complex)
    moved[places] = np.exp(-2j * np.pi * turns)[:, None] * occupied
    return np.linalg.det(occupied.conj().T @ moved)


def make_representative(space: FockSpace, *, spin_flip: bool, translations: Translations | None):
    """Builds x (2, w) -> Orbit."""
    moved = _translated(space, translations) if translations else None

    def representative(x: Array) -> Orbit:
        images, turns = x[None], jnp.zeros(1)
        if moved:
            images, turns = moved(x)
        if spin_flip:
            images = jnp.concatenate([images, images[:, ::-1]])
            turns = jnp.concatenate([turns, turns])
        largest = jnp.ones(len(images), bool)
        for spin in range(2):
            for word in range(images.shape[-1] - 1, -1, -1):
                values = images[:, spin, word]
                largest &= values == jnp.max(jnp.where(largest, values, jnp.uint64(0)))
        first = jnp.argmax(largest)
        apart = turns - turns[first]
        apart = jnp.abs(apart - jnp.round(apart))
        turn = turns[first] - jnp.round(turns[first])
        return Orbit(images[first], turn, jnp.any(largest & (apart > ALIKE)))

    return representative


def _translated(space: FockSpace, translations: Translations):
    """Builds x -> (images (K, 2, w), turns (K,)) of chi conj(p)."""
    places = translations.places
    order = np.triu(np.ones((space.n_orbitals,) * 2, bool), 1)
    crossed = order & (places[:, :, None] > places[:, None, :])  # of creators p < q
    crossed = jnp.asarray(crossed, jnp.float64)
    inverse, turns = jnp.asarray(np.argsort(places, axis=1)), jnp.asarray(translations.turns)
    characters = jnp.asarray(translations.characters)

    def translated(x: Array) -> tuple[Array, Array]:
        occupied = unpack(x, space.n_orbitals)
        filled = occupied.astype(jnp.float64)
        crossings = jnp.einsum("sp,kpq,sq->k", filled, crossed, filled)
        phase = characters + turns @ filled.sum(axis=0) + crossings / 2
        return pack(jnp.moveaxis(occupied[:, inverse], 0, 1)), phase

    return translated

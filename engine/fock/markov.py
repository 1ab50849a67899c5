"""Metropolis sampling of determinants from |psi|^2, and local energies.

A move is a uniformly drawn single or double excitation. Every determinant has the same number of
them and each has its inverse, so the proposal is symmetric.

E_L(x) = sum_y <x|H|y> psi_y / psi_x over all connections of x: |psi|^2-averages of it are the
energy of the network on the whole space.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.determinants import FockSpace, excitation_table
from engine.fock.slater_condon import (
    FockHamiltonian,
    connected,
    connected_elements,
    diagonal,
    excited,
)
from engine.types import Wavefunction


class FockWalkers(NamedTuple):
    """State of the sampler.

    Attributes:
        words: (W, 2, w).
        log: (W,) log |psi|.
    """

    words: Array
    log: Array


def make_chain(wavefunction: Wavefunction, space: FockSpace, moves: int):
    """Builds the compiled (params, walkers, reference, key) -> (walkers, acceptance)."""
    table = jnp.asarray(excitation_table(space))
    apply = jax.vmap(lambda p, x, r: wavefunction.apply(p, x, None, r).log, (None, 0, None))

    def move(params, reference, walkers, key):
        pick, accept = jax.random.split(key)
        rows = table[jax.random.randint(pick, (len(walkers.words),), 0, len(table))]
        words = jax.vmap(lambda x, row: excited(space, row, x))(walkers.words, rows)
        log = apply(params, words, reference)
        uniform = jax.random.uniform(accept, log.shape, jnp.float64)
        taken = jnp.log(uniform) < 2 * (log - walkers.log).astype(jnp.float64)
        chosen = FockWalkers(
            jnp.where(taken[:, None, None], words, walkers.words),
            jnp.where(taken, log, walkers.log),
        )
        return chosen, jnp.mean(taken.astype(jnp.float64))

    @jax.jit
    def chain(params, walkers, reference, key):
        walkers = walkers._replace(log=apply(params, walkers.words, reference))
        keys = jax.random.split(key, moves)
        walkers, rates = jax.lax.scan(
            lambda state, k: move(params, reference, state, k), walkers, keys
        )
        return walkers, jnp.mean(rates)

    return chain


def make_fock_local_energy(
    wavefunction: Wavefunction, space: FockSpace, *, is_complex: bool, chunk: int = 4096
):
    """Builds the compiled (params, words (W, 2, w), reference, H, T) -> (E_L, T_L), (W,) each.

    `chunk` amplitudes are in flight at a time.
    """
    neighbours, elements = connected(space), connected_elements(space)
    per_pass = max(1, chunk // space.n_connected)

    def one(params, reference, H, T, x):
        here = wavefunction.apply(params, x, None, reference)
        there = jax.lax.map(
            lambda y: wavefunction.apply(params, y, None, reference),
            neighbours(x),
            batch_size=chunk,
        )
        log, arg = ((a - b).astype(jnp.float64) for a, b in zip(there, here, strict=True))
        ratio = jnp.exp(log) * (jnp.exp(1j * arg) if is_complex else jnp.cos(arg))
        # The rules give <y|O|x>; the local value needs <x|O|y>.
        return tuple(diagonal(space, O, x) + jnp.sum(elements(O, x).conj() * ratio) for O in (H, T))

    @jax.jit
    def local_energy(params, words, reference, H: FockHamiltonian, T: FockHamiltonian) -> Any:
        return jax.lax.map(lambda x: one(params, reference, H, T, x), words, batch_size=per_pass)

    return local_energy

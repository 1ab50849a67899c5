"""Energies of amplitudes on a subspace, and their gradients in the space of amplitudes.

full        <psi|H|psi> / <psi|psi> over core and survivors: the projected energy of a subspace
            that has both in its core
symmetric   <psi|H_eff|psi> / <psi|psi> over core and survivors: trains both, is no bound
projected   <psi|H_VV|psi> / <psi|psi> over the core, a bound
asymmetric  sum over the core of conj(psi) (H psi) / <psi|psi>, H psi over core and survivors

All of them move the parameters along 2 Re sum_i conj(b_i) d psi_i with the residual
b = H psi - E psi on the rows that count.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.subspace import Subspace
from engine.types import Wavefunction

EXHAUSTED, FAR = 1e-12, 1e6
"""A Krylov vector shorter than the first ends the space; its level is then the second, hartree."""
LEAST_SHARE = 0.1
"""Smallest overlap with the Krylov state that a step is scaled by."""


class Residual(NamedTuple):
    """Of normalised amplitudes.

    Attributes:
        energy: Scalar, hartree.
        variance: Scalar |b|^2, hartree^2.
        amplitudes: (R,) psi / |psi| on the rows that count.
        vector: (R,) b.
    """

    energy: Array
    variance: Array
    amplitudes: Array
    vector: Array


@functools.partial(jax.jit, static_argnames="functional")
def residual(subspace: Subspace, psi: Array, functional: str) -> Residual:
    """Returns energy and residual; R is S for the symmetric functional, V for the others."""
    core = psi[: subspace.core_size]
    rows = psi if functional == "symmetric" else core
    norm = jnp.linalg.norm(rows)
    alone = functional in ("full", "projected")
    image = subspace.apply_core(core) if alone else subspace.apply(psi)[: len(rows)]
    energy = jnp.vdot(rows, image).real / norm**2
    vector = (image - energy * rows) / norm
    return Residual(energy, jnp.vdot(vector, vector).real, rows / norm, vector)


def krylov_step(subspace: Subspace, found: Residual, functional: str, size: int) -> Array:
    """Returns (R,) psi - c / <psi|c>, c the lowest state in span{psi, H psi, ..., H^(size-1) psi}.

    It takes the place of the residual b: a full step leads from psi to c. Found by Lanczos
    iteration with H - E, whose lowest eigenvalue is not positive.

    Args:
        subspace: The effective Hamiltonian.
        found: Energy, normalised amplitudes and residual.
        functional: "full", "symmetric" or "projected".
        size: Vectors of the space; 2 is a line search along the residual.
    """
    apply = subspace.apply if functional == "symmetric" else subspace.apply_core
    basis, diagonal, off, image = [found.amplitudes], [jnp.zeros(())], [], found.vector
    for _ in range(size - 1):
        q = jnp.stack(basis, axis=1)
        image = image - q @ (q.conj().T @ image)
        image = image - q @ (q.conj().T @ image)  # twice is enough
        length = jnp.linalg.norm(image)
        alive = length > EXHAUSTED
        vector = jnp.where(alive, image / jnp.where(alive, length, 1.0), 0.0)
        image = apply(vector) - found.energy * vector
        off.append(jnp.where(alive, length, 0.0))
        level = jnp.vdot(vector, image).real
        diagonal.append(jnp.where(alive, level, FAR))
        basis.append(vector)
    matrix = jnp.diag(jnp.stack(diagonal)) + jnp.diag(jnp.stack(off), 1)
    matrix = matrix + jnp.diag(jnp.stack(off), -1)
    lowest = jnp.linalg.eigh(matrix)[1][:, 0]
    share = lowest[0]
    safe = jnp.where(jnp.abs(share) > LEAST_SHARE, share, jnp.copysign(LEAST_SHARE, share))
    return -jnp.stack(basis[1:], axis=1) @ (lowest[1:] / safe)


def make_amplitudes(wavefunction: Wavefunction, *, is_complex: bool, chunk: int = 4096):
    """Builds (params, words (S, 2, w), reference) -> (S,) psi, the largest of modulus one.

    The scale is held fixed under differentiation. Accumulates in float64.
    """

    def amplitudes(params: Any, words: Array, reference: Array) -> Array:
        psi = jax.lax.map(
            lambda x: wavefunction.apply(params, x, None, reference), words, batch_size=chunk
        )
        log, arg = psi.log.astype(jnp.float64), psi.arg.astype(jnp.float64)
        scale = jnp.exp(log - jax.lax.stop_gradient(jnp.max(log)))
        return scale * (jnp.exp(1j * arg) if is_complex else jnp.cos(arg))

    return amplitudes

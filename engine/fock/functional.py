"""Energies of amplitudes on a subspace, and their gradients in the space of amplitudes.

symmetric   <psi|H_eff|psi> / <psi|psi> over core and survivors: trains both, is no bound
projected   <psi|H_VV|psi> / <psi|psi> over the core: the bound that is reported
asymmetric  sum over the core of conj(psi) (H psi) / <psi|psi>, H psi over core and survivors

All of them move the parameters along 2 Re sum_i conj(b_i) d psi_i with the residual
b = H psi - E psi on the rows that count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.subspace import Subspace
from engine.types import Wavefunction


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


def residual(subspace: Subspace, psi: Array, functional: str) -> Residual:
    """Returns energy and residual; R is S for the symmetric functional, V for the others."""
    core = psi[: subspace.core_size]
    rows = {"symmetric": psi, "projected": core, "asymmetric": core}[functional]
    norm = jnp.linalg.norm(rows)
    image = (
        subspace.apply_core(core) if functional == "projected" else subspace.apply(psi)[: len(rows)]
    )
    energy = jnp.vdot(rows, image).real / norm**2
    vector = (image - energy * rows) / norm
    return Residual(energy, jnp.vdot(vector, vector).real, rows / norm, vector)


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

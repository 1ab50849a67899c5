"""The bare mean-field determinant: one determinant per species, no parameters."""

from __future__ import annotations

import jax.numpy as jnp

from engine.types import LogPsi, Wavefunction
from engine.wavefunction.determinant import log_sum_determinants
from engine.wavefunction.features import species_slices


def make(
    config, system, reference, *, complex_orbitals: bool, dtype, reference_orbitals
) -> Wavefunction:
    """Returns psi = prod_s det phi^s_j(r_i).

    It has no parameters and nothing to pretrain; of `config` only the name matters, and psi is
    complex where the mean-field orbitals are.

    Args:
        config: The ansatz section.
        system: The physical statement.
        reference: The mean field.
        complex_orbitals: Unused.
        dtype: Unused: psi has the walker's precision.
        reference_orbitals: (reference, walker, system) -> per species (n, n_s) values of its
            orbitals at all particles.
    """
    del config, system, reference, complex_orbitals, dtype

    def apply(params, walker, system, reference) -> LogPsi:
        del params
        values = reference_orbitals(reference, walker, system)
        blocks = [phi[part] for phi, part in zip(values, species_slices(system), strict=True)]
        return log_sum_determinants([_cast(b, walker)[None] for b in blocks])

    return Wavefunction(init=lambda key, system, reference: {}, apply=apply, orbitals=None)


def _cast(matrix, walker):
    if jnp.iscomplexobj(matrix):
        return matrix.astype(jnp.result_type(walker.dtype, jnp.complex64))
    return matrix.astype(walker.dtype)

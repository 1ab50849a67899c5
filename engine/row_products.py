"""Orbitals as products of what depends on all particles and what depends on one alone.

    A_kij = sum_x f_ikx phi_ixj

phi_i is a function of particle i, f_i of all. Of the derivatives of such a product only the rows'
own coordinates meet both factors; `engine/hamiltonian/kinetic.py` has the rule, for walkers whose
particles are in the order of the rows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


@jax.jit
def row_products(f: Array, phi: Array) -> Array:
    """Returns the (D, n, J) sums over x of f times phi, complex where f is.

    Args:
        f: (n, parts, D, x), real, or real and imaginary parts.
        phi: (n, parts, x, J), as many parts or one; row i depends on particle i alone.
    """

    def times(a: int, b: int) -> Array:
        return jnp.einsum("ikx,ixj->kij", f[:, a], phi[:, b])

    if f.shape[1] == 1:
        return times(0, 0)
    if phi.shape[1] == 1:
        return jax.lax.complex(times(0, 0), times(1, 0))
    return jax.lax.complex(times(0, 0) - times(1, 1), times(0, 1) + times(1, 0))

"""What single particles give, combined row by row with what depends on all of them.

Of the derivatives of a function of particle i only those by its own coordinates are not zero:
`engine/hamiltonian/row_rules.py` has rules for these operations that make use of it, for walkers
whose particles are in the order of the rows.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import Array

SMALL = 256
"""So many products per particle are made one by one; a matrix product costs more (CPUs)."""


@jax.jit
def row_sums(e: Array, shared: Array, indicator: Array) -> Array:
    """Returns (S, A, f): the sums over the particles i of a species of e_iaf shared_if.

    Args:
        e: (n, A, f), row i a function of particle i alone.
        shared: (n, f) functions of all particles.
        indicator: (S, n), one where particle i is of species s.
    """
    return jnp.einsum("siaf,if->saf", of_species(e, indicator), shared)


def of_species(e: Array, indicator: Array) -> Array:
    """Returns (S, n, A, f): e where a particle is of the species, else zero."""
    return indicator[:, :, None, None] * e


@jax.jit
def row_tanh(own: Array, site: Array, crowd: Array, members: Array) -> Array:
    """Returns tanh(own_i + site_ia + crowd_sa), (n, A, w), s the species of particle i.

    Args:
        own: (n, w) functions of all particles.
        site: (n, A, w), row i a function of particle i alone.
        crowd: (S, A, w) functions of all particles.
        members: (n,) index of the species of each.
    """
    return jnp.tanh(own[:, None] + site + crowd[members])


@jax.jit
def row_products(f: Array, *tables: Array) -> Array:
    """Returns orbitals, (D, n, J), complex where f is.

        A_kij = sum_at f_iakt phi_iatj,    phi_iatj = sum_m s_iatm c_iatmj

    Args:
        f: (n, A, parts, D, t) functions of all particles, real, or real and imaginary parts.
        tables: First the functions s, in any number of groups (n, parts, A, t_g, m_g) one after
            the other in t, row i functions of particle i alone, then as many groups of
            coefficients (n, parts, A, t_g, m_g, J). Real f wants both real.
    """
    return of_combined(f, combined(*tables))


def combined(*tables: Array) -> Array:
    """Returns phi (..., n, parts, A, t, J) of functions (..., n, parts, ...) and coefficients."""
    half = len(tables) // 2
    groups = [_combined(s, c) for s, c in zip(tables[:half], tables[half:], strict=True)]
    return jnp.concatenate(groups, axis=-2)


def _combined(s: Array, c: Array) -> Array:
    own = jnp.split(s, s.shape[-4], axis=-4)

    def times(a: int, b: int) -> Array:
        # term by term: reductions over so short an axis are slow on CPUs
        return sum(own[a][..., m, None] * c[:, b : b + 1, ..., m, :] for m in range(s.shape[-1]))

    if c.shape[1] == 1:
        found = [times(a, 0) for a in range(len(own))]
    elif len(own) == 1:
        found = [times(0, 0), times(0, 1)]
    else:
        found = [times(0, 0) - times(1, 1), times(0, 1) + times(1, 0)]
    return jnp.concatenate(found, axis=-4)


def of_combined(f: Array, phi: Array) -> Array:
    """Returns (..., D, n, J) of f (..., n, A, parts, D, t) and phi (..., n, parts, A, t, J).

    Only one of them has axes in front.
    """

    def times(a: int, b: int) -> Array:
        one, other = f[..., a, :, :], phi[..., b, :, :, :]
        leading = math.prod(one.shape[:-4] + other.shape[:-4])
        if leading * math.prod(one.shape[-3:]) * other.shape[-1] <= SMALL:
            every = one[..., None] * other[..., None, :, :]
            return jnp.swapaxes(every.sum(axis=(-4, -2)), -3, -2)
        return jnp.einsum("...iakt,...iatj->...kij", one, other)

    if f.shape[-3] == 1:
        return times(0, 0)
    if phi.shape[-4] == 1:
        return jax.lax.complex(times(0, 0), times(1, 0))
    return jax.lax.complex(times(0, 0) - times(1, 1), times(0, 1) + times(1, 0))

"""What the networks see of a walker: smooth, lattice-periodic functions of displacements.

In a periodic cell a displacement r with phases w_i = r . b_i enters through

    V = sum_i a_i sin(w_i) / 2 pi,    U = sum_i a_i (1 - cos(w_i)) / 2 pi,    d^2 = |V|^2 + |U|^2,

the "tri" distance of X. Li, Z. Li and J. Chen, Nat. Commun. 13, 7895 (2022): periodic, smooth
except at the lattice points, and d = |r| + O(r^3) there. In an open cell V = r and d = |r|.
Lengths are compressed logarithmically, so that a vacuum of 100 bohr stays a number of order one;
in an electron gas they are in units of rs, so that the network sees the same at every density.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.cell import Cell
from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi

NEAREST = 1e-12
"""What stands for a distance of zero, bohr: too little to change any distance above 1e-4."""


def separation(displacement: Array, cell: Cell) -> tuple[Array, Array]:
    """Returns the vectors and the squared distance that stand for a displacement.

    Args:
        displacement: (..., 3), bohr.
        cell: Gives the lattice; may be traced.

    Returns:
        (..., 3) vectors in an open cell, (..., 6) in a periodic one (V, then U), bohr, and
        (...) squared distances d^2, bohr^2.
    """
    if cell.periodic:
        half = cell.fractional(displacement)
        sine, cosine = sin_pi(half), cos_pi(half)
        parts = [cell.cartesian(sine * part / np.pi) for part in (cosine, sine)]
        displacement = jnp.concatenate(parts, axis=-1)
    return displacement, jnp.sum(displacement * displacement, axis=-1)


def centres(system: System) -> Array:
    """Returns the (A, 3) points orbitals are centred at, bohr.

    These are the nuclei; without nuclei the origin of an open cell, nothing in a periodic one.
    Of self-bound particles (positronium) it is their centre of mass; the origin stands for it.
    """
    if system.positions.shape[0] or system.cell.periodic:
        return system.positions
    return jnp.zeros((1, 3), system.positions.dtype)


def centre_distances(walker: Array, system: System) -> tuple[Array, Array]:
    """Returns (n, A, 3 or 6) vectors from the centres and (n, A) distances, bohr.

    There is nothing at the centre of mass of self-bound particles: the distance is sqrt(1 + d^2).
    """
    own = system.self_bound
    points = system.centre_of_mass(walker) if own else centres(system).astype(walker.dtype)
    vectors, squared = separation(walker[:, None] - points, system.cell)
    return vectors, length(squared + 1.0 if own else squared)


def length(squared: Array) -> Array:
    """Returns the square root of d^2, bohr, with finite derivatives at d = 0.

    There the functions made of it take their limits, as log(1 + d) / d = 1, within 1e-12.
    """
    return jnp.sqrt(squared + NEAREST**2)


def one_body(walker: Array, system: System, *, anchored: bool, species: int | None = None) -> Array:
    """Returns (n, f) features of each particle: its species and its place among the nuclei.

    Args:
        walker: (n, 3), bohr.
        system: The physical statement.
        anchored: Whether a periodic cell without nuclei shows the particles where they are
            (sine and cosine of their phases); otherwise the features are translation invariant.
        species: Index of the species they are all of; left out, they are those of the system.
    """
    n = walker.shape[0]
    indicator = species_indicator(system)
    if species is not None:
        indicator = np.tile(np.eye(indicator.shape[1])[species], (n, 1))
    parts = [jnp.asarray(indicator, walker.dtype)]
    if centres(system).shape[0]:
        vectors, distance = centre_distances(walker, system)
        level = jnp.log1p(distance)
        parts += [(vectors * (level / distance)[..., None]).reshape(n, -1), level]
    elif anchored:
        half_turns = 2 * system.cell.fractional(walker)
        parts += [sin_pi(half_turns), cos_pi(half_turns)]
    return jnp.concatenate(parts, axis=-1)


def pair(
    displacement: Array, itself: Array, cell: Cell, *, smooth: bool, unit: Array | float = 1.0
) -> Array:
    """Returns (..., f) features of pairs of particles.

    Args:
        displacement: (..., 3), bohr.
        itself: (...), 1 for the pair of a particle with itself, else 0.
        cell: Gives the lattice.
        smooth: Whether all features are analytic where two particles meet, so that a Jastrow
            factor alone sets the cusp; otherwise the distance itself is one of them.
        unit: Length that displacements are measured in, bohr.
    """
    vectors, squared = separation(displacement, cell)
    if not isinstance(unit, float):
        unit = unit.astype(displacement.dtype)
        vectors, squared = vectors / unit, squared / unit**2
    level = 0.5 * jnp.log1p(squared)
    scale = (1 + level) / jnp.sqrt(1 + squared)
    parts = [vectors * scale[..., None], level[..., None]]
    if not smooth:
        parts.append((jnp.log1p(jnp.sqrt(squared + itself)) * (1 - itself))[..., None])
    return jnp.concatenate(parts, axis=-1)


def species_indicator(system: System) -> np.ndarray:
    """Returns (n, S): one where particle i is of species s."""
    return np.repeat(np.eye(len(system.counts)), system.counts, axis=0)


def species_slices(system: System) -> tuple[slice, ...]:
    """Returns, per species, its rows of a walker."""
    ends = np.cumsum(system.counts)
    return tuple(slice(int(e - c), int(e)) for e, c in zip(ends, system.counts, strict=True))

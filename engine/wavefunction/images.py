"""Over which images of the nuclei sums over the lattice go, and the window that ends them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import lsq_linear

from engine.system.system import System
from engine.system.vacuum import widest_gaps
from engine.trigonometry import cos_pi, sin_pi
from engine.wavefunction.features import length

RANGE_BOHR = 8.0
"""Where sums over the lattice end, in cells without large voids."""
VOID = 1.6
"""They reach at least so many times as far as any point is from the nearest nucleus."""
VOID_GRID = 12
"""Points per direction of the grid on which voids are looked for."""


@dataclasses.dataclass(frozen=True)
class Images:
    """Over which images of a nucleus sums go.

    Attributes:
        axes: Lattice vectors that sums are along; across the others there is vacuum.
        reach: Where they end, bohr.
        translations: (T, 3) integers, added to the image whose fractional coordinates are within
            1/2 of `middle`: all that bring it within the reach.
        middle: (3,) 0 or 1/2: of those tried, the one with the fewest translations.
    """

    axes: tuple[int, ...]
    reach: float
    translations: np.ndarray
    middle: np.ndarray


def images(system: System) -> Images:
    """Returns the images of a system.

    Args:
        system: With a lattice that is not traced.
    """
    lattice, axes = np.asarray(system.cell.lattice, float), _connected(system)
    if not axes:
        return Images((), RANGE_BOHR, np.zeros((1, 3)), np.zeros(3))
    rows = lattice[axes]
    inverse = np.linalg.pinv(rows)
    along = lattice @ inverse @ rows  # vacuum need not be at right angles to the rest
    reach = max(RANGE_BOHR, VOID * _widest_void(system, along, axes))
    wide = [k for k in range(3) if k not in axes]
    slack = 0.5 + 0.5 * np.abs(along[wide] @ inverse).sum(axis=0)
    most = reach * np.linalg.norm(inverse, axis=0) + slack
    few = [0.5 if len(_steps(m, 0.5)) < len(_steps(m, 0.0)) else 0.0 for m in most]
    found = []
    for part in {tuple(few), (0.0,) * len(axes), (0.5,) * len(axes)}:
        steps = np.array(list(itertools.product(*map(_steps, most, part))))
        middle, shifts = np.zeros(3), np.zeros((len(steps), 3))
        middle[axes], shifts[:, axes] = part, steps
        found.append((_within(shifts, middle, along, reach), middle))
    shifts, middle = min(found, key=lambda x: (len(x[0]), *x[1]))
    return Images(tuple(axes), reach, shifts, middle)


def _steps(most: float, middle: float) -> range:
    """Returns the integers closer than `most` to minus the middle."""
    return range(math.floor(-most - middle) + 1, math.ceil(most - middle))


def _within(shifts: np.ndarray, middle: np.ndarray, along: np.ndarray, reach: float) -> np.ndarray:
    """Returns the shifts that bring a point within 1/2 of the middle closer than the reach."""
    corners = np.array(list(itertools.product((-0.5, 0.5), repeat=3))) @ along
    centre = np.linalg.norm((shifts + middle) @ along, axis=1)
    near = centre < reach
    for i in np.flatnonzero(~near & (centre < reach + np.linalg.norm(corners, axis=1).max())):
        bounds = (middle - 0.5, middle + 0.5)
        near[i] = np.sqrt(2 * lsq_linear(along.T, -shifts[i] @ along, bounds=bounds).cost) < reach
    return shifts[near]


def _connected(system: System) -> list[int]:
    """Returns the lattice vectors along which there is no gap of twice the range in the nuclei."""
    if not system.cell.periodic:
        return []
    gaps = widest_gaps(np.asarray(system.positions, float), np.asarray(system.cell.lattice, float))
    return [k for k in range(3) if gaps[k] < 2 * RANGE_BOHR]


def _widest_void(system: System, along: np.ndarray, axes: list[int]) -> float:
    """Returns how far from all nuclei a point can be along the lattice, on a grid, bohr."""
    inverse = np.linalg.inv(np.asarray(system.cell.lattice, float))
    nuclei = (np.asarray(system.positions, float) @ inverse) @ along
    steps = np.zeros((VOID_GRID ** len(axes), 3))
    steps[:, axes] = list(itertools.product(np.arange(VOID_GRID) / VOID_GRID, repeat=len(axes)))
    shifts = np.zeros((3 ** len(axes), 3))
    shifts[:, axes] = list(itertools.product((-1, 0, 1), repeat=len(axes)))
    points, centres = steps @ along, ((shifts @ along)[:, None] + nuclei).reshape(-1, 3)
    squared = np.sum(points**2, axis=1)[:, None] - 2 * points @ centres.T
    return float(np.sqrt((squared + np.sum(centres**2, axis=1)).min(axis=1).max().clip(0)))


class Place(NamedTuple):
    """Where a particle is among the images of A atoms, T translations.

    Attributes:
        vectors: (A, 3, T) bohr.
        distance: (A, T) bohr.
        window: (A, T).
        half_turns: (A,) phase of the image without translation, in units of pi.
        waves: (2, T) cosine and sine of the phases of the others to it, the cosine alone where
            they are signs, or nothing.
    """

    vectors: Array
    distance: Array
    window: Array
    half_turns: Array
    waves: Array | None

    def of(self, atoms: np.ndarray) -> Place:
        """Returns the same among the images of some atoms, given by their indices."""
        *own, waves = self
        return Place(*(x[atoms] for x in own), waves)


def place(r: Array, system: System, images: Images, *, waves: int) -> Place:
    """Returns the displacements of a particle at r (3,) from the images of all nuclei.

    Args:
        r: Bohr.
        system: Nuclei, lattice and twist.
        images: Of the system.
        waves: 2 where images have phases, 1 where signs, 0 where neither.
    """
    d = r - system.positions.astype(r.dtype)
    if not system.cell.periodic:
        squared = jnp.sum(d * d, axis=-1)[:, None]
        return Place(d[..., None], length(squared), jnp.ones_like(squared), 0 * squared[:, 0], None)
    lattice = system.cell.lattice.astype(r.dtype)
    frac = system.cell.fractional(d)
    near = jnp.round(jax.lax.stop_gradient(frac) - jnp.asarray(images.middle, r.dtype))
    frac = frac - near
    shifts = jnp.asarray(images.translations, r.dtype)
    vectors = system.cell.cartesian(frac)[..., None] + (shifts @ lattice).T
    squared = jnp.sum(vectors * vectors, axis=1)
    share = jnp.square(_along(vectors, squared, lattice, images.axes) / images.reach**2)
    window = jnp.maximum(1 - share, 0) ** 3
    for k in sorted(set(range(3)) - set(images.axes)):
        window = window * (1 - (2 * frac[:, k, None]) ** 4) ** 3
    between = -2 * shifts @ system.twist.astype(r.dtype)
    phases = [wave(between) for wave in (cos_pi, sin_pi)[:waves]]
    half_turns = 2 * near @ system.twist.astype(r.dtype)
    stacked = jnp.stack(phases) if phases else None
    return Place(vectors, length(squared), window, half_turns, stacked)


def _along(vectors: Array, squared: Array, lattice: Array, axes: Sequence[int]) -> Array:
    """Returns (A, T): the square of the part of vectors (A, 3, T) along some lattice vectors."""
    if len(axes) == 3:
        return squared
    if not axes:
        return jnp.zeros_like(squared)
    rows = lattice[jnp.asarray(axes)]
    direction = rows[0] if len(axes) == 1 else jnp.cross(*rows)
    part = jnp.square(jnp.einsum("x,axt->at", direction, vectors)) / jnp.vdot(direction, direction)
    return part if len(axes) == 1 else squared - part

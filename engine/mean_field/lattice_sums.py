"""Lattice sums of Gaussians: sharp ones over images in real space, diffuse ones over plane waves.

A Gaussian of exponent a reaches over a distance of order 1/sqrt(a) in space and sqrt(a) among
reciprocal vectors. In a small cell a diffuse function (lithium: a = 0.02) would need a thousand
images, but only the shortest reciprocal vectors. The exponent that separates the two is chosen
by cost and depends on basis and lattice alone, so all twists share one compiled program. It and
the lists are those of a lattice of rounded lengths, so most strains share it as well.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from engine.io.mean_field import Shell
from engine.system.harmonics import solid_harmonics
from engine.system.images import distance_to_cell, rounded

NEGLIGIBLE = 3e-10
"""Basis functions and Fourier components below this value (bohr^-3/2) are left out.

They are below 3e-8 in all cells whose lengths are rounded alike.
"""

LIMIT_BOHR = 200.0
"""No function is followed further than this."""

WAVE_COST = 6.0
"""Cost of a plane wave in units of the cost of a Gaussian."""

MAX_POINTS = 200_000
"""Longer lists of lattice vectors are not considered."""

Triples = tuple[tuple[int, int, int], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """The basis in two parts that add up.

    Attributes:
        sharp: Shells of the primitive cell summed over images; those without any are left out.
        columns: Indices of their functions among all functions of the primitive cell.
        images: Translations of the simulation cell for them, (0, 0, 0) first.
        diffuse: What is summed over plane waves: one shell, maybe empty, for each of the basis.
        waves: Reciprocal vectors of the simulation cell for them.
    """

    sharp: tuple[Shell, ...]
    columns: np.ndarray
    images: Triples
    diffuse: tuple[Shell, ...]
    waves: Triples


def whole(shells: Sequence[Shell]) -> Split:
    """Returns the split of an open system: no images, no plane waves."""
    return _split(tuple(shells), 0.0, ((0, 0, 0),), ())


def cheapest(shells: Sequence[Shell], n_cells: int, lattice: np.ndarray) -> Split:
    """Returns the split of a periodic basis that is cheapest to evaluate.

    Args:
        shells: Of the primitive cell.
        n_cells: Primitive cells in the simulation cell.
        lattice: (3, 3) rows of the simulation cell.
    """
    best, least = None, math.inf
    lattice = rounded(lattice, 1.0)
    for border in (0.0, *sorted({float(e) for s in shells for e in s.exponents})):
        split = _split(tuple(shells), border, (), ())
        images = _within(lattice, max(_reach(s, lambda s: s.exponents, 1.0) for s in split.sharp))
        waves = _waves(split.diffuse, lattice)
        if images is None or waves is None:
            continue
        functions = sum(
            s.exponents.size + (2 * s.angular + 1) * s.coefficients.shape[1] for s in split.sharp
        )
        cost = len(images) * n_cells * functions + WAVE_COST * len(waves)
        if cost < least:
            best, least = dataclasses.replace(split, images=images, waves=waves), cost
    return best


def wave_coefficients(
    split: Split,
    coefficients: np.ndarray,
    positions: np.ndarray,
    lattice: np.ndarray,
    twist: np.ndarray,
) -> np.ndarray:
    """Returns (n_s, G): the diffuse part of orbitals is sum_G d_jG exp(i (G + twist).r).

    d_jG = sum_mu c_j,mu exp(-i q.R_mu) F_mu(q) / volume with q = G + twist and the Fourier
    transform of exp(-a r^2) r^l Y_lm, (pi/a)^(3/2) (-i q / 2a)^l Y_lm(q) exp(-q^2 / 4a).

    Args:
        split: The basis.
        coefficients: (n_s, ao) of all functions of the simulation cell, cell by cell.
        positions: (A, 3) nuclei of the simulation cell.
        lattice: (3, 3) its rows.
        twist: (3,) fractions of its reciprocal vectors.
    """
    q = (np.array(split.waves).reshape(-1, 3) + twist) @ (2 * np.pi * np.linalg.inv(lattice).T)
    transforms = np.concatenate([_transform(s, q) for s in split.diffuse], axis=1)
    phases = np.exp(-1j * q @ positions.T)
    cells = coefficients.shape[1] // transforms.shape[1]
    atom = np.concatenate([[s.atom] * functions(s) for s in split.diffuse])
    atoms = len(positions) // cells
    blocks = coefficients.reshape(len(coefficients), cells, -1)
    total = sum(blocks[:, c] @ (transforms * phases[:, c * atoms + atom]).T for c in range(cells))
    return total / abs(np.linalg.det(lattice))


def functions(shell: Shell) -> int:
    """Returns the number of basis functions of a shell."""
    return (2 * shell.angular + 1) * shell.coefficients.shape[1]


def _transform(shell: Shell, q: np.ndarray) -> np.ndarray:
    """Returns (G, functions) Fourier transforms of a shell at the origin."""
    a, l = shell.exponents, shell.angular
    squared = np.sum(q * q, axis=1)
    radial = np.exp(-squared[:, None] / (4 * a)) * (np.pi / a) ** 1.5 * (2 * a) ** -float(l)
    angular = (-1j) ** l * np.asarray(solid_harmonics(l, jnp.asarray(q), jnp.asarray(squared)))
    values = (radial @ shell.coefficients)[:, :, None] * angular[:, None, :]
    return values.reshape(len(q), functions(shell))


def _split(shells: tuple[Shell, ...], border: float, images: Triples, waves: Triples) -> Split:
    """Gives exponents from `border` upwards to the images, those below to the waves."""
    parts = [
        [_primitives(s, s.exponents >= border) for s in shells],
        [_primitives(s, s.exponents < border) for s in shells],
    ]
    kept = np.repeat([s.exponents.size > 0 for s in parts[0]], [functions(s) for s in shells])
    return Split(
        tuple(s for s in parts[0] if s.exponents.size),
        np.flatnonzero(kept),
        images,
        tuple(parts[1]),
        waves,
    )


def _primitives(shell: Shell, rows: np.ndarray) -> Shell:
    return dataclasses.replace(
        shell, exponents=shell.exponents[rows], coefficients=shell.coefficients[rows]
    )


def _waves(diffuse: tuple[Shell, ...], lattice: np.ndarray) -> Triples | None:
    """Returns all G for which a component at G + twist matters, at whatever twist."""
    parts = [s for s in diffuse if s.exponents.size]
    if not parts:
        return ()
    volume = abs(np.linalg.det(lattice))
    reach = max(
        _reach(
            s,
            lambda s: 1 / (4 * s.exponents),
            (np.pi / s.exponents) ** 1.5 * (2 * s.exponents) ** -float(s.angular) / volume,
        )
        for s in parts
    )
    return _within(2 * np.pi * np.linalg.inv(lattice).T, reach)


def _reach(shell: Shell, exponents, scale) -> float:
    """Returns where sum_p scale_p |c_p| exp(-exponent_p x^2) x^l becomes negligible."""
    x = np.arange(0.0, LIMIT_BOHR, 0.02)
    weights = np.abs(shell.coefficients).max(axis=1) * scale
    value = np.exp(-np.outer(x**2, exponents(shell))) @ weights * x**shell.angular
    return float(x[np.flatnonzero(value > NEGLIGIBLE).max(initial=0)]) + 0.02


def _within(lattice: np.ndarray, reach: float) -> Triples | None:
    """Returns integer vectors n with n @ lattice within `reach` of the cell around the origin."""
    spacing = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    limits = np.ceil(reach / spacing + 0.5).astype(int)
    if np.prod(2.0 * limits + 1) > MAX_POINTS:
        return None
    points = np.array(list(itertools.product(*(range(-n, n + 1) for n in limits))))
    near = points[distance_to_cell(lattice, points) < reach]
    near = near[np.argsort(np.round(np.linalg.norm(near @ lattice, axis=1), 9), kind="stable")]
    return tuple(tuple(int(x) for x in point) for point in near)

"""Atomic functions with learned radial parts, summed over the lattice at the twist.

    S_mu(r) = sum_T exp(i theta.T) w(r_T) r_T^l Y_lm(r_T) sum_e p_mu,e exp(-sigma_e |r_T|),

r_T = r - R - T. Each shell of the mean field's basis has one learned radial part per element, which
starts as the closest one to its Gaussians: with the mean field's coefficients these functions give
its orbitals at any twist, in any supercell, with cusps. The window w = (1 - (s / reach)^4)^3 of the
distance s along the lattice, that is in a crystal |r_T|, along a chain the part of r_T along it, in
a layer that within it, ends the sum: it is smooth, exactly periodic and the same in every
supercell. In a direction of vacuum with the fractional coordinate f of r_T, w has a factor
(1 - (2 f)^4)^3 instead.

What is summed over T first, for all functions of an element in one product of matrices, is

    M_e,lm = sum_T exp(i theta.T) w r_T^l Y_lm(r_T) exp(-sigma_e |r_T|).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import lsq_linear

from engine.system.harmonics import solid_harmonics
from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import Basis
from engine.wavefunction.features import length

RANGE_BOHR = 8.0
"""Where sums over the lattice end, in cells without large voids."""
VOID = 1.6
"""They reach at least so many times as far as any point is from the nearest nucleus."""
VOID_GRID = 12
"""Points per direction of the grid on which voids are looked for."""
EXPONENTS = 5
WIDEST = 0.5
"""Initial smallest exponent, 1/bohr."""
GRID_BOHR = np.linspace(0.02, 10.0, 200)
"""Where radial parts are fitted."""
RIDGE = 1e-6
"""Of the fit, relative to the diagonal of its matrix."""


@dataclasses.dataclass(frozen=True)
class Shells:
    """The functions of one element that share an angular momentum.

    Attributes:
        angular: l.
        columns: (A_Z, t, 2 l + 1) their places among all functions of the basis.
        sources: (shell, contraction) of each of the t on the first atom.
    """

    angular: int
    columns: np.ndarray
    sources: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Element:
    """The atoms of one element; `shells` is empty without atomic functions."""

    symbol: str
    atoms: np.ndarray
    shells: tuple[Shells, ...] = ()

    @property
    def angular(self) -> int:
        """The largest l; at least 1, for features that point somewhere."""
        return max([1, *(s.angular for s in self.shells)])

    @property
    def functions(self) -> int:
        """Radial functions per atom."""
        return sum(len(s.sources) for s in self.shells)


def elements(symbols: tuple[str, ...], basis: Basis | None) -> tuple[Element, ...]:
    """Returns the elements in alphabetical order; atoms of an element have the same shells."""
    names = np.array(symbols)
    found = []
    for symbol in sorted(set(symbols)):
        atoms = np.flatnonzero(names == symbol)
        found.append(Element(symbol, atoms, _shells(basis, atoms) if basis else ()))
    return tuple(found)


def _shells(basis: Basis, atoms: np.ndarray) -> tuple[Shells, ...]:
    places, start = {int(a): {} for a in atoms}, 0
    for i, (atom, l, block) in enumerate(
        zip(basis.atoms, basis.angular, basis.coefficients, strict=True)
    ):
        for c in range(block.shape[1]):
            if atom in places:
                columns = range(start, start + 2 * l + 1)
                places[atom].setdefault(l, []).append(((i, c), list(columns)))
            start += 2 * l + 1
    first = places[int(atoms[0])]
    return tuple(
        Shells(
            l,
            np.array([[columns for _, columns in places[int(a)][l]] for a in atoms]),
            tuple(source for source, _ in first[l]),
        )
        for l in sorted(first)
    )


@dataclasses.dataclass(frozen=True)
class Images:
    """Over which images of a nucleus sums go.

    Attributes:
        axes: Lattice vectors that sums are along; across the others there is vacuum.
        reach: Where they end, bohr.
        translations: (T, 3) integers, added to the image whose fractional coordinates are from
            -1/2 to 1/2: all that bring it within the reach.
    """

    axes: tuple[int, ...]
    reach: float
    translations: np.ndarray


def images(system: System) -> Images:
    """Returns the images of a system.

    Args:
        system: With a lattice that is not traced.
    """
    lattice, axes = np.asarray(system.cell.lattice, float), _connected(system)
    if not axes:
        return Images((), RANGE_BOHR, np.zeros((1, 3)))
    rows = lattice[axes]
    inverse = np.linalg.pinv(rows)
    along = lattice @ inverse @ rows  # vacuum need not be at right angles to the rest
    reach = max(RANGE_BOHR, VOID * _widest_void(system, along, axes))
    wide = [k for k in range(3) if k not in axes]
    slack = 0.5 + 0.5 * np.abs(along[wide] @ inverse).sum(axis=0)
    most = np.floor(reach * np.linalg.norm(inverse, axis=0) + slack).astype(int)
    found = []
    for steps in itertools.product(*(range(-m, m + 1) for m in most)):
        shift = np.zeros(3)
        shift[axes] = steps
        nearest = lsq_linear(along.T, -shift @ along, bounds=(-0.5, 0.5))
        if np.sqrt(2 * nearest.cost) < reach:
            found.append(shift)
    return Images(tuple(axes), reach, np.array(found))


def _connected(system: System) -> list[int]:
    """Returns the lattice vectors along which there is no gap of twice the range in the nuclei."""
    if not system.cell.periodic:
        return []
    inverse = np.linalg.inv(np.asarray(system.cell.lattice, float))
    frac = np.sort((np.asarray(system.positions, float) @ inverse) % 1.0, axis=0)
    gaps = np.diff(np.concatenate([frac, frac[:1] + 1]), axis=0).max(axis=0)
    return [k for k in range(3) if gaps[k] / np.linalg.norm(inverse[:, k]) < 2 * RANGE_BOHR]


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
        half_turns: (A,) phase of the image with T = 0, in units of pi.
        waves: (2, T) cosine and sine of the phases of the others to it, or nothing.
    """

    vectors: Array
    distance: Array
    window: Array
    half_turns: Array
    waves: Array | None

    def of(self, element: Element) -> Place:
        """Returns the same among the images of an element's atoms."""
        *own, waves = self
        return Place(*(x[element.atoms] for x in own), waves)


def place(r: Array, system: System, images: Images, *, twisted: bool) -> Place:
    """Returns the displacements of a particle at r (3,) from the images of all nuclei.

    Args:
        r: Bohr.
        system: Nuclei, lattice and twist.
        images: Of the system.
        twisted: Whether images have phases.
    """
    d = r - system.positions.astype(r.dtype)
    if not system.cell.periodic:
        squared = jnp.sum(d * d, axis=-1)[:, None]
        return Place(d[..., None], length(squared), jnp.ones_like(squared), 0 * squared[:, 0], None)
    lattice = system.cell.lattice.astype(r.dtype)
    frac = system.cell.fractional(d)
    near = jnp.round(jax.lax.stop_gradient(frac))
    frac = frac - near
    shifts = jnp.asarray(images.translations, r.dtype)
    vectors = (frac @ lattice)[..., None] + (shifts @ lattice).T
    squared = jnp.sum(vectors * vectors, axis=1)
    share = jnp.square(_along(vectors, squared, lattice, images.axes) / images.reach**2)
    window = jnp.maximum(1 - share, 0) ** 3
    for k in sorted(set(range(3)) - set(images.axes)):
        window = window * (1 - (2 * frac[:, k, None]) ** 4) ** 3
    waves = None
    if twisted:
        between = -2 * shifts @ system.twist.astype(r.dtype)
        waves = jnp.stack([cos_pi(between), sin_pi(between)])
    half_turns = 2 * near @ system.twist.astype(r.dtype)
    return Place(vectors, length(squared), window, half_turns, waves)


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


class Exponentials(nn.Module):
    """exp(-sigma |r_T|) of every element, the largest one set to one.

    Attributes:
        elements: Of the system.
        dtype: Of the parameters.
    """

    elements: tuple[Element, ...]
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, where: Place, system: System) -> tuple[list[Array], Array]:
        """Returns, per element, (A_Z, EXPONENTS, T), and the logarithm of their common factor.

        The logarithm is a constant to differentiation.
        """
        exponents = []
        for element in self.elements:
            start = initial_exponents(system.charges[element.atoms[0]], self.dtype)
            sigma = self.param(f"sigma_{element.symbol}", lambda _, s=start: s)
            exponents.append(-where.distance[element.atoms][:, None] * jnp.abs(sigma)[:, None])
        peaks = jnp.stack([x.max() for x in exponents])
        largest = jax.lax.stop_gradient(peaks.max())
        return [jnp.exp(x - largest) for x in exponents], largest


def moments(values: Array, where: Place, angular: int) -> Array:
    """Returns the sums over images M (A, waves, EXPONENTS, (angular + 1)^2).

    Waves are one, the cosine and the sine of the phases, or one alone.

    Args:
        values: (A, EXPONENTS, T) of `Exponentials`.
        where: Of the same atoms.
        angular: Largest l.
    """
    squared = where.distance * where.distance
    weights = jnp.concatenate(
        [solid_harmonics(l, where.vectors, squared, axis=1) for l in range(angular + 1)], axis=1
    )
    weights = weights * where.window[:, None]
    waves = values[:, None]
    if where.waves is not None:
        waves = jnp.concatenate([waves, waves * where.waves[:, None]], axis=1)
    rows = waves.reshape(len(waves), -1, waves.shape[-1])
    return jnp.einsum("aet,akt->aek", rows, weights).reshape(*waves.shape[:3], -1)


def initial_exponents(charge: Array, dtype) -> Array:
    """Returns (EXPONENTS,) exponents from the valence to the 1s of a nuclear charge, 1/bohr."""
    ratio = jnp.maximum(charge, 2.0).astype(dtype) / WIDEST
    return WIDEST * ratio ** jnp.linspace(0.0, 1.0, EXPONENTS, dtype=dtype)


class Orbitals(nn.Module):
    """The mean-field orbitals at a particle, atom by atom and shell by shell.

    Attributes:
        element: The atoms.
        images: Of the system.
        dtype: Of the parameters.
    """

    element: Element
    images: Images
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, sums: Array, where: Place, charge: Array, basis: Basis, coefficients: Array
    ) -> list[Array]:
        """Returns the (A_Z, functions, J) real, or real and imaginary, parts.

        Args:
            sums: (A_Z, waves, EXPONENTS, lm) of `moments`.
            where: Of the atoms of the element.
            charge: Of their nuclei.
            basis: The Gaussians.
            coefficients: (J, ao) of the orbitals.
        """
        parts = []
        for shells in self.element.shells:
            l = shells.angular
            start = fitted(basis, shells, initial_exponents(charge, self.dtype), self.images)
            radial = self.param(f"radial_{l}", lambda _, s=start: s)
            own = jnp.einsum("tm,awmk->watk", radial, sums[..., l * l : (l + 1) ** 2])
            parts.append(_combined(_turned(own, where), coefficients[:, shells.columns]))
        return [jnp.concatenate(x, axis=1) for x in zip(*parts, strict=True)]


def _turned(sums: Array, where: Place) -> list[Array]:
    """Returns real (and imaginary) part of the sums (waves, A_Z, t, 2 l + 1) at the twist."""
    if where.waves is None:
        return [sums[0]]
    cosine, sine = (wave(where.half_turns)[:, None, None] for wave in (cos_pi, sin_pi))
    _, real, imag = sums
    return [cosine * real - sine * imag, sine * real + cosine * imag]


def _combined(sums: list[Array], c: Array) -> list[Array]:
    """Returns sum_m S_m c_m, (A_Z, t, J), of coefficients (J, A_Z, t, 2 l + 1)."""

    def times(values: Array, weights: Array) -> Array:
        return jnp.einsum("atm,jatm->atj", values, weights.astype(values.dtype))

    if not jnp.iscomplexobj(c):
        return [times(x, c) for x in sums]
    if len(sums) == 1:
        return [times(sums[0], c.real), times(sums[0], c.imag)]
    real, imag = sums
    return [
        times(real, c.real) - times(imag, c.imag),
        times(real, c.imag) + times(imag, c.real),
    ]


def fitted(basis: Basis, shells: Shells, sigma: Array, images: Images) -> Array:
    """Returns (t, EXPONENTS): the sums of exponentials closest to the radial parts of shells.

    Least squares with the weight r^(2 l + 2) of space, the window averaged over directions.
    """
    matrix, target = _weighted(basis, shells, sigma, images)
    normal = matrix.T @ matrix
    normal = normal + RIDGE * jnp.diag(jnp.diag(normal))
    return jnp.linalg.solve(normal, matrix.T @ target).T.astype(sigma.dtype)


def misfit(basis: Basis, shells: Shells, charge: Array, images: Images) -> np.ndarray:
    """Returns (t,) how far radial parts start from those of the basis: relative norms."""
    sigma = initial_exponents(charge, jnp.float64)
    matrix, target = _weighted(basis, shells, sigma, images)
    left = target - matrix @ fitted(basis, shells, sigma, images).T
    return np.asarray(jnp.linalg.norm(left, axis=0) / jnp.linalg.norm(target, axis=0))


def _weighted(basis: Basis, shells: Shells, sigma: Array, images: Images) -> tuple[Array, Array]:
    """Returns exponentials (points, EXPONENTS) and radial parts (points, t) on the grid."""
    r = jnp.asarray(GRID_BOHR)[:, None]
    weight = r ** (shells.angular + 1)
    model = jnp.exp(-jnp.abs(sigma.astype(r.dtype)) * r) * mean_window(images)[:, None]
    radial = [
        jnp.exp(-(r**2) * basis.exponents[i].astype(r.dtype))
        @ basis.coefficients[i][:, c].astype(r.dtype)
        for i, c in shells.sources
    ]
    return weight * model, weight * jnp.stack(radial, axis=1)


def mean_window(images: Images) -> np.ndarray:
    """Returns the window of the lattice at the distances of the grid, averaged over a sphere."""
    cosine = (np.arange(50) + 0.5) / 50
    along = (0 * cosine, cosine, np.sqrt(1 - cosine**2), 0 * cosine + 1)[len(images.axes)]
    share = (GRID_BOHR[:, None] * along / images.reach) ** 4
    return np.mean(np.maximum(1 - share, 0) ** 3, axis=1)

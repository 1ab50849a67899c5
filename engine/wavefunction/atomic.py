"""Atomic functions with learned radial parts, summed over the lattice at the twist.

    S_mu(r) = sum_T exp(i theta.T) w(r_T) r_T^l Y_lm(r_T) sum_e p_mu,e exp(-sigma_e |r_T|),

r_T = r - R - T. Each shell of the mean field's basis has one learned radial part per element, which
starts as the closest one to its Gaussians: with the mean field's coefficients these functions give
its orbitals at any twist, in any supercell, with cusps. The window w = (1 - (s / reach)^4)^3 of the
distance s along the lattice, that is in a crystal |r_T|, along a chain the part of r_T along it, in
a layer that within it, ends the sum: it is smooth, exactly periodic and the same in every
supercell. In a direction of vacuum with the fractional coordinate f of r_T, w has a factor
(1 - (2 f)^4)^3 instead.

The window and the translations are those of `images.py`. What is summed over T first, for all
functions of an element in one product of matrices, is

    M_e,lm = sum_T exp(i theta.T) w r_T^l Y_lm(r_T) exp(-sigma_e |r_T|).
"""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.harmonics import solid_harmonics
from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import Basis
from engine.wavefunction.images import Images, Place

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
    """The atoms of one element and their functions."""

    symbol: str
    atoms: np.ndarray
    shells: tuple[Shells, ...]

    @property
    def angular(self) -> int:
        """The largest l; at least 1, for features that point somewhere."""
        return max([1, *(s.angular for s in self.shells)])

    @property
    def functions(self) -> int:
        """Radial functions per atom."""
        return sum(len(s.sources) for s in self.shells)


def elements(symbols: tuple[str, ...], basis: Basis) -> tuple[Element, ...]:
    """Returns the elements in alphabetical order; atoms of an element have the same shells."""
    names = np.array(symbols)
    found = []
    for symbol in sorted(set(symbols)):
        atoms = np.flatnonzero(names == symbol)
        found.append(Element(symbol, atoms, _shells(basis, atoms)))
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

    Waves are one, the cosine and the sine of the phases; one and the signs; or one alone.

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


class Functions(nn.Module):
    """The atomic functions at a particle.

    Attributes:
        element: The atoms.
        images: Of the system.
        dtype: Of the parameters.
    """

    element: Element
    images: Images
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, sums: Array, where: Place, charge: Array, basis: Basis) -> list[Array]:
        """Returns, for each of the element's shells, (parts, A_Z, t, 2 l + 1).

        Args:
            sums: (A_Z, waves, EXPONENTS, lm) of `moments`.
            where: Of the atoms of the element.
            charge: Of their nuclei.
            basis: The Gaussians.
        """
        groups = []
        for shells in self.element.shells:
            l = shells.angular
            start = fitted(basis, shells, initial_exponents(charge, self.dtype), self.images)
            radial = self.param(f"radial_{l}", lambda _, s=start: s)
            own = jnp.einsum("tm,awmk->watk", radial, sums[..., l * l : (l + 1) ** 2])
            groups.append(jnp.stack(_turned(own, where)))
        return groups


def coefficients(element: Element, tables: Array) -> list[Array]:
    """Returns, for each of the element's shells, (S, parts, A_Z, t, 2 l + 1, J) coefficients.

    Args:
        element: The atoms.
        tables: (S, J, ao) of the orbitals of every species, real or complex.
    """
    groups = [jnp.moveaxis(tables[..., shells.columns], 1, -1) for shells in element.shells]
    return [jnp.stack([c.real, c.imag] if jnp.iscomplexobj(c) else [c], axis=1) for c in groups]


def _turned(sums: Array, where: Place) -> list[Array]:
    """Returns real (and imaginary) part of the sums (waves, A_Z, t, 2 l + 1) at the twist."""
    if where.waves is None:
        return [sums[0]]
    cosine, sine = (wave(where.half_turns)[:, None, None] for wave in (cos_pi, sin_pi))
    if len(where.waves) == 1:
        return [cosine * sums[1]]
    _, real, imag = sums
    return [cosine * real - sine * imag, sine * real + cosine * imag]


def fitted(basis: Basis, shells: Shells, sigma: Array, images: Images) -> Array:
    """Returns (t, EXPONENTS): the sums of exponentials closest to the radial parts of shells.

    Least squares with the weight r^(2 l + 2) of space, the window averaged over directions.
    """
    matrix, target = _weighted(basis, shells, sigma, images)
    normal = matrix.T @ matrix
    normal = normal + RIDGE * jnp.diag(jnp.diag(normal))
    return jnp.linalg.solve(normal, matrix.T @ target).T.astype(sigma.dtype)


def misfit(basis: Basis, shells: Shells, charge: Array, images: Images) -> Array:
    """Returns (t,) how far radial parts start from those of the basis: relative norms."""
    sigma = initial_exponents(charge, jnp.float64)
    matrix, target = _weighted(basis, shells, sigma, images)
    left = target - matrix @ fitted(basis, shells, sigma, images).T
    return jnp.linalg.norm(left, axis=0) / jnp.linalg.norm(target, axis=0)


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

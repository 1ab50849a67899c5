"""Atomic functions with learned radial parts, summed over the lattice at the twist.

    S_mu(r) = sum_T exp(i theta.T) w(r - R - T) r_T^l Y_lm(r_T) sum_m p_mu,m exp(-sigma_m |r_T|),

r_T = r - R - T. Each shell of the mean field's basis has one learned radial part per element, which
starts as the closest one to its Gaussians: with the mean field's coefficients these functions give
its orbitals at any twist, in any supercell, with cusps. The window w is one near the nucleus and
falls to zero where the list of translations ends: sums are smooth and exactly periodic.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.harmonics import solid_harmonics
from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import Basis
from engine.wavefunction.features import length

RANGE_BOHR = 9.0
"""Translations reach at least this far; the widest exponential has fallen to 1 per cent there."""
EXPONENTS = 5
WIDEST = 0.5
"""Initial smallest exponent, 1/bohr."""
GRID_BOHR = np.linspace(0.02, 10.0, 200)
"""Where radial parts are fitted."""
RIDGE = 1e-6
"""Of the fit, relative to the largest element of its matrix."""


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


def translations(system: System) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T, 3) integers around the nearest image, and (3,) half widths of the box of them.

    Args:
        system: With a lattice that is not traced.
    """
    if not system.cell.periodic:
        return np.zeros((1, 3)), np.full(3, 0.5)
    heights = 1 / np.linalg.norm(np.linalg.inv(np.asarray(system.cell.lattice, float)), axis=0)
    reach = np.maximum(np.ceil(RANGE_BOHR / heights - 0.5), 0).astype(int)
    box = itertools.product(*(range(-m, m + 1) for m in reach))
    return np.array(list(box), float), reach + 0.5


class Place(NamedTuple):
    """Where a particle is among the images of A atoms, T translations.

    Attributes:
        vectors: (A, T, 3) bohr.
        distance: (A, T) bohr.
        window: (A, T).
        half_turns: (A, T) phase of each image in units of pi.
    """

    vectors: Array
    distance: Array
    window: Array
    half_turns: Array

    def of(self, element: Element) -> Place:
        """Returns the same among the images of an element's atoms."""
        return Place(*(x[element.atoms] for x in self))


def place(r: Array, system: System, images: np.ndarray, spans: np.ndarray) -> Place:
    """Returns the displacements of a particle at r (3,) from the images of all nuclei."""
    d = r - system.positions.astype(r.dtype)
    if not system.cell.periodic:
        vectors = d[:, None]
        distance = length(jnp.sum(vectors * vectors, axis=-1))
        return Place(vectors, distance, jnp.ones_like(distance), jnp.zeros_like(distance))
    images = jnp.asarray(images, r.dtype)
    frac = system.cell.fractional(d)
    near = jnp.round(jax.lax.stop_gradient(frac))[:, None]
    frac = (frac[:, None] - near) + images
    share = (frac / jnp.asarray(spans, r.dtype)) ** 2
    share = 1 - share * share
    window = share[..., 0] * share[..., 1] * share[..., 2]
    vectors = frac @ system.cell.lattice.astype(r.dtype)
    return Place(
        vectors,
        length(jnp.sum(vectors * vectors, axis=-1)),
        window * window * window,
        2 * (near - images) @ system.twist.astype(r.dtype),
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
        """Returns, per element, (A_Z, T, EXPONENTS), and the logarithm of their common factor.

        The logarithm is a constant to differentiation.
        """
        exponents = []
        for element in self.elements:
            start = initial_exponents(system.charges[element.atoms[0]], self.dtype)
            sigma = self.param(f"sigma_{element.symbol}", lambda _, s=start: s)
            exponents.append(-where.distance[element.atoms][..., None] * jnp.abs(sigma))
        peaks = jnp.stack([x.max() for x in exponents])
        largest = jax.lax.stop_gradient(peaks.max())
        return [jnp.exp(x - largest) for x in exponents], largest


def initial_exponents(charge: Array, dtype) -> Array:
    """Returns (EXPONENTS,) exponents from the valence to the 1s of a nuclear charge, 1/bohr."""
    ratio = jnp.maximum(charge, 2.0).astype(dtype) / WIDEST
    return WIDEST * ratio ** jnp.linspace(0.0, 1.0, EXPONENTS, dtype=dtype)


class Orbitals(nn.Module):
    """The mean-field orbitals at a particle, atom by atom and shell by shell.

    Attributes:
        element: The atoms.
        twisted: Whether images have phases.
        dtype: Of the parameters.
    """

    element: Element
    twisted: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, values: Array, where: Place, charge: Array, basis: Basis, coefficients: Array
    ) -> list[Array]:
        """Returns the (A_Z, functions, J) real, or real and imaginary, parts.

        Args:
            values: (A_Z, T, EXPONENTS) of `Exponentials`.
            where: Of the atoms of the element.
            charge: Of their nuclei.
            basis: The Gaussians.
            coefficients: (J, ao) of the orbitals.
        """
        parts = []
        for shells in self.element.shells:
            start = fitted(basis, shells, initial_exponents(charge, self.dtype))
            radial = self.param(f"radial_{shells.angular}", lambda _, s=start: s)
            angular = solid_harmonics(shells.angular, where.vectors, where.distance**2)
            angular = angular * where.window[..., None]
            sums = _bloch(values @ radial.T, angular, where.half_turns, twisted=self.twisted)
            parts.append(_combined(sums, coefficients[:, shells.columns]))
        return [jnp.concatenate(x, axis=1) for x in zip(*parts, strict=True)]


def _bloch(radial: Array, angular: Array, half_turns: Array, *, twisted: bool) -> list[Array]:
    """Returns real (and imaginary) part of the sum over images, (A_Z, t, 2 l + 1)."""
    waves = [wave(half_turns) for wave in (cos_pi, sin_pi)] if twisted else [None]
    found = []
    for wave in waves:
        weighted = angular if wave is None else angular * wave[..., None]
        found.append(jnp.sum(radial[..., None] * weighted[:, :, None], axis=1))
    return found


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


def fitted(basis: Basis, shells: Shells, sigma: Array) -> Array:
    """Returns (t, EXPONENTS): the sums of exponentials closest to the radial parts of shells.

    Least squares with the weight r^(2 l + 2) of space.
    """
    r = jnp.asarray(GRID_BOHR)
    weight = r[:, None] ** (shells.angular + 1)
    matrix = weight * jnp.exp(-jnp.abs(sigma.astype(r.dtype)) * r[:, None])
    targets = [
        jnp.exp(-(r[:, None] ** 2) * basis.exponents[i].astype(r.dtype))
        @ basis.coefficients[i][:, c].astype(r.dtype)
        for i, c in shells.sources
    ]
    target = weight * jnp.stack(targets, axis=1)
    normal = matrix.T @ matrix
    normal = normal + RIDGE * normal.max() * jnp.eye(len(normal), dtype=normal.dtype)
    return jnp.linalg.solve(normal, matrix.T @ target).T.astype(sigma.dtype)

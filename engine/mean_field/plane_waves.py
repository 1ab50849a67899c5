"""Hartree-Fock of the electron gas: plane waves are its orbitals, at any twist.

Under the Ewald interaction, the determinant of N_s plane waves k = G + twist per spin s has

    E = sum_sk k^2/2 - (2 pi/V) sum_s sum_{k != k'} 1/|k - k'|^2 + N xi/2,

with xi the energy of a charge in its own images and background. The orbitals of lowest kinetic
energy are occupied: what symmetry and a closed shell single out.
Source: G. F. Giuliani and G. Vignale, Quantum Theory of the Electron Liquid (2005), chapter 2.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from scipy.special import erfc

from engine.config import MeanFieldConfig
from engine.errors import ConfigError, DataError
from engine.io.mean_field import MeanField
from engine.system.electron_gas import occupied, paired, shells
from engine.system.system import System
from engine.types import Basis, Reference

CHANNELS = {"up": 0, "down": 1}


ZONE_GRID = 8
"""Twists along each reciprocal vector in the average over the zone."""
NEGLIGIBLE = 6.0
"""exp(-x^2) and erfc(x) there are below rounding."""


def solve(
    lattice: np.ndarray, n_up: int, n_down: int, twist: np.ndarray, options: MeanFieldConfig
) -> MeanField:
    """Returns the plane-wave mean field of the simulation cell at a twist.

    Args:
        lattice: (3, 3) rows of the simulation cell, bohr.
        n_up: Spin-up electrons.
        n_down: Spin-down electrons.
        twist: (3,) fractions of the reciprocal vectors.
        options: The `mean_field` section.

    Raises:
        ConfigError: An open shell that the section does not allow.
    """
    twist, counts = np.asarray(twist, float), (n_up, n_down)
    for count in counts:
        occupied(lattice, twist, count, open_shell=options.open_shell, where="section 'mean_field'")
    waves = np.concatenate(shells(lattice, twist, max(counts)))
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    occupation = np.array([np.arange(len(waves)) < n for n in counts], float)
    energy = _orbital_energies((waves + twist) @ reciprocal, occupation, lattice)
    return MeanField(
        kpoints=(twist @ reciprocal)[None],
        coeff=np.broadcast_to(np.eye(len(waves), dtype=complex), (2, 1, *2 * waves.shape[:1])),
        energy=energy[:, None],
        occupation=occupation[:, None],
        shells=(),
        waves=waves,
        symbols=(),
        positions=np.zeros((0, 3)),
        lattice=lattice,
        twist=twist,
        total=total_energy(lattice, twist, counts),
        zone=zone_average(lattice, counts),
        nuclear=0.0,
        gap=_gap(energy, occupation),
        converged=True,
        n_cells=1,
        method="plane-waves",
        basis=f"{len(waves)} plane waves",
    )


def total_energy(
    lattice: np.ndarray, twist: np.ndarray, counts: tuple[int, ...], own: float | None = None
) -> float:
    """Returns the energy of the determinant of the lowest waves, hartree per cell.

    Args:
        lattice: (3, 3) rows, bohr.
        twist: (3,) fractions of the reciprocal vectors.
        counts: Electrons of each spin.
        own: xi, where it is known already.
    """
    own = xi(lattice) if own is None else own
    lowest = np.concatenate(shells(lattice, twist, max(counts)))[: max(counts)]
    k = (lowest + twist) @ (2 * np.pi * np.linalg.inv(lattice).T)
    kinetic = sum(0.5 * np.sum(k[:n] ** 2) for n in counts)
    exchange = sum(0.5 * np.sum(_exchange(k[:n], lattice)) for n in counts)
    return float(kinetic - exchange + 0.5 * sum(counts) * own)


def zone_average(lattice: np.ndarray, counts: tuple[int, ...]) -> float:
    """Returns the energy averaged over a dense grid of twists, electrons fixed at each of them.

    Half of the grid suffices: E(-twist) = E(twist).
    """
    axis, own = (np.arange(ZONE_GRID) + 0.5) / ZONE_GRID - 0.5, xi(lattice)
    grid = itertools.product(axis[axis > 0], axis, axis)
    return float(np.mean([total_energy(lattice, np.array(t), counts, own) for t in grid]))


def _exchange(k: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Returns (n, n) matrix elements 4 pi / (V |k - k'|^2), zero on the diagonal."""
    square = np.sum((k[:, None] - k) ** 2, axis=-1)
    np.fill_diagonal(square, np.inf)
    return 4 * np.pi / abs(np.linalg.det(lattice)) / square


def _orbital_energies(k: np.ndarray, occupation: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Returns (2, G): k^2/2 - sum_{occupied k'} 4 pi / (V |k - k'|^2) + xi/2, hartree."""
    exchange = occupation @ _exchange(k, lattice)
    return 0.5 * np.sum(k**2, axis=-1) - exchange + 0.5 * xi(lattice)


def _gap(energy: np.ndarray, occupation: np.ndarray) -> float:
    """Returns the smallest difference of an empty and a filled level of one spin, hartree."""
    pairs = [(e[o == 0], e[o > 0]) for e, o in zip(energy, occupation, strict=True) if o.any()]
    return float(min(empty.min() - filled.max() for empty, filled in pairs))


def _lengths(rows: np.ndarray, reach: float) -> np.ndarray:
    """Returns the lengths of all lattice vectors but zero, to `reach` at least."""
    most = np.ceil(reach * np.linalg.norm(np.linalg.inv(rows), axis=0)).astype(int)
    places = np.array(list(itertools.product(*(range(-n, n + 1) for n in most))))
    return np.linalg.norm((places @ rows)[np.any(places, axis=1)], axis=1)


def xi(lattice: np.ndarray) -> float:
    """Returns lim_{r->0} [v(r) - 1/r] of the Ewald potential v of a compact cell, hartree."""
    volume = abs(np.linalg.det(lattice))
    alpha = np.sqrt(np.pi) / volume ** (1 / 3)
    waves = 2 * np.pi * np.linalg.inv(lattice).T
    t, g = (_lengths(lattice, NEGLIGIBLE / alpha), _lengths(waves, 2 * alpha * NEGLIGIBLE))
    waves = 4 * np.pi / volume * np.sum(np.exp(-((g / (2 * alpha)) ** 2)) / g**2)
    own = np.pi / (alpha**2 * volume) + 2 * alpha / np.sqrt(np.pi)
    return float(np.sum(erfc(alpha * t) / t) + waves - own)


def make_reference(
    mean_field: MeanField, system: System, *, complex_orbitals: bool, dtype
) -> Reference:
    """Returns the occupied plane waves: nothing but their wave vectors.

    These are arrays, so that all twists share a program though they occupy other waves. Real ones
    come as k = 0, if that is occupied, then one k of each pair +-k, then the same k again: of each
    pair the cosine, then the sine.

    Raises:
        DataError: The mean field is of another number of electrons.
        ConfigError: Real orbitals of waves that are not pairs +-k.
    """
    chosen = [_occupied_waves(mean_field, s.name, s.count) for s in system.species]
    if not complex_orbitals:
        chosen = [paired(waves, mean_field.twist) for waves in chosen]
        if any(waves is None for waves in chosen):
            raise ConfigError(
                "real orbitals for plane waves that are not pairs k and -k",
                where="ansatz.number",
                expected="complex orbitals: exp(i k.r)",
                remedy="set number: auto or complex",
            )
    reciprocal = np.asarray(system.cell.reciprocal)
    number = np.result_type(dtype, np.complex64) if complex_orbitals else dtype
    return Reference(
        coefficients=tuple(jnp.zeros((len(w), 0), number) for w in chosen),
        kpoints=tuple(jnp.asarray((w + mean_field.twist) @ reciprocal, dtype) for w in chosen),
        basis=Basis((), (), (), ()),
        images=((0, 0, 0),),
    )


def evaluate(k: Array, walker: Array, *, real: bool = False) -> Array:
    """Returns exp(i k_j.r_i), (n, n_s); real ones are 1, sqrt(2) cos(k.r) and sqrt(2) sin(k.r).

    Args:
        k: (n_s, 3) wave vectors, 1/bohr; ordered as `make_reference` says.
        walker: (n, 3) positions, bohr.
        real: Whether waves +-k stand as cosine and sine.
    """
    angle = jnp.matmul(walker, k.astype(walker.dtype).T, precision="highest")
    if not real:
        return lax.complex(jnp.cos(angle), jnp.sin(angle))
    single, pairs = len(k) % 2, len(k) // 2
    waves = angle[:, single : single + pairs]
    both = 2**0.5 * jnp.concatenate([jnp.cos(waves), jnp.sin(waves)], axis=1)
    return jnp.concatenate([jnp.ones_like(angle[:, :single]), both], axis=1)


def _occupied_waves(mean_field: MeanField, species: str, count: int) -> np.ndarray:
    """Returns the (count, 3) integers of a species' waves; each orbital is one wave."""
    found = np.flatnonzero(mean_field.occupation[CHANNELS[species], 0])
    if len(found) != count:
        raise DataError(
            f"{len(found)} occupied plane waves of spin {species}",
            where="mean field",
            expected=f"{count}, the particles of the species",
            remedy="run the mean field again",
        )
    return mean_field.waves[found]

"""The occupied mean-field orbitals of the simulation cell: unfolded once, evaluated in JAX."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from engine.errors import ConfigError, DataError
from engine.io.mean_field import MeanField
from engine.mean_field import gto, localised, oscillator, plane_waves
from engine.mean_field.lattice_sums import Split, cheapest, wave_coefficients, whole
from engine.mean_field.unfold import (
    first_zone,
    real_orbitals,
    supercell_overlap,
    translations,
    unfold,
)
from engine.system.system import System
from engine.types import AtomicOrbitals, Basis, Reference

BROKEN = 1e-3
"""Density matrices of up and down that differ by more, relative to the largest element, differ."""

CHANNELS = {"up": 0, "down": 1, "positron_up": 2, "positron_down": 3}


def make_reference(
    mean_field: MeanField,
    system: System,
    S: np.ndarray,
    *,
    complex_orbitals: bool,
    dtype: Any,
    antiperiodic: bool = False,
) -> Reference:
    """Returns the occupied orbitals of the simulation cell.

    Real orbitals of a periodic cell are combinations of k and -k; they are no Bloch functions of
    the primitive cell, and their `kpoints` are zero.

    Args:
        mean_field: Of the primitive cell, at the folded k-points.
        system: The simulation cell, at the same twist.
        S: (3, 3) integers, supercell L = S @ a.
        complex_orbitals: Whether a periodic cell gets complex coefficients; a molecule's are real.
        dtype: Real floating-point type of the result.
        antiperiodic: Whether real orbitals are at twists of 1/2, or share programs with such.

    Raises:
        DataError: The mean field is of another structure, twist or number of electrons.
        ConfigError: Real orbitals at a twist where there are none.
    """
    _check_twist(mean_field, system, complex_orbitals, antiperiodic)
    if mean_field.method == oscillator.METHOD:
        return oscillator.make_reference(system, dtype)
    if mean_field.method == localised.METHOD:
        return localised.make_reference(mean_field, system, dtype)
    if mean_field.waves is not None:
        return plane_waves.make_reference(
            mean_field, system, complex_orbitals=complex_orbitals, dtype=dtype
        )
    shifts = translations(mean_field, system, S)
    sets = [
        unfold(mean_field, _channel(s.name, len(mean_field.coeff)), s.count, shifts)
        for s in system.species
    ]
    coefficients, kpoints = [c for c, _, _ in sets], [k for _, k, _ in sets]
    number = np.result_type(dtype, np.complex64)
    if not system.cell.periodic:
        coefficients, number = [c.real for c in coefficients], dtype
    elif complex_orbitals:
        kpoints = [first_zone(k, np.linalg.solve(S, system.cell.lattice)) for k in kpoints]
    else:
        overlap = supercell_overlap(mean_field, shifts)
        coefficients, number = [real_orbitals(c, e, overlap) for c, _, e in sets], dtype
        kpoints = [np.zeros_like(k) for k in kpoints]
    cells = len(shifts) // len(mean_field.positions)
    made = _assemble(mean_field, system, coefficients, kpoints, cells, dtype, number)
    return dataclasses.replace(made, antiperiodic=antiperiodic)


def _assemble(
    mean_field: MeanField,
    system: System,
    coefficients: list[np.ndarray],
    kpoints: list[np.ndarray],
    cells: int,
    dtype: Any,
    number: Any,
) -> Reference:
    """Splits the basis for its lattice sums and converts everything to JAX arrays."""
    everything = whole(mean_field.shells)
    split, waves = everything, []
    if system.cell.periodic:
        geometry = [
            np.asarray(x, float) for x in (system.positions, system.cell.lattice, system.twist)
        ]
        split = cheapest(mean_field.shells, cells, geometry[1])
        waves = [wave_coefficients(split, c, *geometry) for c in coefficients]
    width = coefficients[0].shape[1] // cells
    columns = (np.arange(cells)[:, None] * width + split.columns).ravel()
    return Reference(
        coefficients=tuple(jnp.asarray(c[:, columns], number) for c in coefficients),
        kpoints=tuple(jnp.asarray(k, dtype) for k in kpoints),
        basis=_basis(split, len(mean_field.positions), cells, dtype),
        images=split.images,
        wave_coefficients=tuple(jnp.asarray(d, np.result_type(dtype, np.complex64)) for d in waves),
        waves=split.waves,
        atomic=AtomicOrbitals(
            tuple(jnp.asarray(c, number) for c in coefficients),
            _basis(everything, len(mean_field.positions), cells, dtype),
        ),
        broken=_is_broken(system, coefficients),
    )


def _is_broken(system: System, coefficients: list[np.ndarray]) -> bool:
    """Tells whether as many electrons of either spin have densities that differ."""
    pair = [coefficients[i] for i, j in enumerate(system.spin_flip) if i != j]
    if not pair or len(pair[0]) != len(pair[1]):
        return False
    up, down = (c.T @ c.conj() for c in pair)
    return bool(np.abs(up - down).max() > BROKEN * np.abs(up).max())


def evaluate_orbitals(reference: Reference, walker: Array, system: System) -> tuple[Array, ...]:
    """Returns every orbital at every particle.

    Args:
        reference: The orbitals.
        walker: (n, 3) positions, anywhere in space.
        system: Gives nuclei, lattice and twist.

    Returns:
        Per species (n, n_s): phi_j(r_i), rows are all particles of the walker.
    """
    if not reference.basis.size and not reference.waves:
        if not system.cell.periodic:
            return oscillator.evaluate(system, walker)
        return tuple(
            plane_waves.evaluate(k, walker, real=not jnp.iscomplexobj(c))
            for k, c in zip(reference.kpoints, reference.coefficients, strict=True)
        )
    twisted = any(jnp.iscomplexobj(c) for c in reference.coefficients)
    parts = []
    if reference.basis.size:
        real, imag = jax.vmap(lambda r: _bloch_sums(reference, r, system, twisted))(walker)
        parts.append([_contract(real, imag, c) for c in reference.coefficients])
    if reference.waves:
        real, imag = _plane_waves(reference, walker, system)
        rows = reference.wave_coefficients
        parts.append([_contract(real, imag, d, real_only=not twisted) for d in rows])
    return tuple(sum(both[1:], start=both[0]) for both in zip(*parts, strict=True))


def _bloch_sums(
    reference: Reference, r: Array, system: System, twisted: bool
) -> tuple[Array, Array]:
    """Returns real and imaginary part of sum_T exp(i twist.T) chi_mu(r - T), each (ao,).

    T = n + m with n the translation to the atom's nearest image and m from `images`.
    """
    centres = system.positions if reference.centres is None else reference.centres
    d = r - centres.astype(r.dtype)
    if not system.cell.periodic:
        values = gto.evaluate_displacements(reference.basis, d)
        return values, jnp.zeros_like(values)
    lattice, theta = system.cell.lattice.astype(r.dtype), system.twist.astype(r.dtype)
    n = jnp.round(lax.stop_gradient(system.cell.fractional(d)))
    m = jnp.asarray(reference.images, r.dtype)
    d = d - n @ lattice - (m @ lattice)[:, None]
    values = gto.evaluate_displacements(reference.basis, d)
    if not twisted and not reference.antiperiodic:
        return jnp.sum(values, axis=0), jnp.zeros_like(values[0])
    near, far = 2 * jnp.pi * (n @ theta), 2 * jnp.pi * (m @ theta)
    near = near[_atom_of_function(reference.basis)]
    if not twisted:
        return jnp.cos(near) * (jnp.cos(far) @ values), jnp.zeros_like(values[0])
    real, imag = jnp.cos(far) @ values, jnp.sin(far) @ values
    return (
        jnp.cos(near) * real - jnp.sin(near) * imag,
        jnp.cos(near) * imag + jnp.sin(near) * real,
    )


def _plane_waves(reference: Reference, walker: Array, system: System) -> tuple[Array, Array]:
    """Returns real and imaginary part of exp(i (G + twist).r), each (n, G)."""
    frac = system.cell.fractional(walker)
    inside = frac - jnp.floor(lax.stop_gradient(frac))  # exp(i G.r) does not change: small angles
    waves, theta = jnp.asarray(reference.waves, walker.dtype), system.twist.astype(walker.dtype)
    angle = jnp.matmul(inside, waves.T, precision="highest")
    angle = 2 * jnp.pi * (angle + (frac @ theta)[:, None])
    return jnp.cos(angle), jnp.sin(angle)


def _contract(real: Array, imag: Array, coefficients: Array, real_only: bool = False) -> Array:
    """Returns (n, n_s) orbitals; in real arithmetic, which every autodiff route knows."""

    def times(values: Array, c: Array) -> Array:
        return jnp.matmul(values, c.T, precision="highest")

    if not jnp.iscomplexobj(coefficients):
        return times(real, coefficients)
    a, b = coefficients.real, coefficients.imag
    first = times(real, a) - times(imag, b)
    return first if real_only else lax.complex(first, times(real, b) + times(imag, a))


def _atom_of_function(basis: Basis) -> np.ndarray:
    rows = zip(basis.atoms, basis.angular, basis.coefficients, strict=True)
    return np.concatenate([[atom] * ((2 * l + 1) * c.shape[1]) for atom, l, c in rows])


def _channel(name: str, available: int) -> int:
    if CHANNELS.get(name, available) >= available:
        raise DataError(
            f"no mean-field orbitals for species '{name}'",
            where="mean field",
            expected=", ".join(CHANNELS),
        )
    return CHANNELS[name]


def _check_twist(
    mean_field: MeanField, system: System, complex_orbitals: bool, antiperiodic: bool
) -> None:
    twist = np.asarray(system.twist, dtype=float)
    if np.abs(twist - mean_field.twist).max() > 1e-6:
        raise DataError(
            f"the mean field is at twist {mean_field.twist.tolist()}",
            where="mean field",
            expected=f"twist {twist.tolist()}",
            remedy="run the mean field of this twist",
        )
    bloch = system.cell.periodic and bool(system.symbols)
    turns = 2 * twist if antiperiodic else twist
    if bloch and not complex_orbitals and np.abs(turns - np.round(turns)).max() > 1e-6:
        raise ConfigError(
            f"real orbitals at twist {twist.tolist()}",
            where="ansatz.number",
            expected="complex orbitals where a twist is not zero (ansatz transferable: 0 or 1/2)",
            remedy="set number: auto or complex",
        )


def _basis(split: Split, atoms: int, cells: int, dtype: Any) -> Basis:
    """Returns the sharp shells of all cells; `atoms` is the number in one of them."""
    shells = split.sharp
    return Basis(
        exponents=tuple(jnp.asarray(s.exponents, dtype) for s in shells) * cells,
        coefficients=tuple(jnp.asarray(s.coefficients, dtype) for s in shells) * cells,
        atoms=tuple(s.atom + atoms * cell for cell in range(cells) for s in shells),
        angular=tuple(s.angular for s in shells) * cells,
    )

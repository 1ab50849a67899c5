"""The mean-field file: k-points, orbitals, occupations and basis of the primitive cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DataError
from engine.io import hdf5

KIND = "mean_field"
UNITS = {
    "kpoints": "1/bohr",
    "energy": "hartree",
    "positions": "bohr",
    "lattice": "bohr",
    "total": "hartree per primitive cell",
    "nuclear": "hartree per primitive cell",
    "gap": "hartree",
    "zone": "hartree per primitive cell",
    "basis/exponents": "1/bohr^2",
}
TEXTS = ("method", "basis", "system_fingerprint", "pyscf_version")


@dataclasses.dataclass(frozen=True, eq=False)
class Shell:
    """Contracted Gaussians on one atom, sum_p coefficient_p exp(-exponent_p r^2) r^l Y_lm.

    Attributes:
        atom: Index of the atom in the primitive cell.
        angular: l.
        exponents: (p,) 1/bohr^2.
        coefficients: (p, c) for c contracted functions, with all normalisation.
    """

    atom: int
    angular: int
    exponents: np.ndarray
    coefficients: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class MeanField:
    """One converged mean field of the primitive cell (of the molecule) at one twist.

    Orbital i of spin s at k is sum_mu coeff[s, k, mu, i] sum_T exp(i k.T) chi_mu(r - T), T over
    the primitive lattice, normalised over the primitive cell. Where linear dependence left fewer
    orbitals at some k, the missing ones have zero coefficients and infinite energy. Where there
    are `waves`, chi_mu is the plane wave exp(i (G_mu + k).r) / sqrt(V) of the simulation cell.

    Attributes:
        kpoints: (K, 3) Bloch vectors, twist included, 1/bohr.
        coeff: (2, K, ao, mo) complex, spin up and down; (4, K, ao, mo) with positrons, whose
            spins come third and fourth.
        energy: (2, K, mo) or (4, K, mo) orbital energies, hartree.
        occupation: As `energy`, 0 or 1 per spin.
        shells: The basis, shells ordered by atom.
        symbols: Chemical symbols of the primitive cell.
        positions: (A, 3) as used, bohr; they may differ from the structure's by vacuum
            lattice vectors.
        lattice: (3, 3) rows as used (vacuum may be shortened), bohr; None for a molecule.
        twist: (3,) fractions of the simulation cell's reciprocal vectors.
        total: Energy per primitive cell, exchange correction included, hartree.
        nuclear: Repulsion of the nuclei per primitive cell, hartree.
        gap: Smallest LUMO - HOMO over spins, hartree; infinite without virtual orbitals.
        converged: Whether the iteration met its threshold.
        n_cells: Primitive cells in the simulation cell.
        method: "rhf", "uhf", "rohf", "rks", "plane-waves" or "oscillator".
        basis: Name of the basis set.
        system_fingerprint: Fingerprint of the system file it was made from.
        pyscf_version: Version of the program.
        fingerprint: Of the file it was read from.
        waves: (G, 3) integers G_mu in units of the reciprocal vectors; None for Gaussians.
        zone: Energy per primitive cell averaged over a dense grid of twists, hartree; None where
            nobody computed it.
    """

    kpoints: np.ndarray
    coeff: np.ndarray
    energy: np.ndarray
    occupation: np.ndarray
    shells: tuple[Shell, ...]
    symbols: tuple[str, ...]
    positions: np.ndarray
    lattice: np.ndarray | None
    twist: np.ndarray
    total: float
    nuclear: float
    gap: float
    converged: bool
    n_cells: int
    method: str
    basis: str
    system_fingerprint: str = ""
    pyscf_version: str = ""
    fingerprint: str = ""
    waves: np.ndarray | None = None
    zone: float | None = None

    @property
    def simulation_energy(self) -> float:
        """Energy of the simulation cell, hartree."""
        return self.n_cells * self.total


def write_mean_field(path: str | Path, mean_field: MeanField, fingerprint: str) -> None:
    """Writes `mean_field`; `fingerprint` identifies the input of the stage."""
    arrays = (
        "kpoints",
        "coeff",
        "energy",
        "occupation",
        "positions",
        "twist",
        "total",
        "nuclear",
        "gap",
    )
    data = {name: np.asarray(getattr(mean_field, name)) for name in arrays}
    if mean_field.lattice is not None:
        data["lattice"] = np.asarray(mean_field.lattice)
    if mean_field.waves is None:
        data |= _pack(mean_field.shells)
    else:
        data["waves"] = np.asarray(mean_field.waves, np.int64)
    if mean_field.zone is not None:
        data["zone"] = float(mean_field.zone)
    attributes = {name: getattr(mean_field, name) for name in TEXTS}
    attributes |= {
        "converged": bool(mean_field.converged),
        "n_cells": int(mean_field.n_cells),
        "symbols": list(mean_field.symbols),
    }
    units = {name: unit for name, unit in UNITS.items() if name in data}
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=units, attributes=attributes)


def read_mean_field(path: str | Path) -> MeanField:
    """Reads a mean-field file.

    Raises:
        DataError: Missing, damaged, of another kind, or with datasets that do not fit together.
    """
    record = hdf5.read(path, KIND)
    data, facts = record.data, record.attributes
    with hdf5.complete(path):
        scalars = {name: float(data[name]) for name in ("total", "nuclear", "gap")}
        arrays = {
            n: data[n] for n in ("kpoints", "coeff", "energy", "occupation", "positions", "twist")
        }
        result = MeanField(
            **arrays,
            **scalars,
            **{name: facts[name] for name in TEXTS},
            shells=() if "waves" in data else _unpack(data),
            waves=data.get("waves"),
            zone=float(data["zone"]) if "zone" in data else None,
            lattice=data.get("lattice"),
            symbols=tuple(facts["symbols"]),
            converged=facts["converged"],
            n_cells=facts["n_cells"],
            fingerprint=record.fingerprint,
        )
    _check(result, path)
    return result


def _check(mf: MeanField, path: str | Path) -> None:
    ao = sum((2 * s.angular + 1) * s.coefficients.shape[1] for s in mf.shells)
    ao += 0 if mf.waves is None else len(mf.waves)
    k, mo, species = len(mf.kpoints), mf.energy.shape[-1], 4 if len(mf.coeff) == 4 else 2
    found = (mf.coeff.shape, mf.energy.shape, mf.occupation.shape)
    wanted = ((species, k, ao, mo), (species, k, mo), (species, k, mo))
    if found != wanted or any(s.atom >= len(mf.positions) for s in mf.shells):
        raise DataError(
            f"coeff, energy, occupation have shapes {found}",
            where=str(path),
            expected=f"{wanted} from the k-points and the basis",
            remedy="delete it and run again",
        )


def _pack(shells: Sequence[Shell]) -> dict[str, np.ndarray]:
    return {
        "basis/atoms": np.array([s.atom for s in shells]),
        "basis/angular": np.array([s.angular for s in shells]),
        "basis/primitives": np.array([len(s.exponents) for s in shells]),
        "basis/contracted": np.array([s.coefficients.shape[1] for s in shells]),
        "basis/exponents": np.concatenate([s.exponents for s in shells]),
        "basis/coefficients": np.concatenate([s.coefficients.ravel() for s in shells]),
    }


def _unpack(data: Mapping[str, Any]) -> tuple[Shell, ...]:
    p, c = data["basis/primitives"], data["basis/contracted"]
    exponents = np.split(data["basis/exponents"], np.cumsum(p)[:-1])
    coefficients = np.split(data["basis/coefficients"], np.cumsum(p * c)[:-1])
    blocks = (x.reshape(-1, width) for x, width in zip(coefficients, c, strict=True))
    rows = zip(data["basis/atoms"], data["basis/angular"], exponents, blocks, strict=True)
    return tuple(Shell(int(atom), int(angular), e, x) for atom, angular, e, x in rows)

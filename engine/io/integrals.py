"""`integrals.h5`: the electronic Hamiltonian in an orbital basis of the simulation cell.

H = constant + sum_pq h_pq a+_p a_q + 1/2 sum_pqrs (pq|rs) a+_p a+_r a_s a_q, spin summed, with
(pq|rs) = int conj(phi_p) phi_q conj(phi_r) phi_s / |r - r'| (chemists' order).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.io import hdf5

KIND = "integrals"
HERMITIAN = 1e-6
"""Largest deviation from Hermiticity of a file that is accepted, hartree."""
ARRAYS = {"one_body": "hartree", "two_body": "hartree", "kinetic": "hartree"}
TRANSLATIONS = ("places", "turns")
CONSTANTS = ("nuclear", "madelung", "frozen", "frozen_kinetic", "mean_field")


@dataclasses.dataclass(frozen=True, eq=False)
class Integrals:
    """A Hamiltonian of n orbitals; everything in hartree per simulation cell.

    Attributes:
        one_body: (n, n) h_pq, Hermitian; the frozen core's mean field included.
        two_body: (n, n, n, n) (pq|rs).
        kinetic: (n, n) kinetic part of h_pq; zero where it is not known (FCIDUMP).
        up: (n, N_up) occupied orbitals of the mean field in this basis.
        down: (n, N_down).
        nuclear: Repulsion of the nuclei.
        madelung: -xi N / 2, the Ewald self-interaction of all N electrons; 0 in a molecule.
        frozen: Energy of the frozen core.
        frozen_kinetic: Kinetic part of `frozen`.
        mean_field: Mean-field energy, Madelung term included.
        orbitals: "canonical", "natural", "oao", "boys", "pipek-mezey" or "file".
        twist: (3,) fractions of the simulation cell's reciprocal vectors.
        n_cells: Primitive cells in the simulation cell.
        system_fingerprint: Of the system file.
        fingerprint: Of the file it was read from.
        places: (K, n) where each translation of the simulation cell takes an orbital; None where
            orbitals are not taken to one another.
        turns: (K, n) its phase, exp(-2 pi i turns).
    """

    one_body: np.ndarray
    two_body: np.ndarray
    kinetic: np.ndarray
    up: np.ndarray
    down: np.ndarray
    nuclear: float
    madelung: float
    frozen: float
    frozen_kinetic: float
    mean_field: float
    orbitals: str
    twist: np.ndarray
    n_cells: int
    system_fingerprint: str = ""
    fingerprint: str = ""
    places: np.ndarray | None = None
    turns: np.ndarray | None = None

    @property
    def n_orbitals(self) -> int:
        """Spatial orbitals."""
        return len(self.one_body)

    @property
    def n_up(self) -> int:
        """Spin-up electrons outside the frozen core."""
        return self.up.shape[1]

    @property
    def n_down(self) -> int:
        """Spin-down electrons outside the frozen core."""
        return self.down.shape[1]

    @property
    def constant(self) -> float:
        """What every determinant has in common: nuclei, Madelung term, frozen core."""
        return self.nuclear + self.madelung + self.frozen

    @property
    def is_complex(self) -> bool:
        """Whether the integrals are complex."""
        return np.iscomplexobj(self.one_body) or np.iscomplexobj(self.two_body)


def write_integrals(path: str | Path, integrals: Integrals, fingerprint: str) -> None:
    """Writes the file; `fingerprint` identifies the input of the stage."""
    names = (*ARRAYS, "up", "down", "twist", *CONSTANTS)
    names += TRANSLATIONS if integrals.places is not None else ()
    data = {name: np.asarray(getattr(integrals, name)) for name in names}
    units = ARRAYS | {name: "hartree per simulation cell" for name in CONSTANTS}
    attributes = {
        "orbitals": integrals.orbitals,
        "n_cells": integrals.n_cells,
        "system_fingerprint": integrals.system_fingerprint,
    }
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=units, attributes=attributes)


def read_integrals(path: str | Path) -> Integrals:
    """Reads an integrals file.

    Raises:
        DataError: Missing, damaged, not Hermitian, or with shapes that do not fit together.
    """
    record = hdf5.read(path, KIND)
    data, facts = record.data, record.attributes
    with hdf5.complete(path):
        result = Integrals(
            **{name: data[name] for name in (*ARRAYS, "up", "down", "twist")},
            **{name: float(data[name]) for name in CONSTANTS},
            **{name: facts[name] for name in ("orbitals", "n_cells", "system_fingerprint")},
            fingerprint=record.fingerprint,
            **{name: data.get(name) for name in TRANSLATIONS},
        )
    check_integrals(result, path)
    return result


def check_integrals(integrals: Integrals, where: str | Path) -> None:
    """Raises DataError where arrays do not fit together or the Hamiltonian is not Hermitian."""
    n, h, g = integrals.n_orbitals, integrals.one_body, integrals.two_body
    wanted = ((n, n), (n, n, n, n), (n, n), n, n)
    found = (h.shape, g.shape, integrals.kinetic.shape, len(integrals.up), len(integrals.down))
    if found != wanted:
        raise DataError(
            f"one_body, two_body, kinetic, up, down have sizes {found}",
            where=str(where),
            expected=f"{wanted}",
            remedy="delete it and run again",
        )
    one = np.abs(h - h.conj().T).max()
    two = max(
        np.abs(g - g.conj().transpose(1, 0, 3, 2)).max(), np.abs(g - g.transpose(2, 3, 0, 1)).max()
    )
    if not (one < HERMITIAN and two < HERMITIAN):  # not a number either
        raise DataError(
            f"the Hamiltonian is not Hermitian: deviation {max(one, two):.1e} hartree",
            where=str(where),
            expected=f"h_pq = conj(h_qp), (pq|rs) = conj(qp|sr) = (rs|pq) to {HERMITIAN:g}",
            remedy="make the file again; of a FCIDUMP check the order of the indices",
        )


def determinant_energy(integrals: Integrals) -> float:
    """Returns the energy of the mean-field determinant in these integrals, hartree."""
    densities = [c @ c.conj().T for c in (integrals.up, integrals.down)]
    total = densities[0] + densities[1]
    coulomb = np.einsum("pqrs,sr->pq", integrals.two_body, total)
    energy = np.einsum("pq,qp->", integrals.one_body + 0.5 * coulomb, total)
    for density in densities:
        energy -= 0.5 * np.einsum("psrq,qp,sr->", integrals.two_body, density, density)
    return float(energy.real) + integrals.constant

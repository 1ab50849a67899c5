"""Labels for learned Hamiltonians: matrices, energy and forces of molecules by PySCF."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyscf
from pyscf.data.elements import MASSES
from pyscf.data.nist import AMU2AU

from engine.config import MeanFieldConfig
from engine.errors import NotConvergedError
from engine.mean_field.pyscf_solver import field_of, molecule_of
from engine.system.geometry import Geometry

VERSION = pyscf.__version__


@dataclasses.dataclass(frozen=True, eq=False)
class Label:
    """One geometry; n orbitals in PySCF's order, energies in hartree.

    Attributes:
        fock: (n, n) converged Fock (Kohn-Sham) matrix.
        overlap: (n, n).
        core: (n, n) kinetic energy and nuclei.
        guess: (n, n) Fock matrix of the initial guess's density.
        density: (n, n) converged density matrix, both spins.
        energy: Total energy.
        forces: (A, 3) hartree / bohr.
        dipole: (3,) of the molecule, e bohr.
        cycles: Iterations from the initial guess.
    """

    fock: np.ndarray
    overlap: np.ndarray
    core: np.ndarray
    guess: np.ndarray
    density: np.ndarray
    energy: float
    forces: np.ndarray
    dipole: np.ndarray
    cycles: int


def molecular_field(geometry: Geometry, charge: int, options: MeanFieldConfig) -> Any:
    """Returns the closed-shell mean field of a molecule, not yet iterated, silent."""
    molecule = molecule_of(geometry, None, 0, charge, options)
    half = molecule.nelectron // 2
    field = field_of(molecule, None, half, half, options)
    field.callback = None
    return field


def label(geometry: Geometry, charge: int, options: MeanFieldConfig, guess: str) -> Label:
    """Returns the matrices of a converged molecule.

    Args:
        geometry: Open, closed-shell.
        charge: Net charge.
        options: The `mean_field` section.
        guess: PySCF's name of the initial guess.

    Raises:
        NotConvergedError: No self-consistency.
    """
    field = molecular_field(geometry, charge, options)
    start = field.get_init_guess(key=guess)
    initial = field.get_fock(dm=start)
    field.kernel(dm0=start)
    if not field.converged:
        raise NotConvergedError(
            f"no self-consistency in {options.max_cycles} cycles",
            where="labels",
            expected=f"a change below {options.convergence_ha:g} hartree",
            remedy="in mean_field raise max_cycles, or sample smaller displacements",
        )
    density = field.make_rdm1()
    return Label(
        fock=np.asarray(field.get_fock(dm=density)),
        overlap=field.get_ovlp(),
        core=field.get_hcore(),
        guess=np.asarray(initial),
        density=np.asarray(density),
        energy=float(field.e_tot),
        forces=forces(field),
        dipole=dipole(field, density),
        cycles=int(field.cycles),
    )


def forces(field: Any) -> np.ndarray:
    """Returns (A, 3) forces of a mean field's orbitals, hartree / bohr."""
    gradient = field.nuc_grad_method()
    gradient.verbose = 0
    return -np.asarray(gradient.kernel())


def dipole(field: Any, density: np.ndarray) -> np.ndarray:
    """Returns (3,) the dipole moment, e bohr."""
    return np.asarray(field.dip_moment(dm=density, unit="AU", verbose=0))


def shells_of(geometry: Geometry, charge: int, options: MeanFieldConfig) -> dict[str, list[int]]:
    """Returns symbol -> l of each contracted shell in PySCF's order."""
    molecule = molecule_of(geometry, None, 0, charge, options)
    found: dict[int, list[int]] = {}
    for shell in range(molecule.nbas):
        row = found.setdefault(int(molecule.bas_atom(shell)), [])
        row += [int(molecule.bas_angular(shell))] * int(molecule.bas_nctr(shell))
    return {geometry.symbols[atom]: row for atom, row in found.items()}


def masses(geometry: Geometry) -> np.ndarray:
    """Returns (A,) nuclear masses in electron masses."""
    return np.array([MASSES[charge] for charge in geometry.charges]) * AMU2AU

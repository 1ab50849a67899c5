"""Integrals over Bloch functions of the primitive cell (over atomic orbitals of a molecule).

The G = 0 term is dropped everywhere; the Madelung constant is handed over apart, so that
E(Ewald) = E(integrals) - xi N / 2 for every determinant of N electrons.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from pyscf import lib, lo
from pyscf.pbc.lib.kpts_helper import get_kconserv
from pyscf.pbc.tools import madelung

WORKSPACE_MB = 4000
"""Memory for a block of integrals."""


@dataclasses.dataclass(frozen=True, eq=False)
class BlochIntegrals:
    """Integrals over K k-points and m functions each, per primitive cell, hartree.

    Attributes:
        kpoints: (K, 3) Bloch vectors, 1/bohr; one zero for a molecule.
        overlap: (K, m, m).
        core: (K, m, m) kinetic energy plus the nuclei (pseudopotentials included).
        kinetic: (K, m, m).
        two_body: (K, K, K, m, m, m, m): (k1 a, k2 b | k3 c, k4 d), k4 fixed by momentum.
        conserved: (K, K, K) index of k4, k1 - k2 + k3 - k4 a reciprocal vector.
        nuclear: Repulsion of the nuclei per primitive cell.
        madelung: xi of the simulation cell; 0 in a molecule.
    """

    kpoints: np.ndarray
    overlap: np.ndarray
    core: np.ndarray
    kinetic: np.ndarray
    two_body: np.ndarray
    conserved: np.ndarray
    nuclear: float
    madelung: float


def bloch_integrals(field: Any) -> BlochIntegrals:
    """Returns the integrals that a PySCF mean field (converged or not) is made of.

    Args:
        field: A molecular SCF object, or a k-point one, whose density fitting is used.
    """
    return _periodic(field) if hasattr(field, "kpts") else _molecular(field)


def _molecular(field: Any) -> BlochIntegrals:
    molecule = field.mol
    return BlochIntegrals(
        kpoints=np.zeros((1, 3)),
        overlap=field.get_ovlp()[None],
        core=field.get_hcore()[None],
        kinetic=molecule.intor("int1e_kin")[None],
        two_body=molecule.intor("int2e")[None, None, None],
        conserved=np.zeros((1, 1, 1), int),
        nuclear=float(molecule.energy_nuc()),
        madelung=0.0,
    )


def _periodic(field: Any) -> BlochIntegrals:
    cell, kpoints = field.cell, np.asarray(field.kpts)
    conserved = get_kconserv(cell, kpoints)
    n, m = len(kpoints), cell.nao_nr()
    two_body = np.zeros((n, n, n, m, m, m, m), complex)
    # PySCF's limit counts what the process holds already, which may be more than all of it.
    field.with_df.max_memory = lib.current_memory()[0] + WORKSPACE_MB
    for a, b, c in np.ndindex(n, n, n):
        points = kpoints[[a, b, c, conserved[a, b, c]]]
        block = field.with_df.get_eri(points, compact=False)
        two_body[a, b, c] = block.reshape(m, m, m, m)
    return BlochIntegrals(
        kpoints=kpoints,
        overlap=np.array(field.get_ovlp(), complex),
        core=np.array(field.get_hcore(), complex),
        kinetic=np.array(cell.pbc_intor("int1e_kin", kpts=kpoints), complex),
        two_body=two_body,
        conserved=conserved,
        nuclear=float(cell.energy_nuc()),
        madelung=float(madelung(cell, kpoints)),
    )


def localise(molecule: Any, orbitals: np.ndarray, kind: str) -> np.ndarray:
    """Returns a rotation among `orbitals` (ao, m) of a molecule: Foster-Boys or Pipek-Mezey."""
    if orbitals.shape[1] < 2:
        return orbitals
    make = {"boys": lo.Boys, "pipek-mezey": lo.PipekMezey}[kind]
    return make(molecule, orbitals).kernel()

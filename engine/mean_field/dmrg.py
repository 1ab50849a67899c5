"""Density-matrix renormalisation group on the same integrals, by block2 (an optional extra).

Source: H. Zhai and G. K.-L. Chan, J. Chem. Phys. 154, 224116 (2021), the program.
"""

from __future__ import annotations

import tempfile

import numpy as np

from engine.io.integrals import Integrals
from engine.system.block2 import check_block2

SWEEPS = 24
NOISES = [1e-4] * 6 + [1e-5] * 6 + [0.0]
"""Of the sweeps; the last one holds for all that follow."""


def dmrg(integrals: Integrals, bond_dimension: int) -> tuple[float, float]:
    """Returns (energy in hartree, largest discarded weight of the last sweep).

    Real integrals use the full spin symmetry, complex ones S_z; orbitals are ordered by the
    Fiedler vector of their exchange integrals.

    Args:
        integrals: The Hamiltonian.
        bond_dimension: States kept per bond at the end; half of them in the first sweeps.

    Raises:
        ConfigError: block2 is not installed.
    """
    check_block2("references, key 'methods'")
    from pyblock2.driver.core import DMRGDriver, SymmetryTypes

    kind = SymmetryTypes.SU2
    if integrals.is_complex:
        kind = SymmetryTypes.SZ | SymmetryTypes.CPX
    n, electrons = integrals.n_orbitals, integrals.n_up + integrals.n_down
    with tempfile.TemporaryDirectory() as scratch:
        driver = DMRGDriver(scratch=scratch, symm_type=kind, n_threads=1, stack_mem=2 * 1024**3)
        driver.initialize_system(
            n_sites=n, n_elec=electrons, spin=integrals.n_up - integrals.n_down
        )
        order = driver.orbital_reordering(
            np.abs(integrals.one_body), np.abs(integrals.two_body), method="fiedler"
        )
        mpo = driver.get_qc_mpo(
            h1e=integrals.one_body,
            g2e=integrals.two_body,
            ecore=integrals.constant,
            reorder=order,
            iprint=0,
        )
        state = driver.get_random_mps(tag="ground", bond_dim=bond_dimension // 2 or 1)
        energy = driver.dmrg(
            mpo,
            state,
            n_sweeps=SWEEPS,
            bond_dims=[bond_dimension // 2 or 1] * 6 + [bond_dimension],
            noises=NOISES,
            thrds=[1e-9],
            tol=1e-8,
            iprint=0,
        )
        _, discarded, _ = driver.get_dmrg_results()
    return float(np.real(energy)), float(discarded[-1])

"""Energies of established methods on one and the same integrals, by PySCF.

hf      self-consistent determinant, started from the mean field's: restricted in closed shells,
        else unrestricted
mp2     second-order perturbation theory on it
ccsd    coupled cluster of singles and doubles; not variational
ccsd-t  with perturbative triples
fci     full configuration interaction: exact

All are total energies in hartree per simulation cell. Coupled cluster of complex integrals is
not implemented; those of a crystal at a general twist have hf and fci alone.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from pyscf import ao2mo, cc, ci, fci, gto, mp, scf

from engine.errors import ConfigError, NumericalError
from engine.io.integrals import Integrals, determinant_energy

log = logging.getLogger(__name__)

NOISE = 0.3
"""Of the vector that full CI starts from: without a part of every symmetry it may end in another
state than the lowest one."""
CYCLES = 200
"""Limit on the iterations of coupled cluster and of the determinant."""


def correlated_energies(integrals: Integrals, methods: tuple[str, ...]) -> dict[str, float]:
    """Returns name -> hartree of `methods` among hf, mp2, ccsd and ccsd-t.

    One that does not converge, or does not exist for complex integrals, is left out with a
    warning.
    """
    if integrals.is_complex:
        return {"hf": determinant_energy(integrals)} if "hf" in methods else {}
    field = _determinant(integrals)
    found = {"hf": float(field.e_tot)} if field.converged else {}
    if not field.converged:
        log.warning("hf did not converge: no energy of hf, mp2 and coupled cluster")
        return found
    if "mp2" in methods:
        found["mp2"] = float(mp.MP2(field).run().e_tot)
    if {"ccsd", "ccsd-t"} & set(methods):
        found |= _coupled_cluster(field, with_triples="ccsd-t" in methods)
    return {name: energy for name, energy in found.items() if name in methods}


def full_ci(integrals: Integrals) -> float:
    """Returns the lowest energy of real integrals at their N_up and N_down, of any symmetry."""
    n = integrals.n_orbitals
    counts = (integrals.n_up, integrals.n_down)
    shape = tuple(fci.cistring.num_strings(n, count) for count in counts)
    start = NOISE * np.random.default_rng(0).normal(size=shape) / np.prod(shape) ** 0.5
    start[0, 0] += 1.0  # in canonical orbitals the determinant of the mean field
    energy, _ = fci.direct_spin1.kernel(
        integrals.one_body,
        integrals.two_body,
        n,
        counts,
        ci0=start,
        ecore=integrals.constant,
        conv_tol=1e-10,
        max_cycle=CYCLES,
    )
    return float(energy)


def _coupled_cluster(field: Any, *, with_triples: bool) -> dict[str, float]:
    solver = cc.CCSD(field)
    solver.max_cycle, solver.conv_tol = CYCLES, 1e-9
    try:
        solver.kernel()
    except (np.linalg.LinAlgError, AttributeError) as error:
        # PySCF 2.14 calls a singular DIIS matrix by a name that NumPy 2 does not have.
        if isinstance(error, AttributeError) and "linalg" not in str(error):
            raise
        log.warning("coupled cluster diverged: its equations became singular")
        return {}
    if not solver.converged:
        log.warning("coupled cluster did not converge in %d cycles", CYCLES)
        return {}
    found = {"ccsd": float(solver.e_tot)}
    if with_triples:
        found["ccsd-t"] = found["ccsd"] + float(solver.ccsd_t())
    return found


def cisd_density(one_body: np.ndarray, two_body: np.ndarray, occupied: np.ndarray) -> np.ndarray:
    """Returns (n, n) the spin-summed density matrix of CISD of a closed shell.

    Args:
        one_body: (n, n) real h_pq, hartree.
        two_body: (n, n, n, n).
        occupied: (n, N / 2) doubly occupied orbitals of the mean field, to start from.

    Raises:
        ConfigError: Complex integrals.
        NumericalError: Determinant or CISD do not converge.
    """
    if np.iscomplexobj(one_body) or np.iscomplexobj(two_body):
        raise ConfigError(
            "CISD natural orbitals of complex integrals",
            where="integrals, key 'orbitals'",
            expected="twists of 0 and 1/2, where the integrals are real",
            remedy="set orbitals: natural, those of MP2",
        )
    field = _field(one_body, two_body, 0.0, (occupied, occupied))
    solver = ci.CISD(field)
    solver.max_cycle, solver.conv_tol = CYCLES, 1e-10
    if field.converged:
        solver.kernel()
    if not (field.converged and np.all(solver.converged)):
        raise NumericalError(
            "CISD did not converge",
            where="integrals, key 'orbitals'",
            expected="a convergent determinant to start from",
            remedy="set orbitals: natural, those of MP2, or canonical",
        )
    density = solver.make_rdm1()
    C = field.mo_coeff
    return C @ density @ C.T


def _determinant(integrals: Integrals) -> Any:
    """Returns PySCF's converged field of the Hamiltonian."""
    occupied = (integrals.up, integrals.down)
    return _field(integrals.one_body, integrals.two_body, integrals.constant, occupied)


def _field(one_body, two_body, constant: float, occupied: tuple[np.ndarray, np.ndarray]) -> Any:
    n, (up, down) = len(one_body), (c.shape[1] for c in occupied)
    molecule = gto.M(verbose=0)
    molecule.nelectron, molecule.spin = up + down, up - down
    molecule.incore_anyway = True
    closed = up == down
    field = (scf.RHF if closed else scf.UHF)(molecule)
    field.get_hcore = lambda *_: one_body
    field.get_ovlp = lambda *_: np.eye(n)
    field.energy_nuc = lambda *_: constant
    field._eri = ao2mo.restore(8, two_body, n)
    field.max_cycle, field.conv_tol = CYCLES, 1e-10
    densities = np.array([c @ c.T for c in occupied])
    field.kernel(dm0=densities.sum(axis=0) if closed else densities)
    if not field.converged:
        field = field.newton().run()
    return field

"""Coupled cluster of a polarised electron gas in plane waves: a value to hold a network against.

    python benchmarks/gas_coupled_cluster.py --electrons 7 --rs 1 5 10 --waves 33 57 81

Prints Hartree-Fock, CCSD and CCSD(T) energies per electron for each number of plane waves, and the
CCSD(T) energy extrapolated in M^(-5/3), by which the correlation of equal spins converges: their
cusp is of the next order, while unlike spins have 1/M (J. J. Shepherd et al., Phys. Rev. B 86,
035111 (2012)). Closed shells of the simple cubic cell at Gamma.
"""

from __future__ import annotations

import argparse

import numpy as np
from pyscf import ao2mo, cc, gto, scf

from engine.mean_field.plane_waves import total_energy
from engine.system.electron_gas import shells

POWER = -5 / 3


def integrals(lattice: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (M,) kinetic energies and (M, M, M, M) (pq|rs) without G = 0, of real waves."""
    waves = np.concatenate(shells(lattice, np.zeros(3), count))[:count]
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    place = {tuple(w): i for i, w in enumerate(waves)}
    turn = np.zeros((count, count), complex)  # columns: 1, sqrt(2) cos, sqrt(2) sin
    for i, w in enumerate(waves):
        j = place[tuple(-w)]
        first, second = min(i, j), max(i, j)
        if i == j:
            turn[i, i] = 1
        else:
            turn[i, first] = 2**-0.5
            turn[i, second] = (-1j if i == first else 1j) * 2**-0.5
    moved = (waves[:, None] - waves[None]).reshape(-1, 3)
    transfers, which = np.unique(moved, axis=0, return_inverse=True)
    density = np.zeros((len(transfers), count**2), complex)  # rho_q between plane waves
    density[which.ravel(), np.arange(count**2)] = 1
    density = turn.conj().T @ density.reshape(-1, count, count) @ turn
    square = np.sum((transfers @ reciprocal) ** 2, axis=1)
    weight = np.divide(4 * np.pi, square, where=square > 0, out=np.zeros_like(square))
    rows = (
        density.reshape(len(transfers), -1) * np.sqrt(weight / abs(np.linalg.det(lattice)))[:, None]
    )
    eri = (
        rows.T @ rows.reshape(-1, count, count).transpose(0, 2, 1).conj().reshape(rows.shape)
    ).real
    eri = eri.reshape((count,) * 4)
    kinetic = 0.5 * np.sum((waves @ reciprocal) ** 2, axis=1)
    return kinetic, eri


def coupled_cluster(kinetic: np.ndarray, eri: np.ndarray, n: int) -> tuple[float, float]:
    """Returns CCSD and CCSD(T) correlation energies of n electrons of one spin."""
    size = len(kinetic)
    molecule = gto.M(verbose=0)
    molecule.nelectron, molecule.spin, molecule.incore_anyway = n, n, True
    field = scf.UHF(molecule)
    field.get_hcore = lambda *_: np.diag(kinetic)
    field.get_ovlp = lambda *_: np.eye(size)
    field._eri = ao2mo.restore(8, eri, size)
    density = np.zeros((2, size, size))
    density[0, range(n), range(n)] = 1
    field.max_cycle = 0
    field.kernel(density)
    field.mo_coeff = np.stack([np.eye(size)] * 2)
    field.mo_occ = np.stack([np.arange(size) < n, np.zeros(size, bool)]).astype(float)
    fock = field.get_fock(dm=density)
    field.mo_energy = np.array([np.diag(f) for f in fock])
    solver = cc.UCCSD(field)
    solver.conv_tol, solver.max_cycle = 1e-8, 100
    solver.kernel()
    return solver.e_corr, solver.e_corr + solver.ccsd_t()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--electrons", type=int, default=7)
    parser.add_argument("--rs", type=float, nargs="+", default=[1.0, 5.0, 10.0])
    parser.add_argument("--waves", type=int, nargs="+", default=[33, 57, 81])
    options = parser.parse_args()
    n = options.electrons
    for rs in options.rs:
        lattice = rs * (n * 4 * np.pi / 3) ** (1 / 3) * np.eye(3)
        hf, found = total_energy(lattice, np.zeros(3), (n,)), []
        for count in options.waves:
            singles, triples = coupled_cluster(*integrals(lattice, count), n)
            found.append(triples)
            print(
                f"rs {rs:g}, {count} waves: HF {hf / n:.8f}, CCSD {(hf + singles) / n:.6f}, "
                f"CCSD(T) {(hf + triples) / n:.6f}",
                flush=True,
            )
        if len(found) > 1:
            x = np.array(options.waves, float) ** POWER
            slope = (found[-1] - found[-2]) / (x[-1] - x[-2])
            print(f"rs {rs:g}, all waves: CCSD(T) {(hf + found[-1] - slope * x[-1]) / n:.6f}")


if __name__ == "__main__":
    main()

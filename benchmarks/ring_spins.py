"""Lowest states of four hydrogen atoms in a periodic chain at twist 0, by full CI.

    python benchmarks/ring_spins.py --basis 6-31g cc-pvdz

One level is filled by half there: two electrons in two orbitals. Printed are hartree per atom and
<S^2> of the three lowest states with as many electrons of either spin. The integrals are fitted.
"""

from __future__ import annotations

import argparse

import numpy as np
from pyscf import ao2mo, fci
from pyscf.pbc import gto, scf
from pyscf.pbc.tools import madelung

ATOMS, SPACING_BOHR, VACUUM_BOHR = 4, 1.8, 20.0


def states(basis: str, count: int = 3) -> list[tuple[float, float]]:
    """Returns (hartree per atom, <S^2>) of the lowest states."""
    cell = gto.Cell()
    half = VACUUM_BOHR / 2
    cell.atom = [("H", (SPACING_BOHR * (i + 0.5), half, half)) for i in range(ATOMS)]
    cell.a = np.diag([SPACING_BOHR * ATOMS, VACUUM_BOHR, VACUUM_BOHR])
    cell.unit, cell.basis, cell.verbose = "B", basis, 0
    cell.build()
    field = scf.RHF(cell, exxdiv=None).density_fit()
    field.level_shift = 0.2
    field.kernel()
    orbitals = field.mo_coeff
    size = orbitals.shape[1]
    core = orbitals.T @ field.get_hcore() @ orbitals
    integrals = ao2mo.restore(1, field.with_df.ao2mo(orbitals), size)
    solver = fci.direct_spin1.FCI()
    solver.nroots, solver.max_cycle, solver.conv_tol = count, 200, 1e-9
    electrons = (ATOMS // 2, ATOMS // 2)
    energies, vectors = solver.kernel(core, integrals, size, electrons)
    constant = cell.energy_nuc() - madelung(cell, np.zeros(3)) * ATOMS / 2
    return [
        (float(e + constant) / ATOMS, float(fci.spin_square(v, size, electrons)[0]))
        for e, v in zip(energies, vectors, strict=True)
    ]


def main() -> None:
    """Prints one line per basis."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    options.add_argument("--basis", nargs="+", default=["6-31g", "cc-pvdz"])
    for basis in options.parse_args().basis:
        found = "  ".join(f"{energy:.5f} (S^2 {spin:.2f})" for energy, spin in states(basis))
        print(f"{basis:10} {found}", flush=True)


if __name__ == "__main__":
    main()

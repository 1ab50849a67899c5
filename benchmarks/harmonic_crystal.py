"""The harmonic Wigner crystal of a finite cell: a value to hold a network against at large rs.

    python benchmarks/harmonic_crystal.py --sites 2 2 2 --rs 5 20 50 100 200

    E / N = static energy + (1 / 2N) sum_{q != 0} sum_j omega_j(q),

q over the Bloch vectors that the cell folds, omega_j^2 the eigenvalues of the dynamical matrix of
point charges on a bcc lattice in a uniform background,

    D_ab(q) = 4 pi n [sum_g f(q + g) (q + g)_a (q + g)_b - sum_{g != 0} f(g) g_a g_b],

f(k) = exp(-k^2 / 4 alpha^2) / k^2 with alpha so large that what is left, over lattice vectors,
vanishes. The centre of mass moves freely and costs nothing where the total momentum is zero. The
omega_j^2 sum to the square of the plasma frequency at every q (Kohn's rule), which is checked.
Neither an upper nor a lower bound: terms beyond the harmonic ones, of order rs^-2, are left out.
Source: W. J. Carr, Phys. Rev. 122, 1437 (1961).
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

from engine.mean_field.plane_waves import xi
from engine.system.electron_gas import LATTICES

SHARP = 6.0
"""alpha times the distance of neighbours."""
REACH = 16
"""Reciprocal vectors along each axis."""


def harmonic_energy(rs: float, sites: tuple[int, int, int]) -> tuple[float, float]:
    """Returns static and zero-point energy per electron, hartree.

    Args:
        rs: bohr.
        sites: Repetitions of the bcc primitive cell.
    """
    crystal = LATTICES["bcc"] * (2 * 4 * np.pi / 3 * rs**3) ** (1 / 3)
    density = 1 / abs(np.linalg.det(crystal))
    reciprocal = 2 * np.pi * np.linalg.inv(crystal).T
    alpha = SHARP / np.linalg.norm(crystal, axis=1).min()
    vectors = np.array(list(itertools.product(range(-REACH, REACH + 1), repeat=3))) @ reciprocal

    def tensor(k: np.ndarray) -> np.ndarray:
        k = k[np.any(np.abs(k) > 1e-12 * alpha, axis=1)]
        square = np.sum(k**2, axis=1)
        return (k * (np.exp(-square / (4 * alpha**2)) / square)[:, None]).T @ k

    own, zero_point = tensor(vectors), 0.0
    for m in itertools.product(*map(range, sites)):
        if any(m):
            q = np.divide(m, sites) @ reciprocal
            squares = 4 * np.pi * density * np.linalg.eigvalsh(tensor(vectors + q) - own)
            if abs(squares.sum() / (4 * np.pi * density) - 1) > 1e-6:
                raise ArithmeticError("the sum rule does not hold: raise REACH")
            zero_point += 0.5 * np.sum(np.sqrt(np.maximum(squares, 0)))
    return 0.5 * xi(crystal), zero_point / np.prod(sites)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, nargs=3, default=[2, 2, 2])
    parser.add_argument("--rs", type=float, nargs="+", default=[5, 20, 50, 100, 200])
    options = parser.parse_args()
    for rs in options.rs:
        static, zero_point = harmonic_energy(rs, tuple(options.sites))
        print(
            f"rs {rs:g}: static {static:.8f}, zero point {zero_point:.8f}, "
            f"sum {static + zero_point:.8f} hartree per electron"
        )


if __name__ == "__main__":
    main()

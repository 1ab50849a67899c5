"""Full CI of a polarised electron gas in plane waves: exact energies to hold a network against.

    python benchmarks/gas_exact.py --electrons 7 --rs 1 5 10 --waves 33 57 81

Determinants of total momentum zero, combined into the representation of the cube's 48 operations
that the filled shells belong to: about a 48th of them. The lowest state of this symmetry is the
ground state in 19 waves, where `--check` compares with PySCF's full CI of all determinants. Values
per electron in M waves are upper bounds of the exact one, which is extrapolated in M^(-5/3): the
power by which the correlation of equal spins converges (J. J. Shepherd et al., Phys. Rev. B 86,
035111 (2012)). Closed shells of the simple cubic cell at Gamma, up to nine electrons and 128 waves.
"""

from __future__ import annotations

import argparse
from itertools import combinations, permutations, product

import numpy as np
from gas_coupled_cluster import POWER, integrals
from pyscf import fci
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import eigsh

from engine.mean_field.plane_waves import total_energy
from engine.system.electron_gas import shells

BITS = 7  # of an orbital in the key of a determinant


def keys_of(rows: np.ndarray) -> np.ndarray:
    """Returns (...,) keys of (..., n) sorted orbitals, in lexicographic order."""
    keys = np.zeros(rows.shape[:-1], np.int64)
    for column in range(rows.shape[-1]):
        keys = (keys << BITS) | rows[..., column].astype(np.int64)
    return keys


def rows_of(keys: np.ndarray, n: int) -> np.ndarray:
    """Returns (..., n) sorted orbitals of keys."""
    shift = BITS * np.arange(n - 1, -1, -1)
    return ((keys[..., None] >> shift) & (2**BITS - 1)).astype(np.uint8)


def ordered(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (..., n) rows sorted, and the signs of the permutations that sort them."""
    sign = np.ones(rows.shape[:-1], np.int8)
    for i, j in combinations(range(rows.shape[-1]), 2):
        sign = np.where(rows[..., i] > rows[..., j], -sign, sign)
    return np.sort(rows, axis=-1), sign


class Cube:
    """The 48 operations of the cube on a set of plane waves closed under them."""

    def __init__(self, waves: np.ndarray, n: int):
        place = {tuple(w): i for i, w in enumerate(waves)}
        turns = []
        for order in permutations(range(3)):
            for signs in product((1, -1), repeat=3):
                turned = waves[:, order] * np.array(signs)
                turns.append([place[tuple(w)] for w in turned])
        self.turns = np.array(turns, np.uint8)
        if np.any(np.sort(self.turns[:, :n], axis=1) != np.arange(n)):
            raise SystemExit(f"{n} electrons leave a shell of the simple cubic cell open")
        self.character = ordered(self.turns[:, :n])[1]  # of the n lowest waves, filled shells

    def canonical(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lowest key of each row's orbit, and the sign it has there."""
        best = np.full(rows.shape[:-1], np.iinfo(np.int64).max)
        sign = np.zeros(rows.shape[:-1], np.int8)
        for turn, character in zip(self.turns, self.character, strict=True):
            turned, parity = ordered(turn[rows])
            keys = keys_of(turned)
            lower = keys < best
            best = np.where(lower, keys, best)
            sign = np.where(lower, parity * character, sign)
        return best, sign

    def orbits(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns sizes of orbits, and whether the representation occurs in them."""
        own = keys_of(rows)
        fixed, trace = np.zeros(len(rows), int), np.zeros(len(rows), int)
        for turn, character in zip(self.turns, self.character, strict=True):
            turned, parity = ordered(turn[rows])
            same = keys_of(turned) == own
            fixed += same
            trace += same * parity * character
        return len(self.turns) // fixed, trace == fixed


def determinants(waves: np.ndarray, n: int) -> np.ndarray:
    """Returns (D, n) sorted orbitals of all determinants of n waves without total momentum."""
    low, high = n // 2, n - n // 2
    parts = []
    for size in (low, high):
        rows = np.array(list(combinations(range(len(waves)), size)), np.uint8)
        parts.append((rows, waves[rows].sum(axis=1)))
    groups: dict[tuple, np.ndarray] = {}
    rows, momenta = parts[1]
    distinct, which = np.unique(momenta, axis=0, return_inverse=True)
    which = which.ravel()
    starts = np.searchsorted(which[np.argsort(which, kind="stable")], np.arange(len(distinct) + 1))
    rows = rows[np.argsort(which, kind="stable")]
    for i, momentum in enumerate(distinct):
        groups[tuple(momentum)] = rows[starts[i] : starts[i + 1]]
    found = []
    for row, momentum in zip(*parts[0], strict=True):
        upper = groups.get(tuple(-momentum))
        if upper is not None:
            upper = upper[upper[:, 0] > row[-1]]
            found.append(np.hstack([np.tile(row, (len(upper), 1)), upper]))
    return np.concatenate(found)


def pair_table(waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (M, M) index of each pair's momentum, and (S, L, 2) the pairs of that momentum.

    Missing pairs are (255, 255).
    """
    pairs = np.array(list(combinations(range(len(waves)), 2)), np.uint8)
    _, which = np.unique(waves[pairs].sum(axis=1), axis=0, return_inverse=True)
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    count = np.bincount(which)
    table = np.full((len(count), count.max(), 2), 255, np.uint8)
    slot = np.arange(len(pairs)) - np.repeat(np.cumsum(count) - count, count)
    table[which[order], slot] = pairs[order]
    index = np.zeros((len(waves), len(waves)), int)
    index[pairs[:, 0], pairs[:, 1]] = which
    return index, table


def hamiltonian(waves: np.ndarray, n: int, chunk: int = 2000) -> tuple[csr_matrix, csr_matrix]:
    """Returns kinetic and Coulomb matrices, in units of (2 pi / L)^2 and 1 / (pi L)."""
    if len(waves) > 2**BITS or n * BITS > 63:
        raise SystemExit(f"{n} electrons in {len(waves)} waves: at most 9 and {2**BITS}")
    cube = Cube(waves, n)
    rows = determinants(waves, n)
    keys = np.unique(
        np.concatenate(
            [cube.canonical(part)[0] for part in np.array_split(rows, len(rows) // 50000 + 1)]
        )
    )
    rows = rows_of(keys, n)
    size, occurs = cube.orbits(rows)
    keys, rows, size = keys[occurs], rows[occurs], size[occurs]
    print(f"  {len(keys)} combinations of determinants", flush=True)

    def coulomb(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return 1 / np.maximum(np.sum((waves[i] - waves[j]) ** 2, axis=-1), 1e-9)

    square = 0.5 * np.sum(waves**2, axis=1)
    kinetic = square[rows].sum(axis=1)
    exchange = -sum(coulomb(rows[:, i], rows[:, j]) for i, j in combinations(range(n), 2))
    index, table = pair_table(waves)
    entries = [(np.arange(len(keys)), np.arange(len(keys)), exchange)]
    for start in range(0, len(keys), chunk):
        part = rows[start : start + chunk]
        occupied = np.zeros((len(part), 256), bool)
        np.put_along_axis(occupied, part.astype(int), True, axis=1)
        occupied[:, 255] = True
        for p, q in combinations(range(n), 2):
            i, j = part[:, p], part[:, q]
            new = table[index[i, j]]  # (chunk, L, 2)
            free = ~np.take_along_axis(
                occupied, new.reshape(len(part), -1).astype(int), axis=1
            ).reshape(new.shape).any(axis=-1)
            source, slot = np.nonzero(free)
            a, b = new[source, slot].T
            value = coulomb(a, i[source]) - coulomb(a, j[source])
            moved = part[source].copy()
            moved[:, p], moved[:, q] = a, b
            moved, parity = ordered(moved)
            target, sign = cube.canonical(moved)
            place = np.minimum(np.searchsorted(keys, target), len(keys) - 1)
            good = keys[place] == target  # others belong to other representations
            source, place, value = source[good] + start, place[good], (value * parity * sign)[good]
            value = value * np.sqrt(size[source] / size[place])
            entries.append((place, source, value))
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (len(keys), len(keys))
    matrix = coo_matrix((value, (row, column)), shape=shape).tocsr()
    diagonal = np.arange(len(keys))
    return coo_matrix((kinetic, (diagonal, diagonal)), shape=shape).tocsr(), matrix


def check(waves: np.ndarray, lattice: np.ndarray, n: int, found: float) -> None:
    """Prints the correlation energy in these waves by this program and by PySCF, hartree."""
    one, eri = integrals(lattice, len(waves))
    exact, _ = fci.direct_spin1.kernel(np.diag(one), eri, len(waves), (n, 0))
    mean = one[:n].sum() + 0.5 * (
        np.einsum("iijj", eri[:n, :n, :n, :n]) - np.einsum("ijji", eri[:n, :n, :n, :n])
    )
    print(f"  correlation {found:.9f}, PySCF {exact - mean:.9f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--electrons", type=int, default=7)
    parser.add_argument("--rs", type=float, nargs="+", default=[1.0, 5.0, 10.0])
    parser.add_argument("--waves", type=int, nargs="+", default=[33, 57, 81])
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    n = options.electrons
    found: dict[float, list[float]] = {rs: [] for rs in options.rs}
    for count in options.waves:
        waves = np.concatenate(shells(np.eye(3), np.zeros(3), count))[:count]
        kinetic, coulomb = hamiltonian(waves, n)
        for rs in options.rs:
            length = rs * (n * 4 * np.pi / 3) ** (1 / 3)
            lattice = length * np.eye(3)
            matrix = (2 * np.pi / length) ** 2 * kinetic + coulomb / (np.pi * length)
            assert abs(matrix - matrix.T).max() < 1e-10
            filled = int(np.argmin(kinetic.diagonal()))
            energy = eigsh(matrix, k=1, which="SA", v0=np.eye(1, matrix.shape[0], filled)[0])[0][0]
            correlation = energy - matrix[filled, filled]
            hf = total_energy(lattice, np.zeros(3), (n,))
            found[rs].append((hf + correlation) / n)
            print(
                f"rs {rs:g}, {count} waves: HF {hf / n:.8f}, exact {found[rs][-1]:.7f}", flush=True
            )
            if options.check:
                check(waves, lattice, n, correlation)
    x = np.array(options.waves, float) ** POWER
    for rs, energies in found.items():
        for k in range(1, len(x)):
            slope = (energies[k] - energies[k - 1]) / (x[k] - x[k - 1])
            limit = energies[k] - slope * x[k]
            pair = f"{options.waves[k - 1]} and {options.waves[k]}"
            print(f"rs {rs:g}, all waves from {pair}: {limit:.7f}")


if __name__ == "__main__":
    main()

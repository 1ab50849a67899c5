"""Orbital bases of the simulation cell: from Bloch integrals to one Hamiltonian.

Wannier basis: Bloch functions are orthogonalised at each k (S_k^-1/2) and transformed to the
cells R of the supercell, |R u> = K^-1/2 sum_k exp(-i k.R) |k u>. On a mesh closed under k -> -k
everything is real there: orthogonalised atomic orbitals (oao). All other bases are rotations.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from engine.errors import ConfigError
from engine.io.mean_field import MeanField
from engine.mean_field.pyscf_integrals import BlochIntegrals

DEPENDENT = 1e-8
"""Smallest eigenvalue of an overlap matrix that can be orthogonalised."""
REAL = 1e-7
"""Largest imaginary part of integrals that count as real, hartree."""


@dataclasses.dataclass(frozen=True, eq=False)
class Space:
    """One-, two-body and kinetic integrals, Fock matrix and occupied orbitals in a basis.

    Attributes:
        one_body: (n, n), hartree.
        kinetic: (n, n).
        two_body: (n, n, n, n), chemists' order.
        fock: (n, n) spin-averaged mean-field matrix.
        up: (n, N_up) occupied orbitals.
        down: (n, N_down).
    """

    one_body: np.ndarray
    kinetic: np.ndarray
    two_body: np.ndarray
    fock: np.ndarray
    up: np.ndarray
    down: np.ndarray

    def rotated(self, C: np.ndarray) -> Space:
        """Returns everything in the basis sum_p |p> C_pi; C is (n, m) with orthonormal columns."""
        one, kinetic, fock = (C.conj().T @ x @ C for x in (self.one_body, self.kinetic, self.fock))
        two = rotate_two_body(self.two_body, C)
        return Space(one, kinetic, two, fock, C.conj().T @ self.up, C.conj().T @ self.down)


def rotate_two_body(g: np.ndarray, C: np.ndarray) -> np.ndarray:
    """Returns sum conj(C_pi) C_qj conj(C_rk) C_sl (pq|rs)."""
    for matrix in (C.conj(), C, C.conj(), C):
        g = np.tensordot(g, matrix, axes=(0, 0))  # the new index goes last: four turns restore
    return g


def wannier(
    bloch: BlochIntegrals, mean_field: MeanField, cells: np.ndarray, *, is_complex: bool
) -> Space:
    """Returns the orthogonalised atomic orbitals of the simulation cell.

    Args:
        bloch: Integrals at the k-points of the mean field.
        mean_field: Its orbitals.
        cells: (K, 3) lattice vectors R of the supercell, bohr.
        is_complex: Whether complex integrals are wanted.

    Raises:
        ConfigError: A linearly dependent basis, or complex integrals where real ones are wanted.
    """
    roots = np.stack([square_root(s) for s in bloch.overlap])
    inverse = np.linalg.inv(roots)
    waves = np.exp(-1j * bloch.kpoints @ cells.T) / len(cells) ** 0.5  # (K, R)
    m = bloch.overlap.shape[-1]
    Q = np.einsum("kR,uv->kuRv", waves, np.eye(m)).reshape(len(cells) * m, -1)

    def matrix(blocks):
        return Q.conj().T @ _diagonal(blocks) @ Q

    orth = roots @ mean_field.coeff  # (2, K, m, mo)
    levels = np.where(np.isfinite(mean_field.energy), mean_field.energy, 0.0)
    fock = np.einsum("skui,ski,skvi->kuv", orth, levels, orth.conj()) / 2
    up, down = (Q.conj().T @ _columns(orth[s], mean_field.occupation[s]) for s in range(2))
    both = [inverse @ x @ inverse for x in (bloch.core, bloch.kinetic)]
    space = Space(
        matrix(both[0]),
        matrix(both[1]),
        rotate_two_body(_two_body(bloch, inverse), Q),
        matrix(fock),
        up,
        down,
    )
    return space if is_complex else _real(space)


def square_root(overlap: np.ndarray) -> np.ndarray:
    """Returns S^1/2; raises ConfigError where S is nearly singular."""
    values, vectors = np.linalg.eigh(overlap)
    if values.min() < DEPENDENT:
        raise ConfigError(
            f"the basis is linearly dependent (overlap eigenvalue {values.min():.1e})",
            where="mean_field, key 'basis'",
            expected=f"eigenvalues above {DEPENDENT:g}",
            remedy="choose a less diffuse basis",
        )
    return (vectors * np.sqrt(values)) @ vectors.conj().T


def _diagonal(blocks: np.ndarray) -> np.ndarray:
    n, m, _ = blocks.shape
    whole = np.zeros((n, m, n, m), complex)
    for k in range(n):
        whole[k, :, k] = blocks[k]
    return whole.reshape(n * m, n * m)


def _columns(orbitals: np.ndarray, occupation: np.ndarray) -> np.ndarray:
    k, band = np.nonzero(occupation)
    columns = np.zeros((*orbitals.shape[:2], len(k)), complex)
    for i, (point, orbital) in enumerate(zip(k, band, strict=True)):
        columns[point, :, i] = orbitals[point, :, orbital]
    return columns.reshape(-1, len(k))


def _two_body(bloch: BlochIntegrals, X: np.ndarray) -> np.ndarray:
    """Returns (pq|rs) over orthogonal Bloch functions normalised in the supercell."""
    n, m = X.shape[:2]
    whole = np.zeros((n, m, n, m, n, m, n, m), complex)
    for a, b, c in np.ndindex(n, n, n):
        d = bloch.conserved[a, b, c]
        block = bloch.two_body[a, b, c]
        for k, conjugate in ((a, True), (b, False), (c, True), (d, False)):
            turn = X[k].conj() if conjugate else X[k]
            block = np.tensordot(block, turn, axes=(0, 0))
        whole[a, :, b, :, c, :, d] = block / n
    return whole.reshape(4 * (n * m,))


def _real(space: Space) -> Space:
    worst = max(np.abs(x.imag).max() for x in (space.one_body, space.two_body, space.fock))
    if worst > REAL:
        raise ConfigError(
            f"the integrals have imaginary parts of {worst:.1e} hartree",
            where="ansatz, key 'number'",
            expected="real integrals: twists of 0 or 1/2",
            remedy="set number: complex",
        )
    arrays = (x.real for x in (space.one_body, space.kinetic, space.two_body, space.fock))
    return Space(*arrays, _real_span(space.up), _real_span(space.down))


def _real_span(orbitals: np.ndarray) -> np.ndarray:
    """Returns real orthonormal columns of the same span, which is closed under conjugation."""
    projector = (orbitals @ orbitals.conj().T).real
    return np.linalg.eigh(projector)[1][:, projector.shape[0] - orbitals.shape[1] :]


def canonical(space: Space) -> np.ndarray:
    """Returns (n, n) the eigenvectors of the Fock matrix, lowest energy first."""
    return np.linalg.eigh(space.fock)[1]


def natural(space: Space, n_occupied: int) -> np.ndarray:
    """Returns (n, n) natural orbitals of the MP2 density of a closed shell, most occupied first.

    t_ijab = conj(ia|jb) / (e_i + e_j - e_a - e_b); unrelaxed density, spin summed.

    Args:
        space: In canonical orbitals.
        n_occupied: Doubly occupied orbitals.
    """
    g, o = space.two_body, n_occupied
    levels = _levels(space, o)
    i, a = levels[:o], levels[o:]
    gaps = i[:, None, None, None] + i[None, :, None, None] - a[:, None] - a[None, :]
    t = g[:o, o:, :o, o:].transpose(0, 2, 1, 3).conj() / gaps
    pair = 2 * t - t.transpose(0, 1, 3, 2)
    density = np.diag(np.r_[2.0 * np.ones(o), np.zeros(len(a))]).astype(g.dtype)
    density[:o, :o] -= 2 * np.einsum("ikab,jkab->ji", t.conj(), pair)
    density[o:, o:] += 2 * np.einsum("ijac,ijbc->ab", t, pair.conj())
    density = (density + density.conj().T) / 2
    return np.linalg.eigh(density)[1][:, ::-1]


def _levels(space: Space, o: int) -> np.ndarray:
    """Returns orbital energies without the Madelung shift that PySCF gives occupied orbitals."""
    g = space.two_body
    coulomb = np.einsum("pqkk->pq", g[:, :, :o, :o])
    exchange = np.einsum("pkkq->pq", g[:, :o, :o, :])
    return np.diag(space.one_body + 2 * coulomb - exchange).real


def freeze(space: Space, core: int, active: int | None) -> tuple[Space, float, float]:
    """Returns the space without its first `core` orbitals and after `active` more ones.

    Returns:
        The active space with the mean field of the core in `one_body`; the energy of the
        core; its kinetic energy, hartree.
    """
    g, h, c = space.two_body, space.one_body, core
    stop = len(h) if active is None else core + active
    potential = 2 * np.einsum("pqkk->pq", g[:, :, :c, :c]) - np.einsum("pkkq->pq", g[:, :c, :c, :])
    energy = np.trace((2 * h + potential)[:c, :c]).real
    kinetic = 2 * np.trace(space.kinetic[:c, :c]).real
    keep = slice(core, stop)
    inside = Space(
        (h + potential)[keep, keep],
        space.kinetic[keep, keep],
        g[keep, keep, keep, keep],
        space.fock[keep, keep],
        _outside(space.up, keep, core),
        _outside(space.down, keep, core),
    )
    return inside, float(energy), float(kinetic)


def _outside(occupied: np.ndarray, keep: slice, core: int) -> np.ndarray:
    """Returns the span of occupied orbitals that lies in the active space."""
    rows = occupied[keep]
    vectors, weights, _ = np.linalg.svd(rows, full_matrices=False)
    return vectors[:, : occupied.shape[1] - core]

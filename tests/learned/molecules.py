"""Molecules, matrices and rotations of atomic orbitals that the tests share."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from engine.learned.harmonics import to_pyscf
from engine.learned.orbitals import OrbitalBasis
from engine.learned.rotation import wigner_d

BASES = {
    "s alone": {"H": (0,), "He": (0,)},
    "minimal": {"H": (0,), "O": (0, 0, 1)},
    "split valence": {"H": (0, 0, 1), "O": (0, 0, 0, 1, 1, 2), "C": (0, 0, 0, 1, 1, 2)},
}
"""Shells as in PySCF's sto-3g and def2-svp (cc-pvdz has the same)."""

SYMBOLS = {
    "s alone": ("H", "He", "H", "H"),
    "minimal": ("O", "H", "H", "O"),
    "split valence": ("O", "H", "C", "H"),
}


def orthogonal(rng: np.random.Generator, sign: float = 1.0) -> np.ndarray:
    """Returns a random rotation, or with sign -1 a reflection combined with one."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * sign * np.sign(np.linalg.det(q))


def positions(rng: np.random.Generator, count: int) -> np.ndarray:
    """Returns a random molecule with distances between 1 and a few bohr."""
    while True:
        r = rng.uniform(-2.0, 2.0, size=(count, 3))
        distance = np.linalg.norm(r[:, None] - r[None], axis=-1) + 9 * np.eye(count)
        if distance.min() > 1.2:
            return r


def symmetric(rng: np.random.Generator, size: int) -> np.ndarray:
    """Returns a random symmetric matrix."""
    m = rng.normal(size=(size, size))
    return (m + m.T) / 2


def orbital_rotation(basis: OrbitalBasis, symbols, rotation: np.ndarray) -> np.ndarray:
    """Returns how the atomic orbitals of a molecule turn, in PySCF's order."""
    own = dict(basis.shells)
    blocks = []
    for symbol in symbols:
        for l in own[symbol]:
            order = to_pyscf(l)
            D = np.asarray(wigner_d(l, jnp.asarray(rotation)))
            blocks.append(D[np.ix_(order, order)])
    size = sum(len(b) for b in blocks)
    out, start = np.zeros((size, size)), 0
    for block in blocks:
        out[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return out

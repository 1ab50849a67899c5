"""Positrons in the field of fixed nuclei and of the electrons' mean field.

Their orbitals are the lowest of h = T - V - J, V the attraction of an electron by the nuclei and J
its repulsion by the electrons' density: every charge has the other sign for a positron. The
electrons do not answer to the positrons here, correlation is left to the wavefunction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Positrons(NamedTuple):
    """Positron orbitals, in the layout of a mean-field file.

    Attributes:
        coeff: (2, K, ao, mo), spin up and down.
        energy: (2, K, mo) hartree.
        occupation: (2, K, mo).
        total: What they add to the energy per primitive cell, hartree: kinetic energy,
            interaction with nuclei, electrons and each other (exchange included).
    """

    coeff: np.ndarray
    energy: np.ndarray
    occupation: np.ndarray
    total: float


def positron_orbitals(
    field: Any, kinetic: np.ndarray, counts: tuple[int, int], width: int
) -> Positrons:
    """Returns the orbitals of positrons beside a converged mean field.

    Args:
        field: PySCF's converged mean field; only its `get_hcore`, `get_ovlp`, `get_jk` and
            `make_rdm1` are used.
        kinetic: (K, ao, ao) matrix of -nabla^2 / 2, or (ao, ao) of a molecule.
        counts: Positrons of spin up and down in the simulation cell.
        width: Orbitals kept per k-point.
    """
    electrons = np.asarray(field.make_rdm1())
    electrons = electrons if electrons.ndim == np.ndim(kinetic) else electrons.sum(axis=0)
    attraction = np.asarray(field.get_hcore()) - kinetic
    core = kinetic - attraction - np.asarray(field.get_jk(None, electrons, with_k=False)[0])
    overlap = np.asarray(field.get_ovlp())
    blocks = [np.reshape(x, (-1, *np.shape(x)[-2:])) for x in (core, overlap)]
    levels = [_lowest(h, s, width) for h, s in zip(*blocks, strict=True)]
    energy, coeff = (np.array([level[i] for level in levels]) for i in (0, 1))
    filled = np.array([_fill(energy, n) for n in counts])
    density = np.einsum("skm,kim,kjm->skij", filled, coeff, coeff.conj())
    return Positrons(
        np.array([coeff, coeff]).astype(complex),
        np.array([energy, energy]),
        filled,
        _energy(field, core, density.reshape(2, *np.shape(core))),
    )


def _lowest(h: np.ndarray, s: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns `width` energies and orbitals of h c = e s c; infinite where s leaves fewer."""
    values, vectors = np.linalg.eigh(s)
    root = vectors[:, values > 1e-8] / np.sqrt(values[values > 1e-8])
    energy, inner = np.linalg.eigh(root.conj().T @ h @ root)
    coeff = root @ inner
    missing = max(width - len(energy), 0)
    return (
        np.pad(energy, (0, missing), constant_values=np.inf)[:width],
        np.pad(coeff, ((0, 0), (0, missing)))[:, :width],
    )


def _fill(energy: np.ndarray, count: int) -> np.ndarray:
    """Returns (K, mo) occupations of the lowest levels of all k-points together."""
    filled = np.zeros(energy.size)
    filled[np.argsort(np.round(energy, 9), axis=None, kind="stable")[:count]] = 1
    return filled.reshape(energy.shape)


def _energy(field: Any, core: np.ndarray, density: np.ndarray) -> float:
    """Returns tr(h D) + tr(J D)/2 - sum_s tr(K_s D_s)/2 per primitive cell."""
    points = 1 if core.ndim == 2 else len(core)
    both = density.sum(axis=0)
    # By position: molecules and crystals name the density differently, and ignore the other name.
    pairs = _trace(np.asarray(field.get_jk(None, both, with_k=False)[0]), both)
    pairs -= sum(_trace(np.asarray(field.get_jk(None, one)[1]), one) for one in density)
    return (_trace(core, both) + 0.5 * pairs) / points


def _trace(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the real part of tr(a b), summed over spins and k-points."""
    return float(np.sum(a * b.swapaxes(-1, -2)).real)

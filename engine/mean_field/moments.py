"""Magnetic moments that UHF starts from, and what becomes of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

log = logging.getLogger(__name__)

LOST = 1e-3
"""Density matrices of up and down that differ by less in every element are alike."""


def polarised(field: Any, moments: Sequence[float]) -> np.ndarray:
    """Returns the densities of superposed atoms with magnetic moments, to start UHF from.

    Both halves of PySCF's superposition are alike here, whatever it does to break symmetry itself.

    Args:
        field: PySCF's UHF object of a molecule, or of a cell with K k-points.
        moments: Up minus down electrons of each of the A atoms, at most as many as it has.

    Returns:
        (2, ao, ao), with k-points (2, K, ao, ao): up and down.
    """
    molecule = field.mol
    density = np.array(field.get_init_guess(key="minao")).sum(axis=0) / 2
    up, down = density.copy(), density.copy()
    for atom, moment in enumerate(moments):
        start, end = molecule.aoslice_by_atom()[atom, 2:]
        own = (..., slice(start, end), slice(start, end))
        share = moment / molecule.atom_charge(atom)
        up[own] *= 1 + share
        down[own] *= 1 - share
    return np.stack([up, down])


def log_moments(field: Any) -> None:
    """Says whether up and down still differ in a converged UHF that started from moments."""
    up, down = (np.asarray(density) for density in field.make_rdm1())
    kept = np.abs(up - down).max() > LOST
    log.info("the moments %s", "are kept" if kept else "are lost: up and down have become alike")

"""Corrections between nearly dependent basis functions.

Along an eigenvector of the overlap with eigenvalue s an error e of the elements of H moves a level
by e / s: a model that is right to a tenth of a millihartree puts levels of nothing among the filled
ones where s is small, as with diffuse functions of close atoms. What a model adds is therefore
weighed, along each of two eigenvectors, by s^2 / (s^2 + d^2), d = e / LEVEL_HA. The initial guess,
which is the Fock matrix of a smooth density, keeps these levels where they belong.
"""

from __future__ import annotations

import numpy as np

LEVEL_HA = 0.1
"""An error of a level, hartree, from which on its direction counts as dependent."""


def damped(correction: np.ndarray, overlap: np.ndarray, error_ha: float) -> np.ndarray:
    """Returns the correction without what nearly dependent functions would make of its errors.

    Args:
        correction: (..., n, n) Hermitian, predicted H - H0, hartree.
        overlap: (..., n, n).
        error_ha: Typical error of its elements, hartree.
    """
    values, vectors = np.linalg.eigh(overlap)
    width = error_ha / LEVEL_HA
    weight = values**2 / (values**2 + width**2) if width > 0 else np.ones_like(values)
    filtered = (vectors * weight[..., None, :]) @ np.swapaxes(vectors.conj(), -1, -2)
    return filtered @ correction @ filtered

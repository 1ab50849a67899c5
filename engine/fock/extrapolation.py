"""The projected energy at a vanishing correction of second order.

Cores of the largest |psi|, each half of the one before, have projected energies that fall nearly
linearly with their corrections; the line is drawn to zero. No bound.

Source: A. A. Holmes, C. J. Umrigar and S. Sharma, J. Chem. Phys. 147, 164111 (2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.fock.determinants import valid

CORES = 3
"""Cores that the line goes through."""
SHARE = 0.2
"""Of the correction, the least error of a line; selected configuration interaction uses a fifth."""


def nested_cores(core: Array, psi: Array) -> list[Array]:
    """Returns the core and its halves of largest |psi|, the largest first.

    Args:
        core: (V, 2, w) without empty slots.
        psi: (V,) amplitudes.
    """
    order = jnp.argsort(-jnp.abs(psi), stable=True)
    sizes = [max(len(core) >> k, 1) for k in range(CORES)]
    return [core[order[:size]] for size in dict.fromkeys(sizes)]


def extrapolated(projected: Sequence[float], pt2: Sequence[float]) -> float:
    """Returns the energy at zero correction, hartree; NaN where fewer than two differ.

    Points count by the inverse of their correction: close ones matter most.

    Args:
        projected: Energies of the cores.
        pt2: Their corrections.
    """
    x, y = np.asarray(pt2, float), np.asarray(projected, float)
    if abs(x[0]) < 1e-12:  # nothing is left to extrapolate
        return float(y[0])
    good = np.isfinite(x) & np.isfinite(y)
    if not good[0] or np.ptp(x[good]) < 1e-12:
        return float("nan")
    return float(np.polyfit(x[good], y[good], 1, w=1 / np.maximum(np.abs(x[good]), 1e-12))[1])


def uncertainty(line: float, projected: float, pt2: float) -> float:
    """Returns an estimate of what the line may miss, hartree; no standard deviation.

    The larger of its distance from the second-order energy and a share of the correction: both
    vanish with it, and the first may do so by chance.

    Args:
        line: The extrapolated energy.
        projected: Energy of the largest core.
        pt2: Its correction.
    """
    return max(abs(line - projected - pt2), SHARE * abs(pt2))


def filled(core: Array) -> Array:
    """Returns the list without empty slots."""
    return core[valid(core)]

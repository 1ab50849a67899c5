"""Finite-size corrections, hartree per simulation cell. Imports no JAX.

An electron and its correlation hole repeat with the cell. What that costs follows from the
static structure factor at small wave vectors, S(G) = s G^2 + O(G^4) per electron:

    potential   (2 pi / V) N s
    kinetic     1 / (8 s)        electron gas alone

Both are omega_p / 4 in an electron gas, where s = 1 / (2 omega_p). The kinetic one is that of a
Jastrow factor with 2 n u(k) = 1/S(k), and needs a reference whose own 1/S(k) is negligible at
small k: a Fermi sea, not the filled bands of a crystal.
Source: S. Chiesa, D. M. Ceperley, R. M. Martin and M. Holzmann, Phys. Rev. Lett. 97, 076404 (2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engine.io import hdf5
from engine.io.observables import unpack
from engine.stage.averages import weighted_mean
from engine.stage.observables import combine

SHELLS = 3
"""Shortest shells of reciprocal vectors that s is extrapolated from."""


class Limit(NamedTuple):
    """s = lim S(G)/G^2 and its statistical error, bohr^2."""

    value: float
    error: float


def small_wave_limit(vectors: np.ndarray, value: np.ndarray, error: np.ndarray) -> Limit:
    """Returns lim_{G->0} S(G)/G^2 from a straight line in G^2 through the shortest shells.

    Args:
        vectors: (G, 3) reciprocal vectors, 1/bohr.
        value: (G,) S per electron.
        error: (G,) its standard errors.

    Shells count equally: how far S is from a straight line is more than its statistical error, and
    the longer shells, whose errors of S/G^2 are smaller, are farther from it. The error is
    statistical: it knows nothing of the terms beyond G^4.
    """
    square = np.sum(np.asarray(vectors) ** 2, axis=1)
    relative = square / square.min()
    shells = np.unique(np.round(relative, 6))[:SHELLS]
    members = [np.abs(relative - length) < 1e-5 for length in shells]
    y = np.array([np.mean(value[m] / square[m]) for m in members])
    sigma = np.array([np.sqrt(np.sum((error[m] / square[m]) ** 2)) / m.sum() for m in members])
    x = np.array([np.mean(square[m]) for m in members])
    weights = np.linalg.pinv(np.vander(x, min(2, len(x)), increasing=True))[0]
    return Limit(float(weights @ y), float(np.linalg.norm(weights * sigma)))


def potential_correction(s: Limit, n_electrons: float, volume: float) -> Limit:
    """Returns (2 pi / V) N s and its error."""
    factor = 2 * np.pi / volume * n_electrons
    return Limit(factor * s.value, factor * s.error)


def kinetic_correction(s: Limit) -> Limit:
    """Returns 1 / (8 s) and its error."""
    return Limit(1 / (8 * s.value), s.error / (8 * s.value**2))


def corrections(
    records: Sequence[hdf5.Record], rows: Sequence[Mapping[str, Any]], sections: Mapping[str, Any]
) -> dict[str, float]:
    """Returns the finite-size columns that the evaluations allow, hartree per primitive cell.

    Args:
        records: One evaluation per twist.
        rows: The twists' rows, of which the weights are read.
        sections: n_atoms and n_electrons of the primitive cell, n_cells; size_corrections false
            where the limit of S(G)/G^2 is not that of charges in a compact cell.
    """
    weights, cells = [row["weight"] for row in rows], sections["n_cells"]
    found, facts = {}, records[0].attributes
    if facts.get("mean_field_zone_ha") is not None:
        used = weighted_mean([record.attributes["mean_field_ha"] for record in records], weights)
        found["twist_correction"] = (facts["mean_field_zone_ha"] - used) / cells
    measured = combine([unpack(record.data) for record in records], weights)
    if "structure_factor" in measured and sections.get("size_corrections", True):
        factor = measured["structure_factor"]
        s = small_wave_limit(factor.axes["wavevector"][0], factor.value, factor.error)
        electrons = sections["n_electrons"] * cells
        terms = {"potential": potential_correction(s, electrons, facts["volume_bohr3"])}
        terms |= {"kinetic": kinetic_correction(s)} if not sections["n_atoms"] else {}
        for name, term in terms.items():
            found[f"{name}_correction"] = term.value / cells
            found[f"{name}_correction_error"] = term.error / cells
    return {f"{name}_ha_per_cell": value for name, value in found.items()}

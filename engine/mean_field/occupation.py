"""Occupation of the levels of all k-points together."""

from __future__ import annotations

from typing import Any

import numpy as np


def aufbau(method: str, n_up: int, n_down: int) -> Any:
    """Returns `get_occ` for k-points: the lowest levels of all k together, no more than needed.

    PySCF's own fills everything up to the Fermi level, which is too much in a degenerate shell.
    """

    def get_occ(self, mo_energy_kpts=None, mo_coeff_kpts=None):
        energy = self.mo_energy if mo_energy_kpts is None else mo_energy_kpts
        if method == "uhf":
            return stacked([_lowest(energy[0], n_up), _lowest(energy[1], n_down)])
        core = _lowest(energy, n_down)
        open_shell = getattr(energy, "mo_ea", energy)
        rest = [np.where(c > 0, np.inf, e) for c, e in zip(core, open_shell, strict=True)]
        single = _lowest(rest, n_up - n_down)
        return stacked([2 * c + s for c, s in zip(core, single, strict=True)])

    return get_occ


def _lowest(energy: Any, count: int) -> Any:
    """Returns per k-point occupations 0 or 1 of the `count` lowest levels."""
    levels = np.concatenate([np.asarray(e) for e in energy])
    filled = np.zeros(len(levels))
    filled[np.argsort(np.round(levels, 9), kind="stable")[:count]] = 1
    return stacked(np.split(filled, np.cumsum([len(e) for e in energy])[:-1]))


def stacked(blocks: list[Any]) -> Any:
    """Returns one array, as PySCF expects, unless k-points differ in their number of orbitals."""
    regular = len({np.shape(b) for b in blocks}) == 1 and isinstance(blocks[0], np.ndarray)
    return np.array(blocks) if regular else blocks

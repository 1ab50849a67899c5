"""How many quantum particles of which kind a material has. Imports no JAX."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One species of the system file.

    Attributes:
        name: "up", "down", "positron_up", "positron_down".
        count: Particles in the simulation cell.
        charge: e.
        mass: Electron masses.
    """

    name: str
    count: int
    charge: float = -1.0
    mass: float = 1.0


def species_rows(n_up: int, n_down: int, positrons: int = 0) -> tuple[Row, ...]:
    """Returns the electrons, and the positrons with as many spins paired as possible."""
    electrons = (Row("up", n_up), Row("down", n_down))
    up, down = positron_spins(positrons)
    paired = (Row("positron_up", up, 1.0), Row("positron_down", down, 1.0))
    return electrons + tuple(row for row in paired if row.count)


def positron_spins(positrons: int) -> tuple[int, int]:
    """Returns (N_up, N_down) of the positrons."""
    return (positrons + 1) // 2, positrons // 2

"""`system.h5`: the simulation cell, its nuclei and particles, and the primitive cell it repeats."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.io import hdf5
from engine.system.geometry import Geometry
from engine.system.particles import species_rows
from engine.system.supercell import n_cells

if TYPE_CHECKING:
    from engine.system.system import System

KIND = "system"


@dataclasses.dataclass(frozen=True, eq=False)
class SystemFile:
    """The content of a system file.

    Attributes:
        system: The simulation cell at zero twist, float64.
        primitive: The primitive cell (or the molecule).
        supercell: (3, 3) integers S with L = S @ a; identity for a molecule.
        fingerprint: Of the input it was made from.
    """

    system: System
    primitive: Geometry
    supercell: np.ndarray
    fingerprint: str

    @property
    def n_cells(self) -> int:
        """Primitive cells in the simulation cell."""
        return n_cells(self.supercell)

    @property
    def n_atoms(self) -> int:
        """Atoms in the primitive cell."""
        return self.primitive.n_atoms


def write_system(
    path: str | Path,
    simulation: Geometry,
    supercell: np.ndarray,
    primitive: Geometry,
    n_up: int,
    n_down: int,
    fingerprint: str,
    positrons: int = 0,
) -> None:
    """Writes the file atomically.

    Args:
        path: Target.
        simulation: Simulation cell, atoms cell by cell.
        supercell: (3, 3) integers S.
        primitive: Primitive cell.
        n_up: Spin-up electrons of the simulation cell.
        n_down: Spin-down electrons of the simulation cell.
        fingerprint: Of the input.
        positrons: Positrons of the simulation cell.
    """
    rows = species_rows(n_up, n_down, positrons)
    data: dict[str, Any] = {
        "cell/periodic": simulation.periodic,
        "cell/supercell": np.asarray(supercell, np.int64),
        "cell/background": primitive.background,
        "species/name": " ".join(row.name for row in rows),
        "species/count": np.array([row.count for row in rows], np.int64),
        "species/charge": np.array([row.charge for row in rows]),
        "species/mass": np.array([row.mass for row in rows]),
    }
    units = {"species/charge": "e", "species/mass": "electron mass", "cell/background": "e"}
    for group, geometry in (("nuclei", simulation), ("primitive", primitive)):
        data |= {
            f"{group}/symbol": " ".join(geometry.symbols),
            f"{group}/position": np.asarray(geometry.positions, float),
            f"{group}/charge": geometry.charges.astype(float),
        }
        units |= {f"{group}/position": "bohr", f"{group}/charge": "e"}
    if simulation.periodic:
        data |= {"cell/lattice": simulation.lattice, "cell/primitive_lattice": primitive.lattice}
        units |= {"cell/lattice": "bohr", "cell/primitive_lattice": "bohr"}
    hdf5.write(path, KIND, data, fingerprint=fingerprint, units=units)


def read_system(path: str | Path) -> SystemFile:
    """Reads a system file.

    Raises:
        DataError: Missing, damaged, or of another kind.
    """
    record = hdf5.read(path, KIND)
    data = record.data
    with hdf5.complete(path):
        primitive = Geometry(
            tuple(data["primitive/symbol"].split()),
            data["primitive/position"],
            data.get("cell/primitive_lattice"),
            int(data.get("cell/background", 0)),
        )
        return SystemFile(_system(data), primitive, data["cell/supercell"], record.fingerprint)


def _system(data: dict[str, Any]) -> System:
    # Imported here: writing the file needs no JAX.
    import jax.numpy as jnp

    from engine.system.cell import Cell
    from engine.system.system import Species, System

    lattice = data.get("cell/lattice")
    columns = (
        data["species/name"].split(),
        data["species/count"],
        data["species/charge"],
        data["species/mass"],
    )
    species = tuple(
        Species(name, int(count), float(charge), float(mass))
        for name, count, charge, mass in zip(*columns, strict=True)
        if count
    )
    return System(
        cell=Cell.open() if lattice is None else Cell(jnp.asarray(lattice), periodic=True),
        positions=jnp.asarray(data["nuclei/position"]),
        charges=jnp.asarray(data["nuclei/charge"]),
        twist=jnp.zeros(3, data["nuclei/position"].dtype),
        symbols=tuple(data["nuclei/symbol"].split()),
        species=species,
    )

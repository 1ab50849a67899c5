"""From a material's `structure` section to a `Geometry`, through ASE where it knows the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk, graphene, molecule
from ase.collections import g2

from engine import config
from engine.errors import ConfigError
from engine.io.structure import read_structure
from engine.system.electron_gas import electron_gas
from engine.system.geometry import Geometry, suggestion, validated
from engine.units import LENGTH_UNITS

__all__ = ["Geometry", "build"]

_SPECIES = {
    "sc": 1,
    "bcc": 1,
    "fcc": 1,
    "hcp": 1,
    "diamond": 1,
    "zincblende": 2,
    "rocksalt": 2,
    "cesiumchloride": 2,
    "fluorite": 2,
    "wurtzite": 2,
    "graphene": 2,
}
_HEXAGONAL = ("hcp", "wurtzite")


def build(structure: config.Structure, *, where: str, folder: Path) -> Geometry:
    """Returns the primitive cell or the molecule that a `structure` section describes.

    Low-dimensional materials lie in the middle of their vacuum: a chain at half the
    transverse lattice constants, a layer at half the layer distance. So the electrons of one
    cell are not split over opposite faces, and few images reach the cell.

    Args:
        structure: One of the kinds of `config.STRUCTURES`.
        where: File and section, for error messages.
        folder: Folder of the material's YAML; structure files are relative to it.

    Raises:
        ConfigError: The section cannot be made into atoms.
    """
    builders = {
        config.PrototypeStructure: _prototype,
        config.MoleculeStructure: _molecule,
        config.AtomsStructure: _atoms,
        config.ChainStructure: _chain,
        config.ElectronGasStructure: electron_gas,
    }
    if isinstance(structure, config.FileStructure):
        path = Path(folder) / structure.path
        geometry = read_structure(path, structure.format, where=f"{where}, key 'path'")
    else:
        geometry = builders[type(structure)](structure, where)
    return validated(geometry, where=where)


def _prototype(section: config.PrototypeStructure, where: str) -> Geometry:
    name, species = section.prototype, section.species
    allowed = (1, 2) if name == "graphene" else (_SPECIES[name],)
    if len(species) not in allowed:
        raise ConfigError(
            f"{len(species)} symbols for the prototype '{name}'",
            where=f"{where}, key 'species'",
            expected=f"{' or '.join(map(str, allowed))}, one per kind of site",
        )
    symbols = Geometry(tuple(species), np.arange(3.0 * len(species)).reshape(-1, 3))
    validated(symbols, where=f"{where}, key 'species'")
    a = length(section, "a", where=where)
    if name in _HEXAGONAL:
        c = length(section, "c", where=where)
    else:
        _refuse(section, "c", f"the prototype '{name}'", where)
    if name == "graphene":
        vacuum = length(section, "vacuum", where=where)
        return _geometry(
            graphene("".join(species if len(species) == 2 else species * 2), a=a, vacuum=vacuum / 2)
        )
    _refuse(section, "vacuum", f"the prototype '{name}'", where)
    formula = "".join(species) + ("2" if name == "fluorite" else "")
    # ASE scales lengths without asking for their unit: bohr in, bohr out.
    return _geometry(bulk(formula, name, a=a, **({"c": c} if name in _HEXAGONAL else {})))


def _molecule(section: config.MoleculeStructure, where: str) -> Geometry:
    if section.name not in g2.names:
        raise ConfigError(
            f"unknown molecule '{section.name}'",
            where=f"{where}, key 'name'",
            expected=suggestion(section.name, g2.names, "a name such as LiH or H2O"),
            remedy="correct the name, or give coordinates with kind: atoms",
        )
    return _geometry(molecule(section.name), LENGTH_UNITS["angstrom"])


def _atoms(section: config.AtomsStructure, where: str) -> Geometry:
    lattice = length(section, "lattice", where=where, required=False)
    if lattice is not None:
        lattice = _table(lattice, 3, f"{where}, key 'lattice'", "three rows of three numbers")
    keys = ("positions_angstrom", "positions_bohr", "frac_positions")
    given = [k for k in keys if getattr(section, k) is not None]
    if len(given) != 1:
        raise ConfigError(
            f"{' and '.join(given) or 'no positions'} given",
            where=where,
            expected=f"exactly one of {', '.join(keys)}",
        )
    if given == ["frac_positions"] and lattice is None:
        raise ConfigError(
            "fractional positions without a lattice",
            where=f"{where}, key 'frac_positions'",
            expected="lattice_angstrom or lattice_bohr beside it",
            remedy="add the lattice, or give positions_angstrom or positions_bohr",
        )
    count = len(section.species)
    positions = _table(
        getattr(section, given[0]),
        count,
        f"{where}, key '{given[0]}'",
        f"one row of three numbers for each of the {count} species",
    )
    if given == ["frac_positions"]:
        positions = positions @ lattice
    else:
        positions = positions * LENGTH_UNITS[given[0].removeprefix("positions_")]
    return Geometry(tuple(section.species), positions, lattice)


def _chain(section: config.ChainStructure, where: str) -> Geometry:
    spacing = length(section, "spacing", where=where)
    symbols = (section.species,) * section.n_atoms
    positions = np.zeros((section.n_atoms, 3))
    positions[:, 0] = spacing * (np.arange(section.n_atoms) + 0.5)
    extent = spacing * section.n_atoms
    if not section.periodic:
        _refuse(section, "vacuum", "an open chain", where)
        return Geometry(symbols, positions - [extent / 2, 0.0, 0.0])
    vacuum = length(section, "vacuum", where=where)
    return Geometry(
        symbols, positions + [0.0, vacuum / 2, vacuum / 2], np.diag([extent, vacuum, vacuum])
    )


def length(section: Any, name: str, *, where: str, required: bool = True) -> Any:
    """Returns the number (or table of numbers) `name` of a section in bohr.

    Raises:
        ConfigError: Given in both units, or missing though required.
    """
    keys = {f"{name}_{unit}": factor for unit, factor in LENGTH_UNITS.items()}
    given = [k for k in keys if getattr(section, k) is not None]
    names = " or ".join(sorted(keys))
    if len(given) > 1:
        raise ConfigError(
            f"{' and '.join(sorted(given))} are both given",
            where=where,
            expected=f"exactly one of {names}",
            remedy="delete one of them",
        )
    if not given:
        if required:
            raise ConfigError(
                f"'{name}' is missing", where=where, expected=f"exactly one of {names}"
            )
        return None
    value = getattr(section, given[0])
    if isinstance(value, list):
        return [[x * keys[given[0]] for x in row] for row in value]
    return value * keys[given[0]]


def _refuse(section: Any, name: str, what: str, where: str) -> None:
    for key in (f"{name}_{unit}" for unit in LENGTH_UNITS):
        if getattr(section, key) is not None:
            raise ConfigError(
                f"{what} has no '{name}'",
                where=f"{where}, key '{key}'",
                expected="nothing",
                remedy="delete the key",
            )


def _table(rows: Any, count: int, where: str, expected: str) -> np.ndarray:
    lengths = [len(row) for row in rows]
    if lengths != [3] * count:
        raise ConfigError(
            f"found {len(lengths)} rows of {sorted(set(lengths))} numbers",
            where=where,
            expected=expected,
        )
    return np.array(rows, dtype=float).reshape(-1, 3)


def _geometry(atoms: Atoms, factor: float = 1.0) -> Geometry:
    lattice = np.array(atoms.cell) * factor if atoms.pbc.any() else None
    return Geometry(tuple(atoms.get_chemical_symbols()), atoms.positions * factor, lattice)

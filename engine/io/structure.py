"""Structure files, read and written by ASE: CIF, POSCAR, extxyz and what else it knows."""

from __future__ import annotations

from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

from engine.errors import ConfigError
from engine.io import atomic
from engine.system.geometry import Geometry
from engine.units import BOHR_ANGSTROM


def read_structure(path: str | Path, format: str | None = None, *, where: str) -> Geometry:
    """Reads one structure.

    A file that is periodic in some directions gives a cell that is periodic in all three:
    directions without repetition need vacuum.

    Args:
        path: The file.
        format: ASE's name of the format; guessed when None.
        where: File and key that name it, for error messages.

    Raises:
        ConfigError: Missing, unreadable, several structures, or partly occupied sites.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"no such file: {path}",
            where=where,
            expected="a structure file, relative to the material's YAML",
            remedy=_neighbours(path),
        )
    try:
        frames = ase.io.read(path, index=":", format=format)
    except Exception as error:  # ASE's readers fail in as many ways as there are formats
        raise ConfigError(
            f"cannot read the structure file {path}: {type(error).__name__}: {error}",
            where=where,
            expected="a CIF, POSCAR, extxyz or other file ASE reads",
            remedy="check the file; if ASE cannot guess the format, give the key 'format', "
            "e.g. format: vasp",
        ) from error
    if len(frames) != 1:
        raise ConfigError(
            f"{path} holds {len(frames)} structures",
            where=where,
            expected="exactly one",
            remedy="keep the frame you want in a file of its own",
        )
    _check_occupancy(frames[0], path, where)
    return _geometry(frames[0])


def write_extxyz(path: str | Path, geometry: Geometry) -> None:
    """Writes `geometry` in angstrom, atomically; for people and viewers, never read back.

    Raises:
        DataError: The folder cannot be written.
    """
    atoms = Atoms(
        geometry.symbols,
        geometry.positions * BOHR_ANGSTROM,
        pbc=geometry.periodic,
        cell=geometry.lattice * BOHR_ANGSTROM if geometry.periodic else None,
    )
    with atomic.replaced(path) as temporary:
        ase.io.write(temporary, atoms, format="extxyz")


def _geometry(atoms: Atoms) -> Geometry:
    lattice = np.array(atoms.cell) / BOHR_ANGSTROM if atoms.pbc.any() else None
    return Geometry(tuple(atoms.get_chemical_symbols()), atoms.positions / BOHR_ANGSTROM, lattice)


def _check_occupancy(atoms: Atoms, path: Path, where: str) -> None:
    for site, kinds in atoms.info.get("occupancy", {}).items():
        if len(kinds) > 1 or any(abs(share - 1.0) > 1e-6 for share in kinds.values()):
            shares = ", ".join(f"{symbol} {share:g}" for symbol, share in kinds.items())
            raise ConfigError(
                f"{path}: site {site} is partly occupied ({shares})",
                where=where,
                expected="one whole atom on every site",
                remedy="write an ordered structure or supercell",
            )


def _neighbours(path: Path) -> str:
    files = sorted(p.name for p in path.parent.glob("*") if p.is_file())
    return f"in that folder: {', '.join(files[:20])}" if files else f"create {path}"

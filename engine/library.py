"""The folders `materials/` and `methods/`: names, files and checked materials. Imports no JAX."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import config
from engine.config.material import VALENCE
from engine.errors import ConfigError, nearest
from engine.io import document
from engine.system.electron_gas import occupied, paired
from engine.system.geometry import Geometry
from engine.system.material import check_material, counts_of
from engine.system.particles import positron_spins
from engine.system.supercell import folded_kpoints, n_cells, twist_in_primitive
from engine.system.twists import Twist, enumerate_twists, enumerate_zone
from engine.system.vacuum import check_vacuum, open_axes

NAME = re.compile(r"[a-z0-9-]+")
RESERVED = frozenset(
    {
        "all",
        "structures",
        "mean-fields",
        "pretrained",
        "trained",
        "evaluated",
        "energies",
        "tables",
        "figures",
        "report",
        "structure",
        "labels",
        "learn",
        "learned",
        "joint",
        "integrals",
        "reference",
        "references",
        "pretrain",
        "vmc",
        "evaluate",
        "localised",
        "zone",
        "sizes",
        "phases",
        "contrasts",
    }
)
"""Names a material may not have: they are rules, targets or folders of the workflow."""

MAX_TWISTS = 1000
"""Paths number twists with three digits."""


@dataclasses.dataclass(frozen=True)
class Material:
    """A checked material: its configuration and what follows from it at parse time.

    Attributes:
        name: Stem of its file.
        path: Its file; structure files are relative to the folder of that.
        config: The YAML content.
        symbols: Of the atoms in the primitive cell.
        n_cells: Primitive cells in the simulation cell.
        electrons: In the simulation cell.
        periodic: False for a molecule.
        twists: Folded boundary phases; weights sum to 1.
        zone: Those at which the mean field alone is solved, for the twist correction; may be empty.
        standing_waves: Whether the plane waves of a gas are pairs +-k at every twist, which real
            orbitals can stand for.
        volume_bohr3: Of the primitive cell; None for a molecule.
        in_vacuum: Whether it is a chain or layer in vacuum.
    """

    name: str
    path: Path
    config: config.MaterialConfig
    symbols: tuple[str, ...]
    n_cells: int
    electrons: int
    periodic: bool
    twists: tuple[Twist, ...]
    zone: tuple[Twist, ...] = ()
    standing_waves: bool = False
    volume_bohr3: float | None = None
    in_vacuum: bool = False

    @property
    def counts(self) -> tuple[int, int]:
        """(N_up, N_down) in the simulation cell."""
        spin = self.config.total_spin
        return (self.electrons + spin) // 2, (self.electrons - spin) // 2

    @property
    def spins(self) -> tuple[int, ...]:
        """N_up - N_down in the simulation cell at each twist."""
        own = self.config.total_spin
        return tuple(own if t.spin is None else t.spin for t in self.twists)

    @property
    def most_of_one_spin(self) -> int:
        """Particles of the largest species in the simulation cell, at any twist."""
        polarised = (self.electrons + max(self.spins)) // 2
        return max(polarised, *positron_spins(self.config.positrons))

    def why_no_size_correction(self, ansatz: str) -> str:
        """Returns why the limit of S(G)/G^2 is no correction of a run, "" where it is one.

        Args:
            ansatz: Of the method.
        """
        if self.config.positrons:
            return "the structure factor is that of its electrons alone, without the positrons"
        if self.in_vacuum:
            return "chains and layers in vacuum need other formulas"
        if self.config.is_electron_gas and ansatz == "slater":
            return "the structure factor of a determinant alone is not that of a plasma"
        return ""

    @property
    def folder(self) -> Path:
        """The folder of its file."""
        return self.path.parent

    @property
    def n_atoms(self) -> int:
        """Atoms in the primitive cell."""
        return len(self.symbols)

    @property
    def n_electrons(self) -> float:
        """Electrons in the primitive cell; not whole where the simulation cell has an extra one."""
        return self.electrons / self.n_cells

    @property
    def structure_file(self) -> list[str]:
        """The structure file, where there is one: an input of the structure stage."""
        structure = self.config.structure
        return [str(self.folder / structure.path)] if structure.kind == "file" else []


def names(root: Path, folder: str) -> list[str]:
    """Returns the names in `materials` or `methods`; refuses bad and duplicate ones."""
    found: dict[str, Path] = {}
    files = (p for p in (root / folder).glob("*") if p.suffix in (".yaml", ".yml"))
    for path in sorted(files):
        if not NAME.fullmatch(path.stem):
            raise ConfigError(
                f"bad name '{path.stem}'",
                where=str(path),
                expected="small letters, digits and hyphens",
                remedy="rename the file",
            )
        if path.stem in found:
            raise ConfigError(
                f"duplicate name '{path.stem}'",
                where=str(path),
                expected=f"one file; there is also {found[path.stem]}",
                remedy="rename or delete one of them",
            )
        if folder == "materials" and path.stem in RESERVED:
            raise ConfigError(
                f"'{path.stem}' is the name of a target",
                where=str(path),
                expected=f"a name other than {', '.join(sorted(RESERVED))}",
                remedy="rename the file",
            )
        found[path.stem] = path
    if not found:
        raise ConfigError(
            "no YAML files", where=str(root / folder), expected=f"{folder}/<name>.yaml"
        )
    return list(found)


def find(root: Path, folder: str, name: str, where: str = "") -> Path:
    """Returns the file of a material or method; `where` says who asks for it."""
    for path in (root / folder / f"{name}{suffix}" for suffix in (".yaml", ".yml")):
        if path.exists():
            return path
    raise ConfigError(
        f"unknown {folder.rstrip('s')} '{name}'",
        where=where or str(root / folder),
        expected=nearest(name, names(root, folder)),
        remedy=f"correct the name, or write {folder}/{name}.yaml",
    )


def read_material(path: Path) -> Material:
    content = config.parse(config.MaterialConfig, document.read(path), where=str(path))
    primitive, simulation, supercell = check_material(content, where=str(path), folder=path.parent)
    content.check_mean_field(str(path), nuclei=bool(primitive.symbols))
    _check_moments(content, primitive, f"{path}, key 'mean_field', key 'magnetic_moments'")
    if content.literature and content.literature.unit == "ha_per_atom" and not primitive.symbols:
        raise ConfigError(
            "a literature value per atom of a material without atoms",
            where=f"{path}, key 'literature', key 'unit'",
            expected="ha_per_cell or ha_per_electron",
            remedy="convert the value",
        )
    sites = getattr(content.structure, "sites", None)
    twists = tuple(enumerate_twists(content.twists, simulation, where=str(path), sites=sites))
    zone = tuple(enumerate_zone(content.twists, simulation, where=str(path)))
    if (most := max(len(twists), len(zone))) > MAX_TWISTS:
        raise ConfigError(
            f"{most} twists",
            where=f"{path}, key 'twists'",
            expected=f"at most {MAX_TWISTS}",
            remedy="choose a coarser grid",
        )
    up_and_down = counts_of(content, simulation, where=str(path))
    for spin in content.twists.spins or []:
        at = f"{path}, key 'twists', key 'spins'"
        counts_of(dataclasses.replace(content, spin=spin), simulation, where=at)
    standing = False
    if content.is_electron_gas:
        standing = _check_shells(simulation, content, up_and_down, twists, path)
    vacuum_bohr = content.mean_field.vacuum_bohr
    if primitive.periodic and vacuum_bohr is not None:
        _check_vacuum(primitive, supercell, [*twists, *zone], vacuum_bohr, path)
    return Material(
        path.stem,
        path,
        content,
        primitive.symbols,
        n_cells(supercell),
        sum(up_and_down),
        bool(primitive.periodic),
        twists,
        zone,
        standing,
        float(abs(np.linalg.det(primitive.lattice))) if primitive.periodic else None,
        bool(open_axes(primitive)) or _says_vacuum(content.structure),
    )


def _says_vacuum(structure: Any) -> bool:
    """Tells whether a structure has a key of vacuum, however narrow."""
    return any(getattr(structure, f"vacuum_{unit}", None) for unit in ("bohr", "angstrom"))


def _check_moments(content: config.MaterialConfig, primitive: Geometry, where: str) -> None:
    """Refuses magnetic moments that are not those of the atoms."""
    moments = content.mean_field.magnetic_moments
    if moments is None:
        return
    if len(moments) != primitive.n_atoms:
        raise ConfigError(
            f"{len(moments)} magnetic moments",
            where=where,
            expected=f"{primitive.n_atoms}, one per atom of the primitive cell: "
            + " ".join(primitive.symbols),
            remedy="add or delete moments; 0 for an atom without",
        )
    for symbol, charge, moment in zip(primitive.symbols, primitive.charges, moments, strict=True):
        name = content.pseudopotentials.get(symbol)
        electrons = round(float(charge)) if name is None else int(VALENCE.search(name)[1])
        if abs(moment) > electrons:
            raise ConfigError(
                f"moment {moment:g} of an atom {symbol}",
                where=where,
                expected=f"at most {electrons} in magnitude, its electrons",
                remedy="take the moment of the free atom, or less",
            )


def _check_shells(
    simulation: Geometry,
    content: config.MaterialConfig,
    counts: Sequence[int],
    twists: Sequence[Twist],
    path: Path,
) -> bool:
    """Refuses open shells of plane waves before anything runs; returns whether all are pairs."""
    rules = {"open_shell": content.mean_field.open_shell, "where": f"{path}, key 'mean_field'"}
    pairs = True
    for twist in twists:
        for count in counts:
            waves = occupied(simulation.lattice, twist.frac, count, **rules)
            pairs = pairs and paired(waves, np.array(twist.frac)) is not None
    return pairs


def _check_vacuum(
    primitive: Geometry, S: np.ndarray, twists: Sequence[Twist], vacuum_bohr: float, path: Path
) -> None:
    """Refuses twists and supercells along vacuum that the mean field is to shorten."""
    shifts = twist_in_primitive(S, [twist.frac for twist in twists])
    kpoints = (folded_kpoints(S)[None] + shifts[:, None]).reshape(-1, 3)
    where = f"{path}, key 'mean_field', key 'vacuum_bohr'"
    check_vacuum(primitive, vacuum_bohr, kpoints, where=where)


def merge(base: Mapping[str, Any], over: Any, where: str) -> dict[str, Any]:
    """Returns `base` with the keys of `over` replaced, section by section."""
    if not isinstance(over, Mapping):
        raise ConfigError(f"found {over!r}", where=where, expected="sections of a method")
    merged = dict(base)
    for name, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(name, {}), Mapping)
        merged[name] = merge(merged.get(name) or {}, value, where) if nested else value
    return merged

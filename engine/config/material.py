"""The sections of a material: `materials/<name>.yaml`."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from engine.config.electron_gas import ElectronGasStructure
from engine.config.schema import key, one_of, section
from engine.errors import ConfigError

VALENCE = re.compile(r"^gth-[a-z0-9-]+-q(\d+)$", re.IGNORECASE)
"""A pseudopotential's name and its valence charge."""


@dataclasses.dataclass(frozen=True)
class PrototypeStructure:
    """A crystal prototype built by ASE."""

    kind: str = key("structure source", choices=("prototype",))
    prototype: str = key(
        "crystal prototype",
        choices=(
            "sc",
            "bcc",
            "fcc",
            "hcp",
            "diamond",
            "zincblende",
            "rocksalt",
            "cesiumchloride",
            "fluorite",
            "wurtzite",
            "graphene",
        ),
    )
    species: list[str] = key("chemical symbols, one per sublattice")
    a_angstrom: float | None = key("lattice constant a", default=None, unit="angstrom", above=0)
    a_bohr: float | None = key("lattice constant a", default=None, unit="bohr", above=0)
    c_angstrom: float | None = key("lattice constant c", default=None, unit="angstrom", above=0)
    c_bohr: float | None = key("lattice constant c", default=None, unit="bohr", above=0)
    vacuum_angstrom: float | None = key(
        "layer distance (graphene)", default=None, unit="angstrom", above=0
    )
    vacuum_bohr: float | None = key("layer distance (graphene)", default=None, unit="bohr", above=0)


@dataclasses.dataclass(frozen=True)
class FileStructure:
    """A structure file: CIF, POSCAR, extxyz or whatever ASE reads."""

    kind: str = key("structure source", choices=("file",))
    path: str = key("file, relative to the material's YAML")
    format: str | None = key("ASE format name; guessed from the file when left out", default=None)


@dataclasses.dataclass(frozen=True)
class MoleculeStructure:
    """A molecule by name, from ASE's G2 collection."""

    kind: str = key("structure source", choices=("molecule",))
    name: str = key("name in ASE's collection, e.g. LiH, H2O, C2H4")


@dataclasses.dataclass(frozen=True)
class AtomsStructure:
    """Atoms by coordinates; periodic when a lattice is given."""

    kind: str = key("structure source", choices=("atoms",))
    species: list[str] = key("chemical symbol of each atom")
    positions_angstrom: list[list[float]] | None = key(
        "Cartesian positions", default=None, unit="angstrom"
    )
    positions_bohr: list[list[float]] | None = key("Cartesian positions", default=None, unit="bohr")
    frac_positions: list[list[float]] | None = key(
        "fractional positions (needs a lattice)", default=None
    )
    lattice_angstrom: list[list[float]] | None = key(
        "lattice vectors as rows", default=None, unit="angstrom"
    )
    lattice_bohr: list[list[float]] | None = key(
        "lattice vectors as rows", default=None, unit="bohr"
    )


@dataclasses.dataclass(frozen=True)
class ChainStructure:
    """An equidistant chain along x; periodic with vacuum, or open."""

    kind: str = key("structure source", choices=("chain",))
    species: str = key("chemical symbol")
    n_atoms: int = key("atoms in the primitive cell (in the molecule, when open)", at_least=1)
    spacing_angstrom: float | None = key(
        "distance of neighbours", default=None, unit="angstrom", above=0
    )
    spacing_bohr: float | None = key("distance of neighbours", default=None, unit="bohr", above=0)
    periodic: bool = key("periodic chain, or an open one", default=True)
    vacuum_angstrom: float | None = key(
        "transverse lattice constant", default=None, unit="angstrom", above=0
    )
    vacuum_bohr: float | None = key(
        "transverse lattice constant", default=None, unit="bohr", above=0
    )


STRUCTURES = {
    "prototype": PrototypeStructure,
    "file": FileStructure,
    "molecule": MoleculeStructure,
    "atoms": AtomsStructure,
    "chain": ChainStructure,
    "electron-gas": ElectronGasStructure,
}
Structure = (
    PrototypeStructure
    | FileStructure
    | MoleculeStructure
    | AtomsStructure
    | ChainStructure
    | ElectronGasStructure
)


@dataclasses.dataclass(frozen=True)
class TwistConfig:
    """Which boundary phases to run: a grid, or a list."""

    grid: list[int] = key(
        "points along each reciprocal vector of the simulation cell", default=[1, 1, 1]
    )
    shift: list[float] = key("shift of the grid in units of its spacing", default=[0.0, 0.0, 0.0])
    points: list[list[float]] | None = key(
        "explicit twists instead of a grid, fractions in (-1/2, 1/2]", default=None
    )
    weights: list[float] | None = key(
        "weights of explicit twists; equal when left out", default=None
    )
    spins: list[int] | None = key(
        "N_up - N_down at each inequivalent twist, in the order of their index, where it is not "
        "`spin` at all of them: a level filled by half holds parallel spins",
        default=None,
    )
    symmetry: str = key(
        "how equivalent twists are folded",
        default="full",
        choices=("full", "time-reversal", "none"),
    )
    zone: list[int] | None = key(
        "grid of twists at which a crystal's mean field alone is solved, finer than `grid`: "
        "its average is the twist correction",
        default=None,
    )


@dataclasses.dataclass(frozen=True)
class MeanFieldConfig:
    """The reference calculation: by PySCF, or plane waves for an electron gas."""

    method: str = key(
        "mean field; in a periodic cell its k-point version; plane-waves for an electron gas, "
        "oscillator for electrons and positrons without nuclei; localised is what a method with "
        "reference: localised takes instead",
        default="rhf",
        choices=("rhf", "uhf", "rohf", "rks", "plane-waves", "oscillator", "localised"),
    )
    basis: str = key(
        "basis set by its PySCF name; of GTH kind with pseudopotentials", default="cc-pvdz"
    )
    functional: str = key("exchange-correlation functional of rks", default="pbe")
    integrals: str = key(
        "two-electron integrals of a periodic cell: Gaussian, range-separated or mixed density "
        "fitting, or FFT",
        default="gdf",
        choices=("gdf", "rsdf", "mdf", "fft"),
    )
    auxiliary_basis: str | None = key(
        "density-fitting basis; PySCF chooses when left out", default=None
    )
    mesh: list[int] | None = key(
        "points of the plane-wave mesh along each lattice vector; PySCF chooses when left out",
        default=None,
    )
    vacuum_bohr: float | None = key(
        "largest lattice constant along a vacuum direction, for the mean field only",
        default=None,
        unit="bohr",
        above=0,
    )
    convergence_ha: float = key("energy threshold", default=1e-9, unit="hartree", above=0)
    max_cycles: int = key("SCF cycles", default=100, at_least=1)
    level_shift_ha: float = key(
        "level shift of the virtual orbitals", default=0.0, unit="hartree", at_least=0
    )
    newton: bool = key("second-order SCF", default=False)
    magnetic_moments: list[float] | None = key(
        "moments to start uhf from, one per atom of the primitive cell, up minus down electrons; "
        "an antiferromagnet or a stretched bond is found from opposite ones",
        default=None,
    )
    open_shell: str = key(
        "what plane-waves does where the last shell is not full: refuse it, or fill it in a fixed "
        "order",
        default="refuse",
        choices=("refuse", "ordered"),
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if self.mesh is not None and (len(self.mesh) != 3 or min(self.mesh) < 1):
            raise ConfigError(
                f"a mesh of {self.mesh} points",
                where=f"{where}, key 'mesh'",
                expected="three positive integers",
            )
        if self.magnetic_moments is not None and self.method != "uhf":
            raise ConfigError(
                f"magnetic moments with method {self.method}",
                where=f"{where}, key 'magnetic_moments'",
                expected="method uhf, whose spins may differ",
                remedy="set method: uhf, or delete the moments",
            )
        if self.integrals == "fft" and self.auxiliary_basis is not None:
            raise ConfigError(
                "an auxiliary basis with FFT integrals",
                where=f"{where}, key 'auxiliary_basis'",
                expected="none: FFT fits nothing",
                remedy="delete it, or set integrals: gdf",
            )


@dataclasses.dataclass(frozen=True)
class Literature:
    """A published number the result is compared with."""

    value: float = key("the number")
    unit: str = key("unit of the number", choices=("ha_per_cell", "ha_per_atom", "ha_per_electron"))
    source: str = key("where it is published")
    what: str = key("what it is: method, conditions", default="")
    uncertainty: float | None = key("its uncertainty, same unit", default=None, at_least=0)


@dataclasses.dataclass(frozen=True)
class MaterialConfig:
    """One material: `materials/<name>.yaml`."""

    structure: Structure = one_of(STRUCTURES, "the primitive cell or the molecule")
    description: str = key("one line for tables", default="")
    supercell: list[int] | list[list[int]] = key(
        "simulation cell in units of the primitive one: three integers, or a matrix S of rows with "
        "L = S a",
        default=[1, 1, 1],
    )
    charge: int = key("net charge of the simulation cell", default=0, unit="e")
    neutralising_background: bool = key(
        "a uniform charge that cancels `charge` in a periodic cell", default=False
    )
    spin: int = key("N_up - N_down in the simulation cell", default=0)
    positrons: int = key("positrons in the simulation cell", default=0, at_least=0)
    pseudopotentials: dict[str, Any] = key(
        "element of a crystal -> GTH pseudopotential by its PySCF name with the valence, e.g. "
        "{Si: gth-pade-q4}; for methods in second quantisation alone",
        default={},
    )
    twists: TwistConfig = section(TwistConfig, "boundary phases")
    mean_field: MeanFieldConfig = section(MeanFieldConfig, "reference calculation")
    literature: Literature | None = dataclasses.field(
        default=None, metadata={"doc": "published value to compare with"}
    )
    overrides: dict[str, Any] = key(
        "per method name, sections that replace the method's values for this material", default={}
    )

    @property
    def total_spin(self) -> int:
        """N_up - N_down in the simulation cell, whichever key says it."""
        return self.structure.spin if self.is_electron_gas else self.spin

    @property
    def is_electron_gas(self) -> bool:
        """Whether there is a background instead of nuclei."""
        return isinstance(self.structure, ElectronGasStructure)

    def check(self, where: str) -> None:
        """Raises ConfigError where an electron gas is described twice."""
        self._check_pseudopotentials(where)
        if not self.is_electron_gas:
            return
        plain = {"supercell": ([1, 1, 1], "electrons"), "charge": (0, "electrons")}
        plain |= {"spin": (0, "polarisation"), "positrons": (0, "electrons")}
        plain |= {"neutralising_background": (False, "electrons")}
        for name, (value, inside) in plain.items():
            if getattr(self, name) != value:
                raise ConfigError(
                    f"'{name}' of an electron gas is {getattr(self, name)}",
                    where=f"{where}, key '{name}'",
                    expected=f"{value}: the cell of an electron gas is the simulation cell",
                    remedy=f"delete the key, and set '{inside}' in the section 'structure'",
                )

    def _check_pseudopotentials(self, where: str) -> None:
        for element, name in self.pseudopotentials.items():
            if not isinstance(name, str) or not VALENCE.search(name):
                raise ConfigError(
                    f"pseudopotential {name!r} of {element}",
                    where=f"{where}, key 'pseudopotentials'",
                    expected="a name that ends with the valence, e.g. gth-pade-q4",
                    remedy="see the names in PySCF's folder pbc/gto/pseudo",
                )

    def check_mean_field(self, where: str, *, nuclei: bool) -> None:
        """Raises ConfigError where the mean field cannot have the spin or the nuclei.

        Not part of `parse`: the structure stage does not know the mean field.
        """
        self._check_fit(where)
        self._check_spins(where)
        at, method = f"{where}, key 'mean_field', key 'method'", self.mean_field.method
        gaussian = ("rhf", "uhf", "rohf", "rks")
        right = ", ".join(gaussian) if nuclei else "oscillator"
        right = "plane-waves" if self.is_electron_gas else right
        if method not in right.split(", "):
            raise ConfigError(
                f"method {method} {'with' if nuclei else 'without'} nuclei",
                where=at,
                expected=right,
                remedy=f"set method: {right.split(',')[0]} in the section 'mean_field'",
            )
        if self.total_spin != 0 and method in ("rhf", "rks"):
            raise ConfigError(
                f"method {method} with spin {self.total_spin}",
                where=at,
                expected="uhf or rohf where spin is not 0",
                remedy="set method: uhf in the section 'mean_field', or spin: 0",
            )

    def _check_spins(self, where: str) -> None:
        """Raises ConfigError where twists have spins that the mean field cannot have."""
        spins, method = self.twists.spins, self.mean_field.method
        if spins is None:
            return
        if self.is_electron_gas or self.twists.zone is not None or method not in ("uhf", "rohf"):
            raise ConfigError(
                f"spins {spins} at the twists",
                where=f"{where}, key 'twists', key 'spins'",
                expected="a crystal without `zone`, and method uhf or rohf in 'mean_field'",
                remedy="delete the key, or set method: uhf and delete zone",
            )

    def _check_fit(self, where: str) -> None:
        if self.pseudopotentials and self.mean_field.integrals in ("gdf", "rsdf"):
            raise ConfigError(
                f"{self.mean_field.integrals} integrals with pseudopotentials, whose fit is off by "
                "millihartrees",
                where=f"{where}, key 'mean_field', key 'integrals'",
                expected="fft: without core electrons a coarse mesh is enough",
                remedy="set integrals: fft in the section 'mean_field'",
            )

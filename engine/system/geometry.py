"""`Geometry`: nuclei and lattice as plain numpy arrays, and what makes them acceptable.

The record that structures, supercells and twists work on before anything needs JAX; the
Snakefile uses it while it is parsed.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable

import numpy as np

from engine.errors import ConfigError
from engine.units import BOHR_ANGSTROM

ELEMENTS = tuple(
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I "
    "Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho "
    "Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es "
    "Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og".split()
)
"""Chemical symbols by nuclear charge; the first one has charge 1."""

MIN_DISTANCE_BOHR = 0.2
"""Nuclei closer than this are an input error."""

MIN_SPACING_BOHR = 1.0
"""Lattice planes closer than this are an input error."""


@dataclasses.dataclass(frozen=True, eq=False)
class Geometry:
    """Nuclei in a cell, or in open space.

    Attributes:
        symbols: Chemical symbols of the A atoms.
        positions: (A, 3) Cartesian positions, bohr.
        lattice: (3, 3) lattice vectors as rows, bohr; None in open boundary conditions.
        background: Charge of a uniform background that makes the cell neutral beside nuclei and
            electrons, e: the number of electrons of an electron gas.
    """

    symbols: tuple[str, ...]
    positions: np.ndarray
    lattice: np.ndarray | None = None
    background: int = 0

    @property
    def periodic(self) -> bool:
        """Whether there is a lattice."""
        return self.lattice is not None

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.symbols)

    @property
    def charges(self) -> np.ndarray:
        """(A,) nuclear charges, integers."""
        return np.array([ELEMENTS.index(s) + 1 for s in self.symbols], dtype=int)


def validated(geometry: Geometry, *, where: str) -> Geometry:
    """Returns `geometry` if it can be computed.

    Raises:
        ConfigError: An unknown element, positions that are no numbers, a lattice
            without volume, or atoms on top of each other.
    """
    for symbol in geometry.symbols:
        if symbol not in ELEMENTS:
            raise ConfigError(
                f"unknown element '{symbol}'",
                where=where,
                expected=suggestion(symbol, ELEMENTS, "a chemical symbol, e.g. Li"),
                remedy="correct the chemical symbol",
            )
    if not np.all(np.isfinite(geometry.positions)):
        raise ConfigError(
            "a position is not a finite number",
            where=where,
            expected="three finite coordinates per atom",
        )
    if geometry.periodic and geometry.symbols:
        _check_lattice(geometry.lattice, where)
    if geometry.symbols:
        _check_distances(geometry, where)
    return geometry


def suggestion(name: str, valid: Iterable[str], otherwise: str) -> str:
    """Returns the few names closest to `name`; for lists too long to print whole."""
    by_lower = {v.lower(): v for v in valid}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(repr(by_lower[c]) for c in close)}?" if close else otherwise


def _check_lattice(lattice: np.ndarray, where: str) -> None:
    remedy = "give three independent lattice vectors; directions without repetition need vacuum"
    if not np.all(np.isfinite(lattice)):
        raise ConfigError("a lattice vector is not finite", where=where, remedy=remedy)
    expected = f"lattice planes at least {MIN_SPACING_BOHR:g} bohr apart"
    for j, vector in enumerate(lattice):
        if np.linalg.norm(vector) < 1e-9:
            raise ConfigError(
                f"lattice vector {j + 1} has length zero",
                where=where,
                expected=expected,
                remedy=remedy,
            )
    for j, vector in enumerate(lattice):
        normal = np.cross(lattice[j - 2], lattice[j - 1])
        spacing = abs(vector @ normal) / max(np.linalg.norm(normal), 1e-30)
        if spacing < MIN_SPACING_BOHR:
            raise ConfigError(
                f"lattice vector {j + 1} rises only {spacing:.4g} bohr above the plane of the "
                "others",
                where=where,
                expected=expected,
                remedy=remedy,
            )


def _check_distances(geometry: Geometry, where: str) -> None:
    delta = geometry.positions[:, None] - geometry.positions[None]
    if geometry.periodic:
        # With planes 1 bohr apart every vector shorter than half of that has all fractional
        # components in [-1/2, 1/2]: this representative is the nearest image whenever it matters.
        frac = delta @ np.linalg.inv(geometry.lattice)
        delta = (frac - np.round(frac)) @ geometry.lattice
    distance = np.linalg.norm(delta, axis=-1)
    distance[np.tril_indices(geometry.n_atoms)] = np.inf
    i, j = np.unravel_index(np.argmin(distance), distance.shape)
    if distance[i, j] < MIN_DISTANCE_BOHR:
        first, second = (f"{n + 1} ({geometry.symbols[n]})" for n in (i, j))
        limit = f"{MIN_DISTANCE_BOHR:g} bohr ({MIN_DISTANCE_BOHR * BOHR_ANGSTROM:.3f} angstrom)"
        raise ConfigError(
            f"atoms {first} and {second} are {distance[i, j]:.4f} bohr apart (counted from 1, "
            "nearest periodic image)"
            if geometry.periodic
            else f"atoms {first} and {second} are {distance[i, j]:.4f} bohr apart (counted from 1)",
            where=where,
            expected=f"at least {limit} between nuclei",
            remedy="check the coordinates and their unit, and remove duplicate atoms",
        )

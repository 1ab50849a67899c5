"""Which basis sets and functionals PySCF knows, asked before any job starts."""

from __future__ import annotations

import difflib
import functools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pyscf import dft, gto
from pyscf.lib.exceptions import BasisNotFoundError

from engine.config import MeanFieldConfig
from engine.errors import ConfigError

COMMON = {
    False: ("sto-3g", "6-31g", "def2-svp", "cc-pvdz", "cc-pvtz", "ano"),
    True: ("def2-universal-jkfit", "def2-svp-jkfit", "cc-pvdz-jkfit", "weigend"),
}
"""Bases to name in messages; the second line is for density fitting."""


WITHOUT_BASIS = ("plane-waves", "localised", "oscillator")
"""Mean fields that PySCF has no part in."""


def check_options(
    options: MeanFieldConfig,
    symbols: Sequence[str],
    where: str = "mean_field",
    pseudopotentials: Mapping[str, str] | None = None,
) -> None:
    """Refuses what PySCF does not know; milliseconds, so that it can be asked before any job.

    Args:
        options: The `mean_field` section.
        symbols: Elements it is for.
        where: File and section, for error messages.
        pseudopotentials: Element -> GTH pseudopotential.

    Raises:
        ConfigError: An unknown pseudopotential, functional or basis, an element without basis,
            or a basis that leaves out core electrons that are there.
    """
    if options.method in WITHOUT_BASIS:
        return
    if options.method == "rks":
        _check_functional(options.functional, f"{where}, key 'functional'")
    valence = pseudopotentials or {}
    for element, name in valence.items():
        check_pseudopotential(name, element, where)
        check_valence_basis(options.basis, element, f"{where}, key 'basis'")
    symbols = [symbol for symbol in symbols if symbol not in valence]
    for key, name in (("basis", options.basis), ("auxiliary_basis", options.auxiliary_basis)):
        if name is not None:
            check_basis(name, symbols, f"{where}, key '{key}'", fitting=key != "basis")


def basis_size(name: str, symbols: Sequence[str]) -> int:
    """Returns the contracted spherical functions of a basis on these atoms."""
    total = 0
    for symbol in symbols:
        for angular, *rows in gto.basis.load(name, symbol):
            exponents = [row for row in rows if not isinstance(row, int)]  # kappa may come first
            total += (2 * angular + 1) * (len(exponents[0]) - 1)
    return total


def check_orbitals(
    options: MeanFieldConfig, symbols: Sequence[str], n_cells: int, most: int, where: str
) -> None:
    """Refuses more particles of one spin than there are orbitals.

    Args:
        options: The `mean_field` section.
        symbols: Elements of the primitive cell.
        n_cells: Primitive cells in the simulation cell.
        most: Particles of the largest species in the simulation cell.
        where: File and section, for error messages.

    Raises:
        ConfigError: The basis is too small.
    """
    if options.method in WITHOUT_BASIS:
        return
    size = n_cells * basis_size(options.basis, symbols)
    if most > size:
        raise ConfigError(
            f"{most} particles of one spin in {size} orbitals of basis '{options.basis}'",
            where=f"{where}, key 'basis'",
            expected="at least as many orbitals as particles of one spin",
            remedy="choose a larger basis, or fewer particles of this spin",
        )


def _check_functional(name: str, where: str) -> None:
    try:
        dft.libxc.parse_xc(name)
    except (KeyError, ValueError) as error:
        known = {known.lower() for known in (*dft.libxc.XC_CODES, *dft.libxc.XC_ALIAS)}
        raise ConfigError(
            f"unknown functional '{name}': {error}",
            where=where,
            expected=_suggest(name.lower(), known)
            + "a name PySCF knows, e.g. lda, pbe, pbe0, b3lyp, scan",
        ) from error


def check_basis(name: str, symbols: Sequence[str], where: str, *, fitting: bool = False) -> None:
    """Refuses a basis that PySCF does not have for every element, or that leaves out a core.

    Args:
        name: PySCF's name; case, hyphens and underscores do not count.
        symbols: Elements.
        where: File and key, for error messages.
        fitting: Whether it is a density-fitting basis.

    Raises:
        ConfigError: Says the nearest name that has the element, and common ones that do.
    """
    for symbol in sorted(set(symbols)):
        found = _basis_kind(name, symbol)
        if found == "pseudopotential":
            raise ConfigError(
                f"basis '{name}' of element {symbol} belongs to a pseudopotential",
                where=where,
                expected="an all-electron basis",
                remedy=_common(symbol, fitting),
            )
        if found == "unknown":
            raise ConfigError(
                f"no basis '{name}' for element {symbol}",
                where=where,
                expected=_nearest_basis(name, symbols, fitting)
                + "an all-electron basis that PySCF has for every element",
                remedy=_common(symbol, fitting),
            )


def check_pseudopotential(name: str, element: str, where: str) -> None:
    """Raises ConfigError where PySCF has no such GTH pseudopotential of an element."""
    try:
        found = gto.basis.load_pseudo(name, element)
    except (BasisNotFoundError, RuntimeError, KeyError, OSError) as error:
        raise ConfigError(
            f"no pseudopotential '{name}' of element {element}",
            where=where,
            expected="a name PySCF knows, e.g. gth-pade-q4 or gth-pbe-q4",
            remedy="look at the valences that PySCF has for this element",
        ) from error
    valence = sum(found[0])
    if not name.lower().endswith(f"-q{valence}"):
        raise ConfigError(
            f"pseudopotential '{name}' of element {element} has {valence} valence electrons",
            where=where,
            expected=f"a name that ends with -q{valence}",
        )


def check_valence_basis(name: str, element: str, where: str) -> None:
    """Raises ConfigError where a basis is not one made for GTH pseudopotentials."""
    if not name.lower().startswith("gth") or _basis_kind(name, element) != "pseudopotential":
        raise ConfigError(
            f"basis '{name}' of element {element}, which has a pseudopotential",
            where=where,
            expected="a basis made for it",
            remedy="e.g. gth-szv, gth-dzvp or gth-tzvp",
        )


def _nearest_basis(name: str, symbols: Sequence[str], fitting: bool) -> str:
    """Returns the question for the nearest name that has all elements; "" where none is near."""
    written = _bases(fitting)
    for close in difflib.get_close_matches(_squeezed(name), written, n=12, cutoff=0.5):
        if {_basis_kind(close, symbol) for symbol in symbols} == {"all-electron"}:
            return f"did you mean '{written[close]}'? "
    return ""


@functools.cache
def _basis_kind(name: str, symbol: str) -> str:
    """Returns "all-electron", "pseudopotential" or "unknown"."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shells = gto.basis.load(name, symbol)
            pseudo = name.lower().startswith("gth") or gto.basis.load_ecp(name, symbol)
    except (BasisNotFoundError, RuntimeError, KeyError, OSError):
        return "unknown"
    if not shells:
        return "unknown"
    return "pseudopotential" if pseudo else "all-electron"


@functools.cache
def _bases(fitting: bool) -> dict[str, str]:
    """Returns PySCF's names without hyphens -> as they are written."""
    names = {}
    for name, source in gto.basis.ALIAS.items():
        if any(word in name for word in ("fit", "ri", "weigend", "ahlrichs")) == fitting:
            written = Path(source).stem.lower() if isinstance(source, str) else ""
            names[name] = written if _squeezed(written) == name else name
    return names


def _squeezed(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _common(symbol: str, fitting: bool) -> str:
    """Returns common names that have the element."""
    having = [name for name in COMMON[fitting] if _basis_kind(name, symbol) == "all-electron"]
    names = ", ".join(having) or "none of the common ones"
    return f"for {symbol}: {names}" + ("; or leave it out" if fitting else "")


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'? " if close else ""

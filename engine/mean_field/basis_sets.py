"""Which basis sets and functionals PySCF knows, asked before any job starts."""

from __future__ import annotations

import difflib
import functools
import warnings
from collections.abc import Iterable, Sequence
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


def check_options(
    options: MeanFieldConfig, symbols: Sequence[str], where: str = "mean_field"
) -> None:
    """Refuses what PySCF does not know; milliseconds, so that it can be asked before any job.

    Args:
        options: The `mean_field` section.
        symbols: Elements it is for.
        where: File and section, for error messages.

    Raises:
        ConfigError: An unknown functional or basis, an element without basis, or a basis that
            leaves out core electrons.
    """
    if options.method in ("plane-waves", "oscillator"):
        return
    if options.method == "rks":
        _check_functional(options.functional, f"{where}, key 'functional'")
    for key, name in (("basis", options.basis), ("auxiliary_basis", options.auxiliary_basis)):
        if name is not None:
            check_basis(name, symbols, f"{where}, key '{key}'", fitting=key != "basis")


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

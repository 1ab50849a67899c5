"""What a method in second quantisation can hold, checked before anything runs. Imports no JAX."""

from __future__ import annotations

import math

from engine.config import FockMethodConfig
from engine.errors import ConfigError

MAX_ORBITALS = 200
"""The two-electron integrals of more do not fit into memory: 8 n^4 bytes are 13 gigabytes here."""
LOCALISED = ("boys", "pipek-mezey")
UNORDERED = ("oao", *LOCALISED)
"""Orbitals that are neither occupied nor empty."""
NATURAL = ("natural", "natural-cisd")


def check_kind(
    options: FockMethodConfig, n_up: int, n_down: int, periodic: bool, where: str
) -> None:
    """Refuses orbitals and symmetries that the material cannot have.

    Raises:
        ConfigError: Localised orbitals of a crystal, natural ones or spin-flip symmetry of an
            open shell, frozen or active orbitals of a basis without order.
    """
    kind, chosen = options.integrals.orbitals, options.integrals
    if periodic and kind in LOCALISED:
        raise ConfigError(
            f"{kind} orbitals in a periodic cell",
            where=f"{where}, key 'integrals', key 'orbitals'",
            expected="canonical, natural or oao",
            remedy="set orbitals: oao, which are local in crystals too",
        )
    if n_up != n_down and (kind in NATURAL or options.ansatz.spin_flip):
        what = "natural orbitals" if kind in NATURAL else "spin-flip symmetry"
        key = "key 'integrals', key 'orbitals'" if kind in NATURAL else "key 'spin_flip'"
        raise ConfigError(
            f"{what} of {n_up} + {n_down} electrons",
            where=f"{where}, {key}",
            expected="equal numbers of both spins",
            remedy="set orbitals: canonical and spin_flip: false",
        )
    if options.ansatz.translations and not (periodic and kind == "oao"):
        raise ConfigError(
            f"translation symmetry in {kind} orbitals of a {'crystal' if periodic else 'molecule'}",
            where=f"{where}, key 'ansatz', key 'translations'",
            expected="a crystal in oao orbitals, which translations take to one another",
            remedy="set integrals.orbitals: oao, or translations: false",
        )
    if kind in UNORDERED and (chosen.frozen or chosen.active is not None):
        raise ConfigError(
            f"frozen or active orbitals among {kind} ones, which have no order",
            where=f"{where}, key 'integrals'",
            expected="canonical or natural orbitals",
            remedy="delete the keys frozen and active, or set orbitals: canonical",
        )


def check_size(options: FockMethodConfig, n_basis: int, n_up: int, n_down: int, where: str) -> None:
    """Refuses spaces that do not exist, are too large, or are smaller than the core.

    Args:
        options: The method.
        n_basis: Basis functions of the simulation cell.
        n_up: Spin-up electrons of the simulation cell.
        n_down: Spin-down electrons.
        where: File and method, for error messages.

    Raises:
        ConfigError: Says how many orbitals or determinants there are.
    """
    frozen, active = options.integrals.frozen, options.integrals.active
    at = f"{where}, key 'integrals'"
    if n_basis > MAX_ORBITALS:
        raise ConfigError(
            f"{n_basis} orbitals in the simulation cell",
            where=at,
            expected=f"at most {MAX_ORBITALS}: the integrals are computed for all of them",
            remedy="choose a smaller basis or simulation cell",
        )
    if frozen > n_down:
        raise ConfigError(
            f"{frozen} frozen orbitals", where=f"{at}, key 'frozen'", expected=f"at most {n_down}"
        )
    if active is not None and not n_up - frozen <= active <= n_basis - frozen:
        raise ConfigError(
            f"{active} active orbitals",
            where=f"{at}, key 'active'",
            expected=f"between {n_up - frozen} and {n_basis - frozen}",
            remedy="delete the key to keep all orbitals",
        )
    n = n_basis - frozen if active is None else active
    _check_core(options.selection.core, n, n_up - frozen, n_down - frozen, where)


def _check_core(core: int, n: int, n_up: int, n_down: int, where: str) -> None:
    """Raises ConfigError where the core is larger than the space, or the space is empty."""
    if max(n_up, n_down) > n:
        raise ConfigError(
            f"{n_up} + {n_down} electrons in {n} orbitals",
            where=where,
            expected="at most one electron of each spin in an orbital",
            remedy="choose a larger basis",
        )
    space = math.comb(n, n_up) * math.comb(n, n_down)
    if core > space:
        raise ConfigError(
            f"a core of {core} determinants",
            where=f"{where}, key 'selection', key 'core'",
            expected=f"at most {space}, all there are of {n_up} + {n_down} electrons in {n} "
            "orbitals",
            remedy=f"set core: {space} for the full space",
        )

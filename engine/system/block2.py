"""Whether the program of the density-matrix renormalisation group is there; found, not imported."""

from __future__ import annotations

import importlib.util

from engine.errors import ConfigError


def check_block2(where: str) -> None:
    """Raises ConfigError where block2 is not installed.

    Args:
        where: File and key that ask for it.
    """
    if importlib.util.find_spec("pyblock2") is None:
        raise ConfigError(
            "dmrg needs the program block2, which is not installed",
            where=where,
            expected="block2 beside PySCF",
            remedy="pip install 'psilattice[dmrg]', or delete dmrg from the list",
        )

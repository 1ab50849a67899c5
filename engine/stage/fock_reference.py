"""Stage `reference`: established methods on the integrals of a twist, and their table."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import fingerprint, parse
from engine.config.fock import FockReferencesConfig
from engine.io import hdf5
from engine.io.integrals import Integrals, read_integrals
from engine.stage import runtime

log = logging.getLogger(__name__)

COMPLEX_DETERMINANTS = 50_000
"""Largest space of complex integrals whose matrix is diagonalised."""


def fock_reference(sections: Mapping[str, Any], *, integrals: Path, reference: Path) -> None:
    """Computes the methods of the section `references` and writes their energies.

    A method that does not exist for these integrals, does not fit or does not converge has no
    energy in the file; the log says which.

    Args:
        sections: "material", "method" and "references".
        integrals: Input integrals.h5 of the twist.
        reference: Output, kind "reference": `<name>_ha` per simulation cell, NaN for none.

    Raises:
        ConfigError: dmrg is asked for and block2 is not installed.
    """
    runtime.configure()
    options = parse(FockReferencesConfig, sections["references"], where="references")
    file = read_integrals(integrals)
    before = time.monotonic()
    found = _energies(file, options)
    for name, energy in found.items():
        log.info("%s: %s", name, "none" if np.isnan(energy) else f"{energy:.8f} hartree")
    data = {f"{name}_ha": value for name, value in found.items()}
    hdf5.write(
        reference,
        "reference",
        data,
        units={name: "hartree per simulation cell" for name in data},
        fingerprint=fingerprint(dict(sections), [file.fingerprint]),
        attributes=_facts(file) | {"seconds": time.monotonic() - before},
    )


def _facts(file: Integrals) -> dict[str, Any]:
    return {
        "n_orbitals": file.n_orbitals,
        "n_up": file.n_up,
        "n_down": file.n_down,
        "determinants": _dimension(file),
        "orbitals": file.orbitals,
        "n_cells": file.n_cells,
        "twist": [float(x) for x in file.twist],
    }


def _dimension(file: Integrals) -> int:
    from engine.fock.determinants import FockSpace

    return FockSpace(file.n_orbitals, file.n_up, file.n_down).dimension


def _energies(file: Integrals, options: FockReferencesConfig) -> dict[str, float]:
    """Returns name -> total energy, hartree; NaN where there is none."""
    # Imported here: PySCF takes seconds, and nothing else of the Fock space needs it.
    from engine.mean_field.correlated import correlated_energies

    found = correlated_energies(file, tuple(options.methods))
    if "fci" in options.methods:
        found["fci"] = _full_ci(file, options.fci_determinants)
    if "dmrg" in options.methods:
        found["dmrg"] = _dmrg(file, options.bond_dimension)
    return {name: found.get(name, np.nan) for name in options.methods}


def _dmrg(file: Integrals, bond_dimension: int) -> float:
    from engine.mean_field.dmrg import dmrg

    energy, discarded = dmrg(file, bond_dimension)
    log.info("dmrg: discarded weight %.1e at %d states", discarded, bond_dimension)
    return energy


def _full_ci(file: Integrals, limit: int) -> float:
    size = _dimension(file)
    limit = min(limit, COMPLEX_DETERMINANTS) if file.is_complex else limit
    if size > limit:
        log.info("fci: %d determinants are more than %d", size, limit)
        return np.nan
    if file.is_complex:
        from engine.fock import exact
        from engine.fock.determinants import FockSpace
        from engine.fock.slater_condon import hamiltonian

        space = FockSpace(file.n_orbitals, file.n_up, file.n_down)
        return exact.lowest_energy(space, hamiltonian(file))
    from engine.mean_field.correlated import full_ci

    return full_ci(file)

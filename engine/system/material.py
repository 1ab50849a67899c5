"""What a material is, checked: primitive cell, simulation cell, electrons. Imports no JAX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.config import MaterialConfig
from engine.config.material import VALENCE
from engine.errors import ConfigError
from engine.system.geometry import Geometry
from engine.system.prototypes import build
from engine.system.supercell import expand, supercell_matrix


def check_material(
    material: MaterialConfig, *, where: str, folder: str | Path
) -> tuple[Geometry, Geometry, np.ndarray]:
    """Returns primitive cell, simulation cell and supercell matrix after all checks.

    Cheap enough to run while the Snakefile is parsed, before any job starts.

    Args:
        material: The parsed YAML.
        where: The YAML file, for error messages.
        folder: Its folder; structure files are relative to it.

    Raises:
        ConfigError: The material cannot be computed; the message names file and key.
    """
    primitive = build(material.structure, where=f"{where}, key 'structure'", folder=Path(folder))
    at = f"{where}, key 'supercell'"
    S = supercell_matrix(material.supercell, where=at)
    if not primitive.periodic and np.any(S != np.eye(3)):
        raise ConfigError(
            f"a supercell {material.supercell} of a molecule",
            where=at,
            expected="no supercell: there is no lattice to repeat",
            remedy="delete the key, or give the structure a lattice",
        )
    simulation = expand(primitive, S)
    _check_matter(simulation, material.positrons, where)
    counts_of(material, simulation, where=where)
    return primitive, simulation, S


def counts_of(material: MaterialConfig, simulation: Geometry, *, where: str) -> tuple[int, int]:
    """Returns (N_up, N_down) of a material's simulation cell; see `electron_counts`."""
    core = core_electrons(simulation, material.pseudopotentials, where=where)
    numbers = (material.charge, material.total_spin, material.positrons)
    _check_background(material, simulation, where)
    return electron_counts(simulation, *numbers, where=where, core=core)


def _check_background(material: MaterialConfig, simulation: Geometry, where: str) -> None:
    """Refuses a charged crystal without a background, and a background without a charge."""
    charge, background = material.charge, material.neutralising_background
    if simulation.periodic and charge and not background:
        raise ConfigError(
            f"a periodic cell with charge {charge} and no background",
            where=f"{where}, key 'charge'",
            expected="charge: 0; the energy of a charged crystal diverges",
            remedy="set charge: 0, or neutralising_background: true where the uniform charge "
            "that makes up for it is meant",
        )
    if background and not (simulation.periodic and charge):
        raise ConfigError(
            f"a neutralising background in {'a neutral crystal' if charge == 0 else 'a molecule'}",
            where=f"{where}, key 'neutralising_background'",
            expected="a periodic cell with a charge other than 0",
            remedy="delete the key",
        )


def core_electrons(geometry: Geometry, pseudopotentials: Mapping[str, str], *, where: str) -> int:
    """Returns the electrons that pseudopotentials stand for.

    Args:
        geometry: A cell.
        pseudopotentials: Element -> name ending in "-q<valence>".
        where: The material's file, for error messages.

    Raises:
        ConfigError: A molecule, an element that is not there, or more valence than electrons.
    """
    if pseudopotentials and not geometry.periodic:
        raise ConfigError(
            "pseudopotentials in a molecule",
            where=f"{where}, key 'pseudopotentials'",
            expected="a crystal",
            remedy="delete the key",
        )
    total = 0
    for element, name in pseudopotentials.items():
        atoms = zip(geometry.symbols, geometry.charges, strict=True)
        charges = [z for symbol, z in atoms if symbol == element]
        valence = int(VALENCE.search(name)[1])
        if not charges or not 0 < valence <= charges[0]:
            raise ConfigError(
                f"pseudopotential {name} of element {element}",
                where=f"{where}, key 'pseudopotentials'",
                expected="elements of the structure, with a valence up to the nuclear charge",
                remedy=f"the elements are {', '.join(sorted(set(geometry.symbols)))}",
            )
        total += sum(int(z) - valence for z in charges)
    return total


def _check_matter(simulation: Geometry, positrons: int, where: str) -> None:
    """Refuses a cell without anything positive in it."""
    if not simulation.symbols and not simulation.background and not positrons:
        raise ConfigError(
            "there are no atoms",
            where=f"{where}, key 'structure'",
            expected="at least one atom, or positrons",
        )


def electron_counts(
    simulation: Geometry, charge: int, spin: int, positrons: int = 0, *, where: str, core: int = 0
) -> tuple[int, int]:
    """Returns (N_up, N_down) of the simulation cell.

    Args:
        simulation: The simulation cell.
        charge: Its net charge, e.
        spin: N_up - N_down of the electrons.
        positrons: Positrons beside them.
        where: The material's file, for error messages.
        core: Electrons that pseudopotentials stand for.

    Raises:
        ConfigError: No electrons, or a spin they cannot have.
    """
    nuclear = int(simulation.charges.sum()) - core + simulation.background + positrons
    count = nuclear - charge
    at = f"{where}, key 'charge'"
    if count <= 0:
        raise ConfigError(
            f"charge {charge} leaves {count} electrons",
            where=at,
            expected=f"a charge below {nuclear}, the sum of positive charges",
        )
    if spin < 0 or spin > count or (count - spin) % 2:
        parity = "even" if count % 2 == 0 else "odd"
        raise ConfigError(
            f"spin {spin} is impossible with {count} electrons in the simulation cell",
            where=f"{where}, key 'spin'",
            expected=f"N_up - N_down as an {parity} number from {count % 2} to {count}",
            remedy=f"set spin: {count % 2}, or change the charge or the supercell",
        )
    return (count + spin) // 2, (count - spin) // 2

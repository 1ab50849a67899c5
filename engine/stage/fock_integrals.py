"""Stage `integrals`: a mean field -> the Hamiltonian in the orbitals a method asks for."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.config import MeanFieldConfig, fingerprint, parse
from engine.config.fock import FockIntegralsConfig
from engine.errors import DataError
from engine.io.fcidump import write_fcidump
from engine.io.integrals import Integrals, check_integrals, determinant_energy, write_integrals
from engine.io.mean_field import MeanField, read_mean_field
from engine.io.system import read_system
from engine.stage import runtime

log = logging.getLogger(__name__)

SAME = 1e-5
"""Largest deviation of the determinant's energy from the mean field's, hartree per electron."""


def fock_integrals(
    sections: Mapping[str, Any], *, system: Path, mean_field: Path, integrals: Path, fcidump: Path
) -> Integrals:
    """Computes the integrals of one twist and writes them twice: HDF5 and FCIDUMP.

    Args:
        sections: "material", "mean_field" and "integrals" (sections), "charge", "spin", "number",
            "pseudopotentials" where there are some.
        system: Input system.h5.
        mean_field: Input mean-field file of the twist.
        integrals: Output, kind "integrals".
        fcidump: Output for other programs.

    Raises:
        ConfigError: Orbitals that the material cannot have.
        DataError: The mean field is of another system or another Hamiltonian.
    """
    # Imported here: PySCF takes seconds, and nothing else of the Fock space needs it.
    from engine.mean_field.integrals import make_integrals
    from engine.mean_field.primitive import sampling
    from engine.mean_field.pyscf_solver import field_of, molecule_of

    runtime.configure()
    where = f"material {sections['material']}, section"
    options = parse(MeanFieldConfig, sections["mean_field"], where=f"{where} 'mean_field'")
    chosen = parse(FockIntegralsConfig, sections["integrals"], where=f"{where} 'integrals'")
    file, scf = read_system(system), read_mean_field(mean_field)
    _check_origin(file.fingerprint, scf, mean_field)
    primitive, S, spin = file.primitive, file.supercell, sections["spin"]
    points = sampling(primitive, S, scf.twist, options.vacuum_bohr) if primitive.periodic else None
    geometry = points.geometry if points else primitive
    valence = sections.get("pseudopotentials", {})
    molecule = molecule_of(geometry, points, spin, sections["charge"], options, valence)
    n_up, n_down = (round(float(scf.occupation[s].sum())) for s in range(2))
    field = field_of(molecule, points, n_up, n_down, options)
    kinds = {"is_complex": sections["number"] == "complex", **dataclasses.asdict(chosen)}
    result = make_integrals(field, scf, S, **kinds)
    result = dataclasses.replace(result, system_fingerprint=file.fingerprint)
    check_integrals(result, mean_field)
    _check_energy(result, scf, mean_field)
    write_integrals(integrals, result, fingerprint(dict(sections), [file.fingerprint]))
    write_fcidump(fcidump, result)
    log.info(
        "%d %s orbitals, %d + %d electrons, constant %.8f hartree (Madelung %.8f)",
        *(result.n_orbitals, result.orbitals, result.n_up, result.n_down),
        *(result.constant, result.madelung),
    )
    return result


def _check_origin(system: str, scf: MeanField, path: Path) -> None:
    if scf.system_fingerprint != system:
        raise DataError(
            "the mean field is of another system",
            where=str(path),
            expected=f"system fingerprint {system}",
            remedy="delete it and run again",
        )


def _check_energy(result: Integrals, scf: MeanField, path: Path) -> None:
    """The determinant in these integrals must have the energy of the Hartree-Fock calculation."""
    if scf.method == "rks" or (result.orbitals.startswith("natural") and result.frozen):
        return
    n = max(result.n_up + result.n_down, 1)
    found = determinant_energy(result)
    if not abs(found - scf.simulation_energy) < SAME * n:
        raise DataError(
            f"the mean-field determinant has {found:.8f} hartree in these integrals",
            where=str(path),
            expected=f"{scf.simulation_energy:.8f} hartree, the energy of the mean field",
            remedy="converge the mean field further (mean_field.convergence_ha), or run it again",
        )

"""The mean-field stage: system file and options -> mean-field file of one twist."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.config import MeanFieldConfig, fingerprint, parse
from engine.errors import DataError
from engine.io.mean_field import MeanField, write_mean_field
from engine.io.system import SystemFile, read_system
from engine.mean_field import localised, oscillator, plane_waves
from engine.stage import runtime
from engine.system.material import core_electrons

log = logging.getLogger(__name__)


def mean_field(sections: Mapping[str, Any], *, system: Path, mean_field: Path) -> MeanField:
    """Solves the mean field at one twist and writes it.

    Args:
        sections: "material" (name), "mean_field" (section), "twist" ({"index", "frac"}
            and, where it has one of its own, "spin"), "charge" and "spin" of the simulation
            cell, "positrons" and "pseudopotentials" where there are some.
        system: The system file to read.
        mean_field: The file to write.

    Returns:
        What was written.

    Raises:
        ConfigError: A basis, functional or twist that cannot be computed.
        NotConvergedError: The iteration did not converge.
    """
    where = f"material {sections.get('material', '?')}, section 'mean_field'"
    options = parse(MeanFieldConfig, sections["mean_field"], where=where)
    runtime.configure()
    file = read_system(system)
    _check_electrons(file, sections, system)
    n_up, n_down = _counts(file, sections["twist"].get("spin"))
    frac = sections["twist"]["frac"]
    log.info(
        "%s of %d + %d electrons, %d primitive cells, twist %s",
        options.method
        if options.method in ("plane-waves", localised.METHOD, oscillator.METHOD)
        else f"{options.method}/{options.basis}",
        n_up,
        n_down,
        file.n_cells,
        list(frac),
    )
    result = _solve(file, sections, frac, options)
    result = dataclasses.replace(result, system_fingerprint=file.fingerprint)
    log.info("energy %.8f hartree per primitive cell, gap %.4f hartree", result.total, result.gap)
    write_mean_field(mean_field, result, fingerprint(dict(sections), [file.fingerprint]))
    return result


def _solve(
    file: SystemFile, sections: Mapping[str, Any], frac: Any, options: MeanFieldConfig
) -> MeanField:
    """Returns what the producer for this kind of matter makes."""
    if options.method == oscillator.METHOD:
        return oscillator.solve()
    n_up, n_down = _counts(file, sections["twist"].get("spin"))
    if options.method == "plane-waves":
        return plane_waves.solve(file.primitive.lattice, n_up, n_down, frac, options)
    if options.method == localised.METHOD:
        return localised.solve(file.primitive.lattice, n_up, frac, sections["sites"])
    # Imported here: PySCF takes seconds, and nothing else of the engine needs it.
    from engine.mean_field import pyscf_solver

    return pyscf_solver.solve(
        file.primitive,
        file.supercell,
        n_up,
        n_down,
        sections["charge"],
        frac,
        options,
        sections.get("positrons", 0),
        pseudopotentials=sections.get("pseudopotentials", {}),
    )


def _counts(file: SystemFile, spin: int | None = None) -> tuple[int, int]:
    """Returns (N_up, N_down) of a system file, or with another spin."""
    system = file.system if spin is None else file.system.with_spin(spin)
    counts = {species.name: species.count for species in system.species}
    return counts.get("up", 0), counts.get("down", 0)


def _check_electrons(file: SystemFile, sections: Mapping[str, Any], path: Path) -> None:
    """Refuses a file whose electrons are not those of charge and spin."""
    n_up, n_down = _counts(file)
    positive = round(float(file.system.charges.sum())) + file.primitive.background * file.n_cells
    named = sections.get("pseudopotentials", {})
    positive -= file.n_cells * core_electrons(file.primitive, named, where=str(path))
    total = positive + sections.get("positrons", 0) - sections["charge"]
    if (n_up + n_down, n_up - n_down) != (total, sections["spin"]):
        raise DataError(
            f"{n_up} spin-up and {n_down} spin-down electrons",
            where=str(path),
            expected=f"{total} electrons with spin {sections['spin']}",
            remedy="run the structure stage again",
        )

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
from engine.stage import runtime

log = logging.getLogger(__name__)


def mean_field(sections: Mapping[str, Any], *, system: Path, mean_field: Path) -> MeanField:
    """Solves the mean field at one twist and writes it.

    Args:
        sections: "material" (name), "mean_field" (section), "twist" ({"index", "frac"}),
            "charge" and "spin" of the simulation cell.
        system: The system file to read.
        mean_field: The file to write.

    Returns:
        What was written.

    Raises:
        ConfigError: A basis, functional or twist that cannot be computed.
        NotConvergedError: The iteration did not converge.
    """
    # Imported here: PySCF takes seconds, and nothing else of the engine needs it.
    from engine.mean_field.pyscf_solver import solve

    where = f"material {sections.get('material', '?')}, section 'mean_field'"
    options = parse(MeanFieldConfig, sections["mean_field"], where=where)
    runtime.configure()
    file = read_system(system)
    n_up, n_down = _electrons(file, sections, system)
    frac = sections["twist"]["frac"]
    log.info(
        "%s/%s of %d + %d electrons, %d primitive cells, twist %s",
        options.method,
        options.basis,
        n_up,
        n_down,
        file.n_cells,
        list(frac),
    )
    result = solve(file.primitive, file.supercell, n_up, n_down, sections["charge"], frac, options)
    result = dataclasses.replace(result, system_fingerprint=file.fingerprint)
    log.info("energy %.8f hartree per primitive cell, gap %.4f hartree", result.total, result.gap)
    write_mean_field(mean_field, result, fingerprint(dict(sections), [file.fingerprint]))
    return result


def _electrons(file: SystemFile, sections: Mapping[str, Any], path: Path) -> tuple[int, int]:
    """Returns the electron counts of the file, which must be those of charge and spin."""
    counts = {species.name: species.count for species in file.system.species}
    n_up, n_down = counts.get("up", 0), counts.get("down", 0)
    total = round(float(file.system.charges.sum())) - sections["charge"]
    if (n_up + n_down, n_up - n_down) != (total, sections["spin"]):
        raise DataError(
            f"{n_up} spin-up and {n_down} spin-down electrons",
            where=str(path),
            expected=f"{total} electrons with spin {sections['spin']}",
            remedy="run the structure stage again",
        )
    return n_up, n_down

"""The mean-field stage with a learned Hamiltonian: it saves iterations, and vouches for nothing.

A prediction is taken if the geometry is not far outside the training set and its commutator
residual is small and below that of the ordinary guess; otherwise the ordinary calculation is made
and the log says why. With `converge` (the default) the file is self-consistent either way.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine import keys
from engine.config import MeanFieldConfig, fingerprint, parse
from engine.config.learned import UseConfig
from engine.io import hdf5
from engine.io.mean_field import MeanField, write_mean_field
from engine.io.system import SystemFile, read_system
from engine.learned.dependence import damped
from engine.learned.graph import molecule_graph
from engine.learned.model import Trained, make_predict
from engine.mean_field import pyscf_labels, pyscf_predicted, pyscf_solver
from engine.stage import runtime
from engine.stage.crystal_mean_field import crystal_mean_field, other_orbitals, too_far
from engine.stage.learned_model import (
    check_mean_field,
    check_shells,
    error_of,
    load,
    never_seen,
    novelty_of,
)

log = logging.getLogger(__name__)


def learned_mean_field(
    sections: Mapping[str, Any],
    *,
    system: Path,
    model: Path,
    mean_field: Path,
    hamiltonian: Path | None = None,
) -> MeanField:
    """Predicts the Hamiltonian of a molecule, or takes that of a crystal; writes the mean field.

    Args:
        sections: Those of the ordinary mean field, "learned" (name) and "use".
        system: Input system.h5.
        model: Input, kind "learned_hamiltonian".
        mean_field: Output, kind "mean_field".
        hamiltonian: Input of a crystal, kind "lattice_hamiltonian".

    Raises:
        DataError: The model is of another schema, basis, functional, or without an element.
    """
    runtime.configure()
    file = read_system(system)
    if hamiltonian is not None:
        return crystal_mean_field(sections, file, hamiltonian=hamiltonian, mean_field=mean_field)
    options = parse(MeanFieldConfig, sections["mean_field"], where="mean_field")
    use = parse(UseConfig, sections["use"], where="use")
    trained = load(model)
    check_model(trained, file, sections, options, model)
    start = accepted(trained, file, sections["charge"], options, use)
    result = _solved(file, sections, options, use, start)
    result = dataclasses.replace(result, system_fingerprint=file.fingerprint)
    log.info("energy %.8f hartree per primitive cell, gap %.4f hartree", result.total, result.gap)
    inputs = [file.fingerprint, hdf5.content(model)]
    write_mean_field(mean_field, result, fingerprint(dict(sections), inputs))
    return result


def check_model(
    trained: Trained,
    file: SystemFile,
    sections: Mapping[str, Any],
    options: MeanFieldConfig,
    path: Path,
) -> None:
    """Refuses a model of another functional, basis or of other elements."""
    check_mean_field(trained.facts["mean_field"], options, path)
    trained.model.basis.species(file.primitive.symbols)
    own = pyscf_labels.shells_of(file.primitive, sections["charge"], options)
    check_shells(trained, own, path)


def accepted(
    trained: Trained,
    file: SystemFile,
    charge: int,
    options: MeanFieldConfig,
    use: UseConfig,
) -> pyscf_predicted.Physics | None:
    """Returns the prediction where it may be used; says in the log why where it may not."""
    geometry, guess_name = file.primitive, trained.facts["guess"]
    guess = pyscf_predicted.guess_hamiltonian(geometry, charge, options, guess_name)
    far = novelty_of(trained, geometry.symbols, geometry.positions, guess)
    graph = molecule_graph(trained.model.basis, geometry.symbols, geometry.positions)
    reason = too_far(far, never_seen(trained, graph), use.max_novelty)
    if reason:
        return _refused(reason)
    predict = make_predict(trained.model)
    found = predict(
        trained.params,
        trained.scales,
        geometry.symbols,
        geometry.positions,
        guess,
        keys.root(0, "learned-mean-field"),
    )
    if not np.all(np.isfinite(found)):
        return _refused("its matrix is not finite")
    overlap = pyscf_labels.molecular_field(geometry, charge, options).get_ovlp()
    found = guess + damped(found - guess, overlap, error_of(trained))
    physics, plain = (
        pyscf_predicted.physics(geometry, charge, options, matrix, with_forces=False)
        for matrix in (found, guess)
    )
    log.info(
        "learned Hamiltonian: novelty %.2f, commutator residual %.2e hartree (ordinary guess %.2e)",
        far,
        physics.residual,
        plain.residual,
    )
    reason = doubtful(physics, plain, overlap, use)
    return _refused(reason) if reason else physics


def doubtful(
    physics: pyscf_predicted.Physics,
    plain: pyscf_predicted.Physics,
    overlap: np.ndarray,
    use: UseConfig,
) -> str:
    """Returns why a prediction is no start for the iterations, "" where it is one.

    Args:
        physics: Of the prediction.
        plain: Of the ordinary guess.
        overlap: (n, n) of the basis functions.
        use: Limits.
    """
    limit = min(use.max_residual_ha, plain.residual)
    if not physics.residual < limit:
        return f"its commutator residual {physics.residual:.2e} is not below {limit:.2e}"
    same = pyscf_predicted.shared(overlap, plain.orbitals.density, physics.orbitals.density)
    return other_orbitals(same)


def _refused(reason: str) -> None:
    log.warning("the learned Hamiltonian is not used: %s; ordinary guess instead", reason)


def _solved(
    file: SystemFile,
    sections: Mapping[str, Any],
    options: MeanFieldConfig,
    use: UseConfig,
    physics: pyscf_predicted.Physics | None,
) -> MeanField:
    geometry, charge = file.primitive, sections["charge"]
    pairs = (int(geometry.charges.sum()) - charge) // 2
    zero, frac = np.eye(3, dtype=int), sections["twist"]["frac"]

    def iterate(field: Any, options: MeanFieldConfig) -> Any:
        if physics is None:
            return pyscf_solver.converge(field, options)
        if use.converge:
            return pyscf_solver.converge(field, options, physics.orbitals.density)
        orbitals = physics.orbitals
        field.mo_coeff, field.mo_energy = orbitals.coeff, orbitals.levels
        field.mo_occ = np.where(np.arange(len(orbitals.levels)) < pairs, 2.0, 0.0)
        field.e_tot = physics.energy
        return field

    made = pyscf_solver.solve(geometry, zero, pairs, pairs, charge, frac, options, iterate=iterate)
    return dataclasses.replace(made, converged=physics is None or use.converge)

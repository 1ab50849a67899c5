"""The mean field of a crystal at a twist, started from the H(R) of a model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import MeanFieldConfig, fingerprint, parse
from engine.config.learned import UseConfig
from engine.io import hdf5
from engine.io.lattice_hamiltonian import LatticeHamiltonian, read_hamiltonian
from engine.io.mean_field import MeanField, write_mean_field
from engine.io.system import SystemFile
from engine.learned import lattice
from engine.learned.dependence import damped
from engine.mean_field import pyscf_crystal, pyscf_predicted, pyscf_solver
from engine.mean_field.pyscf_crystal import CrystalPhysics
from engine.stage.learned_model import check_mean_field

log = logging.getLogger(__name__)

SHARED = 0.5
"""Least share of an orbital filled by the ordinary guess that a prediction has to fill."""


def crystal_mean_field(
    sections: Mapping[str, Any], file: SystemFile, *, hamiltonian: Path, mean_field: Path
) -> MeanField:
    """Solves the mean field of a crystal at one twist from a predicted Hamiltonian.

    Args:
        sections: Those of the ordinary mean field, and "use".
        file: The system.
        hamiltonian: Input, kind "lattice_hamiltonian".
        mean_field: Output, kind "mean_field".
    """
    options = parse(MeanFieldConfig, sections["mean_field"], where="mean_field")
    use = parse(UseConfig, sections["use"], where="use")
    predicted = read_hamiltonian(hamiltonian)
    check_mean_field(
        predicted.facts.get("mean_field"), options, hamiltonian, start_only=use.converge
    )
    counts = {s.name: s.count for s in file.system.species}
    taken: list[bool] = []

    def iterate(field: Any, options: MeanFieldConfig) -> Any:
        physics = accepted(predicted, field, use)
        taken.append(physics is not None and not use.converge)
        if physics is None:
            return pyscf_solver.converge(field, options)
        if use.converge:
            pyscf_crystal.remember(field, physics)
            return pyscf_solver.converge(field, options, physics.density)
        return _as_predicted(field, predicted, physics)

    made = pyscf_solver.solve(
        file.primitive,
        file.supercell,
        counts.get("up", 0),
        counts.get("down", 0),
        sections["charge"],
        sections["twist"]["frac"],
        options,
        iterate=iterate,
        pseudopotentials=sections.get("pseudopotentials", {}),
    )
    made = dataclasses.replace(made, converged=not taken[-1], system_fingerprint=file.fingerprint)
    log.info("energy %.8f hartree per primitive cell, gap %.4f hartree", made.total, made.gap)
    inputs = [file.fingerprint, hdf5.content(hamiltonian)]
    write_mean_field(mean_field, made, fingerprint(dict(sections), inputs))
    return made


def at_kpoints(
    predicted: LatticeHamiltonian, kpoints: np.ndarray, overlap: np.ndarray
) -> np.ndarray:
    """Returns (K, n, n) H(k) of a prediction, damped between nearly dependent functions.

    Args:
        predicted: H(R).
        kpoints: (K, 3) 1/bohr.
        overlap: (K, n, n) S(k).
    """
    places = predicted.cells @ predicted.lattice
    whole, correction = (
        lattice.to_kpoints(matrices, kpoints, places)
        for matrices in (predicted.matrices, predicted.correction)
    )
    return whole - correction + damped(correction, overlap, predicted.facts["error_ha"])


def at_field(predicted: LatticeHamiltonian, field: Any) -> np.ndarray:
    """Returns (K, n, n) H(k) of a prediction at the k-points of a field."""
    return at_kpoints(predicted, field.kpts, np.asarray(field.get_ovlp()))


def accepted(predicted: LatticeHamiltonian, field: Any, use: UseConfig) -> CrystalPhysics | None:
    """Returns the prediction at the k-points of a field where it may be used; logs why not."""
    if not np.all(np.isfinite(predicted.matrices)):
        return _refused("its matrix is not finite")
    far = too_far(predicted.novelty, predicted.facts.get("never_seen", ()), use.max_novelty)
    if far:
        return _refused(far)
    hamiltonian = at_field(predicted, field)
    gap = predicted_gap(field, pyscf_crystal.filled(field, hamiltonian)[0])
    if gap < use.min_gap_ha:
        return _refused(
            f"its gap {gap:.4f} hartree is below {use.min_gap_ha:g}: which levels of a degenerate "
            "shell are filled is not for it to say"
        )
    physics = pyscf_crystal.crystal_physics(field, hamiltonian)
    start = field.get_init_guess(key=predicted.facts["guess"])
    fock = np.asarray(field.get_fock(dm=start))
    plain = pyscf_crystal.residual(field, start, fock)
    log.info(
        "learned Hamiltonian: novelty %.2f, gap %.3f, commutator residual %.2e hartree "
        "(ordinary guess %.2e)",
        predicted.novelty,
        gap,
        physics.residual,
        plain,
    )
    limit = min(use.max_residual_ha, plain)
    if not physics.residual < limit:
        return _refused(f"its commutator residual {physics.residual:.2e} is not below {limit:.2e}")
    ordinary = pyscf_crystal.filled(field, fock)[1]
    same = min(map(pyscf_predicted.shared, field.get_ovlp(), ordinary, physics.density))
    return _refused(reason) if (reason := other_orbitals(same)) else physics


def other_orbitals(same: float) -> str:
    """Returns why two densities are not of one configuration, "" where they are.

    Iterations that start in another configuration may end there, in a state that is self-consistent
    and not the lowest one.

    Args:
        same: What `pyscf_predicted.shared` says of them.
    """
    if same < SHARED:
        return f"it fills other orbitals than the ordinary guess does: {same:.2f} of one are shared"
    return ""


def too_far(novelty: float, never_seen: Sequence[str], limit: float) -> str:
    """Returns why a prediction is too far from its training to be used, "" where it is not."""
    if never_seen:
        return f"novelty {novelty:.2f}: its training never saw {', '.join(never_seen)}"
    if novelty > limit:
        return f"novelty {novelty:.2f} is above {limit:g}: far from its training"
    return ""


def predicted_gap(field: Any, levels: np.ndarray) -> float:
    """Returns the distance of the highest filled and the lowest empty level of all k-points."""
    filled = np.asarray(field.get_occ(list(levels))) > 0
    empty = levels[~filled]
    return float(empty.min() - levels[filled].max()) if empty.size else float("inf")


def _refused(reason: str) -> None:
    log.warning("the learned Hamiltonian is not used: %s; ordinary guess instead", reason)


def _as_predicted(field: Any, predicted: LatticeHamiltonian, physics: CrystalPhysics) -> Any:
    """Returns the field with the orbitals of the prediction."""
    levels, vectors = pyscf_crystal.solved(field, at_field(predicted, field))
    field.mo_energy, field.mo_coeff = levels, vectors
    field.mo_occ = field.get_occ(levels, vectors)
    field.e_tot = physics.energy
    return field

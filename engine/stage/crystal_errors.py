"""A model of crystals against the mean field it replaces, on geometries it never saw.

On the meshes of the labels: the prediction is H(R), its matrices are compared at every k-point.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from engine.config import MeanFieldConfig
from engine.io.crystal_labels import CrystalSet
from engine.io.parity import Points, points_of
from engine.learned.model import Trained
from engine.mean_field import pyscf_crystal
from engine.stage import crystal_hamiltonian, runtime
from engine.stage.crystal_mean_field import at_kpoints, predicted_gap
from engine.system.geometry import Geometry
from engine.units import HARTREE_EV

log = logging.getLogger(__name__)

QUANTITIES = {
    "hamiltonian_uha": "mean absolute error of the elements of H(k), microhartree",
    "guess_hamiltonian_uha": "the same of the initial guess",
    "filled_levels_uha": "mean absolute error of filled levels of all k-points, microhartree",
    "gap_mev": "absolute error of the gap on the mesh, meV",
    "energy_mha": "absolute error of the total energy per cell, millihartree",
    "residual_ha": "commutator residual of the predicted density, hartree",
    "novelty": "distance from the training set, in units of its farthest geometry",
    "cycles_predicted": "SCF iterations from the predicted density",
    "cycles_minao": "SCF iterations from PySCF's guess minao",
    "seconds_predicted": "wall time of initial guess, network and diagonalisations, s",
    "seconds_scf": "wall time of the calculation from minao to convergence, s",
}
"""Column of a row -> what it is; the table has mean and worst of each."""


def compare(
    trained: Trained, labels: CrystalSet, options: MeanFieldConfig
) -> list[tuple[dict[str, float], Points]]:
    """Returns one row of `QUANTITIES` and the numbers behind it per geometry."""
    rows: list[tuple[dict[str, float], Points]] = []
    named = labels.facts.get("pseudopotentials", {})
    for g, (a, r) in enumerate(zip(labels.lattice, labels.positions, strict=True)):
        geometry = Geometry(labels.symbols, r, a)
        if not rows:  # compiled before anything is timed
            crystal_hamiltonian.predict(trained, geometry, named, labels.mesh)
        rows.append(_row(trained, labels, g, geometry, options))
        log.info(
            "geometry %d of %d: H %.1f uHa, E %.4f mHa, %d iterations against %d",
            g + 1,
            len(labels.positions),
            rows[-1][0]["hamiltonian_uha"],
            rows[-1][0]["energy_mha"],
            rows[-1][0]["cycles_predicted"],
            rows[-1][0]["cycles_minao"],
        )
    return rows


def _row(
    trained: Trained, labels: CrystalSet, g: int, geometry: Geometry, options: MeanFieldConfig
) -> tuple[dict[str, Any], Points]:
    named = labels.facts.get("pseudopotentials", {})
    field, _ = pyscf_crystal.crystal_field(geometry, labels.mesh, options, named)
    clock = runtime.Clock()
    predicted = crystal_hamiltonian.predict(trained, geometry, named, labels.mesh)
    hamiltonian = at_kpoints(predicted, labels.kpoints[g], labels.overlap[g])
    levels, _ = pyscf_crystal.filled(field, hamiltonian)
    seconds = clock.lap()
    physics = pyscf_crystal.crystal_physics(field, hamiltonian)
    truth, _ = pyscf_crystal.filled(field, labels.fock[g])
    lowest = np.arange(levels.shape[1]) < labels.occupied[g][:, None]
    gaps = [predicted_gap(field, found) for found in (levels, truth)]
    row = {
        "hamiltonian_uha": 1e6 * float(np.mean(abs(hamiltonian - labels.fock[g]))),
        "guess_hamiltonian_uha": 1e6 * float(np.mean(abs(labels.guess[g] - labels.fock[g]))),
        "filled_levels_uha": 1e6 * float(np.mean(abs(levels - truth)[lowest])),
        "gap_mev": 1e3 * HARTREE_EV * abs(gaps[0] - gaps[1]),
        "energy_mha": 1e3 * abs(physics.energy - float(labels.energy[g])),
        "residual_ha": physics.residual,
        "novelty": predicted.novelty,
        "seconds_predicted": seconds,
    }
    row["cycles_predicted"] = float(pyscf_crystal.cycles(field, physics.density)[0])
    clock.lap()
    row["cycles_minao"] = float(pyscf_crystal.cycles(field, "minao")[0])
    row["seconds_scf"] = clock.lap()
    shown = truth[lowest], levels[lowest]
    return row, points_of(labels.fock[g], hamiltonian, labels.guess[g], *shown)

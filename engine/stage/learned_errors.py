"""Stage `learned_errors`: a model against the mean field it replaces, on geometries it never saw.

Every error is of the prediction against the converged calculation with the same program,
functional, basis and grid.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import keys
from engine.config import MeanFieldConfig, parse
from engine.io import table
from engine.io.crystal_labels import CrystalSet
from engine.io.labels import LabelledSet
from engine.io.parity import Points, points_of, write_parity
from engine.learned.dependence import damped
from engine.learned.model import Trained, make_predict
from engine.mean_field import pyscf_predicted as predicted
from engine.stage import crystal_errors, runtime
from engine.stage.learned_model import error_of, load, novelty_of, read_any
from engine.system.geometry import Geometry
from engine.units import BOHR_ANGSTROM, HARTREE_EV

log = logging.getLogger(__name__)

GUESSES = ("minao", "atom", "1e")
"""Starting points of PySCF that a prediction is compared with: 1e is the core Hamiltonian."""

QUANTITIES = {
    "hamiltonian_uha": "mean absolute error of matrix elements, microhartree",
    "guess_hamiltonian_uha": "the same of the initial guess",
    "occupied_levels_uha": "mean absolute error of occupied orbital energies, microhartree",
    "homo_mev": "absolute error of the highest occupied level, meV",
    "gap_mev": "absolute error of LUMO - HOMO, meV",
    "energy_mha": "absolute error of the total energy, millihartree",
    "forces_mev_per_angstrom": "mean absolute error of force components, meV/angstrom",
    "dipole_mdebye": "length of the error of the dipole moment, millidebye",
    "density_overlap": "tr(D S D' S) / sqrt(tr(DSDS) tr(D'SD'S)) of densities",
    "orbital_similarity": "mean |<predicted|true>| of occupied orbitals",
    "residual_ha": "commutator residual of the predicted density, hartree",
    "novelty": "distance from the training set, in units of its farthest geometry",
    "cycles_predicted": "SCF iterations from the predicted density",
    **{f"cycles_{g}": f"SCF iterations from PySCF's guess {g}" for g in GUESSES},
    "seconds_predicted": "wall time of initial guess, network and diagonalisation, s",
    "seconds_scf": "wall time of the calculation from minao to convergence, s",
}
"""Column of a row -> what it is; the table has mean and worst of each."""

MEANINGS = {**QUANTITIES, **crystal_errors.QUANTITIES}

BETTER_HIGH = ("density_overlap", "orbital_similarity")
"""Where the worst is the smallest."""
DEBYE = 2.541746473
"""Debye per e bohr."""


def learned_errors(
    sections: dict[str, Any],
    *,
    model: Path,
    labels: Sequence[Path],
    errors: Path,
    parity: Path | None = None,
) -> list[dict[str, Any]]:
    """Predicts every test geometry, follows the physics and writes mean and worst of each error.

    Args:
        sections: "name", and "limit": geometries per molecule to look at, None for all.
        model: Input, kind "learned_hamiltonian".
        labels: Inputs, kind "labels".
        errors: Output, CSV: one line per molecule and quantity.
        parity: Output, kind "learned_parity": predicted against true numbers.
    """
    runtime.configure()
    trained = load(model)
    options = parse(MeanFieldConfig, trained.facts["mean_field"], where=str(model))
    lines, points = [], {}
    for path in labels:
        tested = read_any(path).part("test").first(sections["limit"])
        crystal = isinstance(tested, CrystalSet)
        found = (crystal_errors.compare if crystal else compare)(trained, tested, options)
        name = tested.facts["material"]
        lines += summary(sections["name"], name, [row for row, _ in found])
        points[name] = [pair for _, pair in found]
    table.write(errors, lines)
    if parity is not None:
        write_parity(parity, points, trained.facts["fingerprint"])
    return lines


def compare(
    trained: Trained, labels: LabelledSet, options: MeanFieldConfig
) -> list[tuple[dict[str, float], Points]]:
    """Returns one row of `QUANTITIES` and the numbers behind it per geometry."""
    predict = make_predict(trained.model)
    key = keys.root(0, "learned-errors")

    def predicted_matrix(geometry: Geometry, g: int) -> tuple[np.ndarray, np.ndarray]:
        name = trained.facts["guess"]
        guess = predicted.guess_hamiltonian(geometry, labels.charge, options, name)
        own = keys.stream(key, "geometry", g)
        symbols, r = geometry.symbols, geometry.positions
        found = predict(trained.params, trained.scales, symbols, r, guess, own)
        return guess, guess + damped(found - guess, labels.overlap[g], error_of(trained))

    geometries = [Geometry(labels.symbols, r) for r in labels.positions]
    predicted_matrix(geometries[0], 0)  # compiled before anything is timed
    rows: list[tuple[dict[str, float], Points]] = []
    for g, geometry in enumerate(geometries):
        clock = runtime.Clock()
        guess, found = predicted_matrix(geometry, g)
        result = predicted.diagonalise(found, labels.overlap[g], labels.occupied)
        seconds = clock.lap()
        far = novelty_of(trained, labels.symbols, geometry.positions, guess)
        row = {"seconds_predicted": seconds, "novelty": far}
        row |= matrix_errors(labels, g, found)
        truth = _truth(labels, g)
        row |= orbital_errors(result, truth, labels.overlap[g], labels.occupied)
        row |= physics_errors(labels, g, geometry, options, found)
        row |= iterations(geometry, labels.charge, options, result.density)
        levels = truth.levels[: labels.occupied + 1], result.levels[: labels.occupied + 1]
        rows.append((row, points_of(labels.fock[g], found, guess, *levels)))
        log.info("geometry %d of %d: %s", g + 1, len(geometries), _short(row))
    return rows


def _truth(labels: LabelledSet, g: int) -> predicted.Orbitals:
    return predicted.diagonalise(labels.fock[g], labels.overlap[g], labels.occupied)


def physics_errors(
    labels: LabelledSet,
    g: int,
    geometry: Geometry,
    options: MeanFieldConfig,
    found: np.ndarray,
) -> dict[str, float]:
    """Returns the errors of energy, forces and dipole of a predicted matrix, and its residual."""
    physics = predicted.physics(geometry, labels.charge, options, found)
    forces = float(np.mean(abs(physics.forces - labels.forces[g])))
    return {
        "energy_mha": 1e3 * abs(physics.energy - labels.energy[g]),
        "forces_mev_per_angstrom": 1e3 * HARTREE_EV / BOHR_ANGSTROM * forces,
        "dipole_mdebye": 1e3 * DEBYE * float(np.linalg.norm(physics.dipole - labels.dipole[g])),
        "residual_ha": physics.residual,
    }


def iterations(
    geometry: Geometry, charge: int, options: MeanFieldConfig, density: np.ndarray
) -> dict[str, float]:
    """Returns the SCF iterations from a density and from PySCF's guesses, and the time of one."""
    clock = runtime.Clock()
    counts = {}
    for name in GUESSES:
        counts[f"cycles_{name}"] = float(predicted.cycles(geometry, charge, options, name)[0])
        counts.setdefault("seconds_scf", clock.lap())
    found = predicted.cycles(geometry, charge, options, density)[0]
    return counts | {"cycles_predicted": float(found)}


def matrix_errors(labels: LabelledSet, g: int, found: np.ndarray) -> dict[str, float]:
    """Returns the errors of matrix elements of a prediction and of the initial guess."""
    truth = labels.fock[g]
    return {
        "hamiltonian_uha": 1e6 * float(np.mean(abs(found - truth))),
        "guess_hamiltonian_uha": 1e6 * float(np.mean(abs(labels.guess[g] - truth))),
    }


def orbital_errors(
    result: predicted.Orbitals, truth: predicted.Orbitals, overlap: np.ndarray, occupied: int
) -> dict[str, float]:
    """Returns the errors of orbital energies, orbitals and density."""
    shift = result.levels - truth.levels
    gaps = [o.levels[occupied] - o.levels[occupied - 1] for o in (result, truth)]
    D, E = (o.density @ overlap for o in (result, truth))
    products = result.coeff[:, :occupied].T @ overlap @ truth.coeff[:, :occupied]
    return {
        "occupied_levels_uha": 1e6 * float(np.mean(abs(shift[:occupied]))),
        "homo_mev": 1e3 * HARTREE_EV * abs(float(shift[occupied - 1])),
        "gap_mev": 1e3 * HARTREE_EV * abs(float(gaps[0] - gaps[1])),
        "density_overlap": float(np.trace(D @ E) / np.sqrt(np.trace(D @ D) * np.trace(E @ E))),
        "orbital_similarity": float(np.mean(abs(np.diag(products)))),
    }


def summary(name: str, material: str, rows: Sequence[dict[str, float]]) -> list[dict[str, Any]]:
    """Returns one line per quantity: mean and worst over the geometries."""
    lines = []
    for quantity in (name for name in MEANINGS if name in rows[0]):
        values = np.array([row[quantity] for row in rows])
        worst = values.min() if quantity in BETTER_HIGH else values.max()
        lines.append(
            {
                "model": name,
                "material": material,
                "quantity": quantity,
                "mean": float(values.mean()),
                "worst": float(worst),
                "geometries": len(rows),
                "meaning": MEANINGS[quantity],
            }
        )
    return lines


def _short(row: dict[str, float]) -> str:
    return (
        f"H {row['hamiltonian_uha']:.1f} uHa, E {row['energy_mha']:.4f} mHa, "
        f"F {row['forces_mev_per_angstrom']:.2f} meV/A, {row['cycles_predicted']:.0f} cycles "
        f"against {row['cycles_minao']:.0f}"
    )


__all__ = ["QUANTITIES", "compare", "learned_errors", "summary"]

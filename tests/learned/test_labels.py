"""Labelled sets: what PySCF gives, resuming, splits, files, and the formats of others."""

import dataclasses

import numpy as np
import pytest

from engine.config import MeanFieldConfig, canonical
from engine.config.learned import LabelsConfig
from engine.errors import ConfigError, DataError, Interrupted
from engine.io.labels import read_labels, write_labels
from engine.io.system import write_system
from engine.mean_field import pyscf_labels, pyscf_predicted
from engine.stage import labels as stage
from engine.stage.sampling import displaced, trajectory
from engine.system.geometry import Geometry

WATER = Geometry(
    ("O", "H", "H"), np.array([[0.0, 0.0, 0.22], [0.0, 1.43, -0.9], [0.0, -1.43, -0.9]])
)
HYDROGEN = Geometry(("H", "H"), np.array([[0.0, 0, 0], [0, 0, 1.4]]))
PBE = MeanFieldConfig(method="rks", basis="def2-svp", convergence_ha=1e-11)
HF = {"method": "rhf", "basis": "sto-3g", "convergence_ha": 1e-11}


def sections(**changes):
    data = LabelsConfig(materials=["h2"], geometries=5, train=2, validation=1, **changes)
    return canonical({"material": "h2", "charge": 0, "mean_field": HF, "labels": data})


@pytest.fixture
def system(tmp_path):
    one = np.eye(3, dtype=int)
    write_system(tmp_path / "system.h5", HYDROGEN, one, HYDROGEN, 1, 1, "fp")
    return tmp_path / "system.h5"


def run(tmp_path, system, **changes):
    return stage.labels(
        sections(**changes),
        system=system,
        labels=tmp_path / "labels.h5",
        state_dir=tmp_path / "state",
    )


@pytest.fixture(scope="module")
def water():
    return pyscf_labels.label(WATER, 0, PBE, "minao")


def test_the_true_hamiltonian_gives_the_true_physics(water):
    """One diagonalisation of the label reproduces energy, forces, dipole, and needs no cycles."""
    found = pyscf_predicted.physics(WATER, 0, PBE, water.fock)
    assert found.energy == pytest.approx(water.energy, abs=1e-8)
    np.testing.assert_allclose(found.forces, water.forces, atol=2e-5)
    np.testing.assert_allclose(found.dipole, water.dipole, atol=2e-5)
    np.testing.assert_allclose(found.orbitals.density, water.density, atol=2e-5)
    assert found.residual < 1e-5
    count, energy = pyscf_predicted.cycles(WATER, 0, PBE, found.orbitals.density)
    assert count <= 2 < water.cycles and energy == pytest.approx(water.energy, abs=1e-9)


def test_errors_of_the_energy_are_of_second_order_and_residuals_of_first(water):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=water.fock.shape)
    noise = 1e-3 * (noise + noise.T)
    small, large = (
        pyscf_predicted.physics(WATER, 0, PBE, water.fock + x * noise, with_forces=False)
        for x in (0.5, 1.0)
    )
    errors = small.energy - water.energy, large.energy - water.energy
    assert 0 < errors[0] and 3 < errors[1] / errors[0] < 5
    assert large.residual / small.residual == pytest.approx(2, rel=0.15)


def test_matrices_are_those_of_the_guess_and_the_molecule(water):
    guess = pyscf_predicted.guess_hamiltonian(WATER, 0, PBE, "minao")
    np.testing.assert_allclose(guess, water.guess, atol=1e-10)
    assert np.trace(water.density @ water.overlap) == pytest.approx(10, abs=1e-9)
    shells = pyscf_labels.shells_of(WATER, 0, PBE)
    assert shells == {"O": [0, 0, 0, 1, 1, 2], "H": [0, 0, 1]}


def test_the_set_has_units_splits_and_provenance(tmp_path, system):
    made = run(tmp_path, system)
    stored = read_labels(tmp_path / "labels.h5")
    np.testing.assert_array_equal(stored.fock, made.fock)
    assert np.bincount(stored.split).tolist() == [2, 1, 2]
    assert stored.facts["mean_field"]["basis"] == "sto-3g" and stored.shells == {"H": [0]}
    assert len(stored.part("test").energy) == 2 and stored.occupied == 1
    distance = np.linalg.norm(stored.positions[:, 1] - stored.positions[:, 0], axis=-1)
    assert len(set(distance.round(6))) == 5
    again = run(tmp_path / "again", system)
    np.testing.assert_array_equal(again.positions, made.positions)
    other = run(tmp_path / "other", system, seed=1)
    assert np.abs(other.positions - made.positions).max() > 1e-3


def test_the_parts_of_a_trajectory_follow_one_another():
    options = LabelsConfig(["water"], geometries=9, train=4, validation=2, sampling="md")
    assert stage._split(options).tolist() == [0] * 4 + [1] * 2 + [2] * 3
    scattered = stage._split(dataclasses.replace(options, sampling="perturbed"))
    assert sorted(scattered) == sorted(stage._split(options)) and any(np.diff(scattered) < 0)


def test_a_killed_job_keeps_its_geometries(tmp_path, system, monkeypatch):
    solved = []
    plain = pyscf_labels.label

    def counted(*arguments):
        solved.append(1)
        return plain(*arguments)

    monkeypatch.setattr(stage.pyscf_labels, "label", counted)
    monkeypatch.setattr(stage.Deadline, "near", lambda *_: len(solved) == 3)
    with pytest.raises(Interrupted, match="after geometry 3 of 5"):
        run(tmp_path, system)
    damaged = tmp_path / "state/geometry-000001.h5"
    damaged.write_bytes(damaged.read_bytes()[:-200])
    made = run(tmp_path, system)
    assert len(solved) == 3 + 3  # two that were missing, and the damaged one
    monkeypatch.undo()
    whole = run(tmp_path / "whole", system)
    np.testing.assert_array_equal(made.fock, whole.fock)
    np.testing.assert_array_equal(made.split, whole.split)


def test_more_geometries_keep_those_that_are_there(tmp_path, system, monkeypatch):
    run(tmp_path, system)
    solved = []
    plain = pyscf_labels.label
    monkeypatch.setattr(stage.pyscf_labels, "label", lambda *a: solved.append(1) or plain(*a))
    grown = sections()
    grown["labels"]["geometries"] = 7
    paths = {"labels": tmp_path / "labels.h5", "state_dir": tmp_path / "state"}
    assert len(stage.labels(grown, system=system, **paths).energy) == 7 and len(solved) == 2


def test_crystals_and_open_shells_are_refused(tmp_path):
    one = np.eye(3, dtype=int)
    write_system(tmp_path / "triplet.h5", HYDROGEN, one, HYDROGEN, 2, 0, "fp")
    with pytest.raises(ConfigError, match="no closed shell"):
        run(tmp_path, tmp_path / "triplet.h5")
    cell = Geometry(("H", "H"), HYDROGEN.positions, np.eye(3) * 8)
    write_system(tmp_path / "cell.h5", cell, one, cell, 1, 1, "fp")
    with pytest.raises(ConfigError, match="is a crystal"):
        run(tmp_path, tmp_path / "cell.h5")


def test_heavy_atoms_move_less_and_none_collide():
    rng = np.random.default_rng(0)
    masses = pyscf_labels.masses(WATER)
    moved = np.stack([displaced(WATER, masses, 0.05, rng) for _ in range(3000)])
    spread = (moved - WATER.positions).std(axis=(0, 2)) * 0.529177210544
    np.testing.assert_allclose(spread, [0.05 / np.sqrt(15.87), 0.05, 0.05], rtol=0.03)
    wild = np.stack([displaced(HYDROGEN, masses[1:], 0.6, rng) for _ in range(300)])
    assert np.linalg.norm(wild[:, 0] - wild[:, 1], axis=-1).min() > 1.0


def test_a_trajectory_has_the_temperature_of_its_thermostat():
    """Langevin dynamics in a harmonic well: both kinds of energy by equipartition."""
    data = LabelsConfig(
        materials=["x"], geometries=9, train=2, validation=1, sampling="md", stride=20
    )
    masses, stiffness = np.array([1837.36, 3 * 1837.36]), 0.3

    class Well:
        def __init__(self, r):
            self.forces = -stiffness * (r - HYDROGEN.positions)

    move = trajectory(HYDROGEN, masses, data, Well)
    frame, kinetic, potential = None, [], []
    for number in range(1500):
        frame, _ = move(number, frame)
        kinetic.append(0.5 * masses[:, None] * frame.velocities**2)
        potential.append(0.5 * stiffness * (frame.positions - HYDROGEN.positions) ** 2)
    half = 0.5 * 300 * 8.617333262e-5 / 27.211386245981
    assert np.mean(kinetic[200:]) == pytest.approx(half, rel=0.08)
    assert np.mean(potential[200:]) == pytest.approx(half, rel=0.12)


def test_a_file_with_other_shapes_is_refused(tmp_path, system):
    made = run(tmp_path, system)
    broken = type(made)(**{**made.__dict__, "fock": made.fock[:, :1]})
    write_labels(tmp_path / "broken.h5", broken, "fp")
    with pytest.raises(DataError, match="'fock' has shape"):
        read_labels(tmp_path / "broken.h5")

"""From labels of a hydrogen chain to the mean fields of twists, started from one model."""

import dataclasses
import logging
import re

import numpy as np
import pytest

from engine.config import MeanFieldConfig, canonical
from engine.config.learned import (
    FlowConfig,
    LabelsConfig,
    LearnConfig,
    LearnedModelConfig,
    UseConfig,
)
from engine.errors import ConfigError, DataError
from engine.io import hdf5
from engine.io.crystal_labels import read_crystal_labels
from engine.io.lattice_hamiltonian import read_hamiltonian, write_hamiltonian
from engine.io.mean_field import read_mean_field
from engine.io.system import write_system
from engine.learned import lattice
from engine.mean_field.pyscf_solver import solve
from engine.stage.crystal_hamiltonian import learned_hamiltonian
from engine.stage.crystal_mean_field import at_kpoints
from engine.stage.labels import labels as make_labels
from engine.stage.learn import learn
from engine.stage.learned_errors import learned_errors
from engine.stage.learned_mean_field import learned_mean_field
from engine.stage.learned_model import read_any
from engine.system.geometry import Geometry
from engine.system.supercell import expand

pytestmark = pytest.mark.slow  # periodic mean fields of fourteen geometries: minutes

CHAIN = Geometry(
    ("H", "H"), np.array([[0.1, 7.0, 7.0], [1.8, 7.1, 6.9]]), np.diag([3.6, 40.0, 40.0])
)
S = np.diag([2, 1, 1])
PBE = MeanFieldConfig(method="rks", basis="sto-3g", vacuum_bohr=14, convergence_ha=1e-10)
HF = dataclasses.replace(PBE, method="rhf")
MESH = [5, 1, 1]
MODEL = LearnedModelConfig(
    channels=4,
    input_channels=3,
    output_channels=3,
    layers=1,
    hidden=8,
    radial=6,
    cutoff_bohr=7,
)
LEARN = LearnConfig(
    steps=120, batch=4, learning_rate=0.02, warmup_steps=10, checkpoint_steps=40, average=0.9
)
LABELS = LabelsConfig(
    materials=["chain"],
    geometries=14,
    train=12,
    validation=1,
    displacement_angstrom=0.04,
    kmesh=MESH,
    strain=0.02,
)


def learn_sections(**changes):
    asked = {
        "name": "chain",
        "guess": "minao",
        "mean_field": PBE,
        "model": MODEL,
        "flow": FlowConfig(),
        "learn": LEARN,
    }
    return canonical(asked | changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with system.h5, labels.h5, model.h5 and hamiltonian.h5."""
    made = tmp_path_factory.mktemp("crystal")
    write_system(made / "system.h5", expand(CHAIN, S), S, CHAIN, 2, 2, "fp")
    make_labels(
        canonical({"material": "chain", "charge": 0, "mean_field": PBE, "labels": LABELS}),
        system=made / "system.h5",
        labels=made / "labels.h5",
        state_dir=made / "state",
    )
    learn(
        learn_sections(),
        labels=[made / "labels.h5"],
        model=made / "model.h5",
        trace=made / "trace.h5",
        state_dir=made / "learn",
    )
    hamiltonian(made, made)
    return made


def hamiltonian(folder, out, **changes):
    return learned_hamiltonian(
        {"material": "chain", "learned": "chain"} | changes,
        system=out / "system.h5",
        model=folder / "model.h5",
        hamiltonian=out / "hamiltonian.h5",
    )


def mean_field(folder, out, twist, options=HF, use=None, source=None):
    asked = {
        "material": "chain",
        "mean_field": options,
        "twist": {"index": 0, "frac": [twist, 0.0, 0.0]},
        "charge": 0,
        "spin": 0,
        "learned": "chain",
        "use": use or UseConfig(max_residual_ha=0.05),
    }
    return learned_mean_field(
        canonical(asked),
        system=folder / "system.h5",
        model=folder / "model.h5",
        hamiltonian=source or folder / "hamiltonian.h5",
        mean_field=out / "twist-000.h5",
    )


def ordinary(twist, options=HF):
    return solve(CHAIN, S, 2, 2, 0, np.array([twist, 0, 0]), options)


def test_the_set_holds_meshes_of_strained_cells(folder):
    stored = read_crystal_labels(folder / "labels.h5")
    assert stored.fock.shape == (14, 5, 2, 2) and list(stored.mesh) == MESH
    assert np.bincount(stored.split).tolist() == [12, 1, 1]
    assert 0.005 < stored.lattice[:, 0, 0].std() / 3.6 < 0.06
    np.testing.assert_allclose(stored.lattice[:, 1, 1], 14)
    electrons = np.einsum("gkij,gkji->g", stored.density, stored.overlap).real / 5
    np.testing.assert_allclose(electrons, 2, atol=1e-9)
    assert isinstance(read_any(folder / "labels.h5"), type(stored))


def test_the_model_beats_the_guess_on_cells_it_never_saw(folder):
    rows = learned_errors(
        {"name": "chain", "limit": 1},
        model=folder / "model.h5",
        labels=[folder / "labels.h5"],
        errors=folder / "errors.csv",
    )
    mean = {row["quantity"]: row["mean"] for row in rows}
    assert mean["hamiltonian_uha"] < 0.3 * mean["guess_hamiltonian_uha"]
    assert mean["cycles_predicted"] <= mean["cycles_minao"]
    assert 0 <= mean["energy_mha"] < 2 and mean["filled_levels_uha"] < 1e4


def test_its_matrix_is_real_space_blocks_that_make_hermitian_h_of_k(folder):
    made = read_hamiltonian(folder / "hamiltonian.h5")
    known = {tuple(c): m for c, m in zip(made.cells, made.matrices, strict=True)}
    for cell, block in known.items():
        np.testing.assert_allclose(known[tuple(-np.array(cell))], block.T, atol=1e-10)
    k = np.array([[0.3, 0, 0], [-0.3, 0, 0]])
    bands = at_kpoints(made, k, np.array(2 * [np.eye(made.matrices.shape[-1])]))
    np.testing.assert_allclose(bands[0], bands[0].conj().T, atol=1e-10)
    np.testing.assert_allclose(bands[0], bands[1].conj(), atol=1e-10)
    assert made.novelty < 3
    reach = np.linalg.norm(made.cells @ made.lattice, axis=1).max()
    assert reach > 7 and lattice.reach(made.lattice, np.array(made.facts["mesh"])) >= 7


@pytest.mark.parametrize("twist", [0.25, 0.5])
def test_the_mean_fields_of_twists_are_the_ordinary_ones(folder, tmp_path, caplog, twist):
    """Another functional than that of the labels: the model only says where to start."""
    with caplog.at_level(logging.INFO):
        mean_field(folder, tmp_path, twist)
    assert "commutator residual" in caplog.text and "not used" not in caplog.text
    stored, wanted = read_mean_field(tmp_path / "twist-000.h5"), ordinary(twist)
    assert stored.converged and stored.total == pytest.approx(wanted.total, abs=1e-9)
    np.testing.assert_allclose(stored.energy, wanted.energy, atol=1e-5)
    assert stored.system_fingerprint == "fp" and stored.n_cells == 2


def test_a_degenerate_shell_is_left_to_the_ordinary_guess(tmp_path, folder, caplog):
    even = dataclasses.replace(CHAIN, positions=np.array([[0.0, 7, 7], [1.8, 7, 7]]))
    write_system(tmp_path / "system.h5", expand(even, S), S, even, 2, 2, "fp")
    hamiltonian(folder, tmp_path)
    with caplog.at_level(logging.WARNING):
        made = mean_field(tmp_path, tmp_path, 0.0)
    assert "which levels of a degenerate shell" in caplog.text
    assert made.total == pytest.approx(solve(even, S, 2, 2, 0, np.zeros(3), HF).total, abs=1e-10)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (UseConfig(max_residual_ha=1e-12), "commutator residual .* is not below 1.00e-12"),
        (UseConfig(max_novelty=1e-6), "novelty .* is above 1e-06: far from its training"),
    ],
)
def test_a_prediction_that_is_not_good_enough_is_not_used(folder, tmp_path, caplog, use, reason):
    with caplog.at_level(logging.WARNING):
        found = mean_field(folder, tmp_path, 0.25, use=dataclasses.replace(use, converge=False))
    assert found.converged and found.total == pytest.approx(ordinary(0.25).total, abs=1e-10)
    assert any(re.search(reason, r.getMessage()) for r in caplog.records)


def test_a_nonsensical_matrix_costs_time_and_changes_nothing(folder, tmp_path, caplog):
    made = read_hamiltonian(folder / "hamiltonian.h5")
    rng = np.random.default_rng(0)
    for number, noise in enumerate((rng.normal(size=made.matrices.shape), np.nan)):
        path = tmp_path / f"{number}.h5"
        write_hamiltonian(path, dataclasses.replace(made, matrices=made.matrices + noise), "x")
        with caplog.at_level(logging.WARNING):
            found = mean_field(folder, tmp_path, 0.25, source=path)
        assert "not used" in caplog.text
        assert found.total == pytest.approx(ordinary(0.25).total, abs=1e-10)
        caplog.clear()


def test_without_iterations_its_orbitals_are_those_of_the_prediction(folder, tmp_path):
    use = UseConfig(converge=False, max_residual_ha=0.05)
    found, wanted = mean_field(folder, tmp_path, 0.25, PBE, use), ordinary(0.25, PBE)
    assert not found.converged and 0 < found.total - wanted.total < 5e-3
    filled = wanted.occupation > 0
    np.testing.assert_allclose(found.energy[filled], wanted.energy[filled], atol=2e-2)


def test_models_of_molecules_other_cores_and_other_elements_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match="pseudopotential gth-pbe of H"):
        hamiltonian(folder, folder, pseudopotentials={"H": "gth-pbe"})
    helium = dataclasses.replace(CHAIN, symbols=("He", "He"))
    write_system(tmp_path / "system.h5", expand(helium, S), S, helium, 4, 4, "fp")
    with pytest.raises(DataError, match="element He is not one the model was trained on"):
        hamiltonian(folder, tmp_path)
    record = hdf5.read(folder / "model.h5", "learned_hamiltonian")
    facts = record.attributes | {"reach_bohr": 0.0}
    path = tmp_path / "model.h5"
    hdf5.write(path, "learned_hamiltonian", record.data, fingerprint="x", attributes=facts)
    (tmp_path / "system.h5").write_bytes((folder / "system.h5").read_bytes())
    with pytest.raises(DataError, match="the model was trained on molecules"):
        hamiltonian(tmp_path, tmp_path)


def test_a_hamiltonian_of_another_basis_or_functional_is_refused(folder, tmp_path):
    other = dataclasses.replace(HF, basis="6-31g")
    with pytest.raises(DataError, match="the model is of basis 'sto-3g'"):
        mean_field(folder, tmp_path, 0.25, other)
    other = dataclasses.replace(PBE, functional="lda,vwn")
    with pytest.raises(DataError, match="the model is of functional 'pbe'"):
        mean_field(folder, tmp_path, 0.25, other, UseConfig(converge=False))


def test_a_cutoff_beyond_the_mesh_is_refused_before_training(folder, tmp_path):
    far = dataclasses.replace(MODEL, cutoff_bohr=9.0)
    with pytest.raises(ConfigError, match="(?s)at most .* bohr.*raise labels.kmesh"):
        learn(
            learn_sections(model=dataclasses.asdict(far)),
            labels=[folder / "labels.h5"],
            model=tmp_path / "model.h5",
            trace=tmp_path / "trace.h5",
            state_dir=tmp_path / "state",
        )

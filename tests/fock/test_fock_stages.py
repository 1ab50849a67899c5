"""The stages of the Fock space on a small molecule: results, resume, refusals."""

import json
import shutil
import signal

import numpy as np
import pytest

from engine import config
from engine.config.fock import FockMethodConfig
from engine.errors import ConfigError, DataError, Interrupted
from engine.io import hdf5
from engine.io.fcidump import read_fcidump
from engine.io.integrals import read_integrals
from engine.stage import fock_train, ledger, loop
from engine.stage.aggregate import twist_average
from engine.stage.fock_integrals import fock_integrals
from engine.stage.mean_field import mean_field
from engine.stage.spaces import stage_function
from engine.stage.structure import structure
from tests.fock.test_integrals import exact

slow = pytest.mark.slow  # programs of many shapes: minutes of compilation

MATERIAL = {
    "structure": {
        "kind": "chain",
        "species": "H",
        "n_atoms": 4,
        "spacing_bohr": 1.8,
        "periodic": False,
    },
    "mean_field": {"basis": "sto-6g"},
}
METHOD = {
    "space": "fock",
    "ansatz": {"width": 8},
    "selection": {"core": 6, "start": 3, "grow_steps": 8, "survivor_factor": 1.0, "period": 4},
    "vmc": {"steps": 60, "checkpoint_steps": 10},
}


def sections(method=METHOD, material=MATERIAL, **more):
    """Returns every section of one run, as a campaign hands them over."""
    m = config.canonical(config.parse(config.MaterialConfig, material, where="material"))
    f = config.canonical(config.parse(FockMethodConfig, method, where="method"))
    run = {
        "material": "test",
        "method": "test",
        "seed": 5,
        "number": "real",
        "folder": ".",
        "n_cells": 1,
        "twist": {"index": 0, "frac": [0.0, 0.0, 0.0]},
    }
    return json.loads(json.dumps({**m, **f, **run, **more}))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Makes system, mean field and integrals; returns their paths."""
    folder = tmp_path_factory.mktemp("fock")
    names = ("system", "mean_field", "integrals")
    files = {name: folder / f"{name}.h5" for name in names}
    run = sections()
    structure(run, system=files["system"], structure=folder / "structure.extxyz")
    mean_field(run, system=files["system"], mean_field=files["mean_field"])
    fock_integrals(run, **files, fcidump=folder / "FCIDUMP")
    return files


def train(inputs, folder, run):
    """Runs pretrain and vmc; returns their checkpoints."""
    common = {"system": inputs["system"], "mean_field": inputs["integrals"]}
    start, checkpoint = folder / "start.h5", folder / "checkpoint.h5"
    if not start.exists():
        stage_function("pretrain", run)(
            run,
            **common,
            checkpoint=start,
            trace=folder / "pretrain.h5",
            state_dir=folder / "pretrain-state",
        )
    stage_function("vmc", run)(
        run,
        **common,
        start=start,
        checkpoint=checkpoint,
        trace=folder / "trace.h5",
        state_dir=folder / "state",
    )
    return checkpoint


def measure(inputs, folder, run):
    stage_function("evaluate", run)(
        run,
        system=inputs["system"],
        mean_field=inputs["integrals"],
        checkpoint=folder / "checkpoint.h5",
        result=folder / "result.h5",
        blocks=folder / "blocks.h5",
        state_dir=folder / "evaluate-state",
    )
    return hdf5.read(folder / "result.h5", "energy").attributes


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    train(inputs, folder, sections())
    return folder


def test_both_files_hold_one_hamiltonian(inputs):
    one = read_integrals(inputs["integrals"])
    other = read_fcidump(inputs["integrals"].with_name("FCIDUMP"))
    assert exact(one) == pytest.approx(exact(other), abs=1e-9)
    assert one.system_fingerprint == hdf5.read(inputs["system"], "system").fingerprint


@slow
def test_energies_by_name_and_the_row_of_the_table(inputs, trained):
    run = sections()
    facts = measure(inputs, trained, run)
    fci = exact(read_integrals(inputs["integrals"]))
    assert facts["energy_ha"] == facts["projected_ha"] > fci
    assert facts["kinetic_ha"] + facts["potential_ha"] == pytest.approx(facts["energy_ha"])
    assert facts["energy_ha"] < facts["mean_field_ha"]
    assert abs(facts["projected_pt2_ha"] - fci) < facts["projected_ha"] - fci
    trace = hdf5.read(trained / "trace.h5", "trace").data
    assert list(np.unique(trace["core"])) == [6, 12]
    table = {"weight": 1.0, "spin": 0, **run["twist"]}
    twist_average(
        run | {"twists": [table], "n_atoms": 4, "n_electrons": 4, "literature": None},
        results=[trained / "result.h5"],
        training=[(trained / "pretrain.h5", trained / "trace.h5")],
        energy=trained / "energy.csv",
        twists=trained / "twists.csv",
    )
    assert "test,test,4,4,1,1" in (trained / "energy.csv").read_text()


@slow
def test_the_error_of_an_extrapolated_energy_is_what_the_line_may_miss(inputs, trained):
    facts = measure(inputs, trained, sections(METHOD | {"evaluate": {"estimator": "extrapolated"}}))
    added = abs(facts["extrapolated_ha"] - facts["projected_pt2_ha"])
    added = max(added, 0.2 * abs(facts["projected_pt2_ha"] - facts["projected_ha"]))
    assert facts["energy_ha"] == facts["extrapolated_ha"]
    assert facts["error_ha"] == pytest.approx(added) and added > 0
    assert facts["converged"] == (added <= facts["target_error_ha"])


@slow
def test_sampling_agrees_with_the_exact_energy_of_the_network(inputs, trained):
    """With the whole space as core the projected energy is what sampling estimates."""
    method = METHOD | {
        "evaluate": {"estimator": "mcmc", "max_steps": 40, "target_error_ha_per_cell": 1e-6},
        "sampler": {"walkers": 64, "moves": 10, "equilibration": 10},
    }
    facts = measure(inputs, trained, sections(method))
    assert not facts["converged"] and facts["error_ha"] > 0
    assert facts["steps"] == 40 and facts["samples"] == 40 * 64
    assert facts["energy_ha"] > exact(read_integrals(inputs["integrals"])) - 5 * facts["error_ha"]
    blocks = hdf5.read(trained / "blocks.h5", "blocks").data
    assert blocks["energy_ha"].mean() == pytest.approx(facts["energy_ha"])


@slow
def test_a_killed_run_ends_with_the_same_numbers(inputs, trained, tmp_path, monkeypatch):
    """Stopped between renewals and inside a growth of the core."""
    shutil.copy(trained / "start.h5", tmp_path)
    real, seen = fock_train.make_iteration, []

    def stopping(*arguments):
        advance, initial = real(*arguments)

        def limited(state, step):
            if step == 14 and not seen:
                seen.append(step)
                raise Interrupted("stopped", where="test")
            return advance(state, step)

        return limited, initial

    monkeypatch.setattr(fock_train, "make_iteration", stopping)
    with pytest.raises(Interrupted):
        train(inputs, tmp_path, sections())
    train(inputs, tmp_path, sections())
    one, two = (hdf5.read(f / "checkpoint.h5", "checkpoint") for f in (trained, tmp_path))
    assert one.fingerprint == two.fingerprint and one.data.keys() == two.data.keys()
    for name, value in one.data.items():
        assert np.array_equal(value, two.data[name]), name
    assert loop.FLUSH <= 10


@slow
@pytest.mark.parametrize("estimator", ["extrapolated", "mcmc"])
def test_a_killed_evaluation_goes_on_with_the_next_part(
    inputs, trained, tmp_path, monkeypatch, estimator
):
    """Stopped before every part in turn, it computes each of them once."""
    method = METHOD | {
        "selection": METHOD["selection"] | {"buffer": 150},  # the outside comes in slices
        "evaluate": {"estimator": estimator, "max_steps": 20},
        "sampler": {"walkers": 8, "moves": 2, "equilibration": 2},
    }
    shutil.copy(trained / "checkpoint.h5", tmp_path)
    whole = measure(inputs, trained, sections(method))
    once, computed = ledger.Ledger.once, []

    def counted(self, part, compute, left=0):
        if part not in self.done and self.done and len(computed) == 1:
            self.stop = lambda: signal.SIGTERM

        def noted():
            computed.append(part)
            return compute()

        return once(self, part, noted, left)

    monkeypatch.setattr(ledger.Ledger, "once", counted)
    every = []
    for _ in range(50):
        try:
            cut = measure(inputs, tmp_path, sections(method))
            break
        except Interrupted as error:
            assert "it resumes there" in str(error)
            every += computed
            computed.clear()
    every += computed
    assert len(every) == len(set(every)) > (6 if estimator == "extrapolated" else 2)
    for name in ("energy_ha", "error_ha", "projected_pt2_ha", "extrapolated_ha", "spin_squared"):
        assert cut[name] == whole[name], name
    assert cut["seconds"] > 0 and cut["samples"] == whole["samples"]


def test_zero_steps_hand_on_the_first_lists(inputs, tmp_path):
    run = sections(METHOD | {"vmc": {"steps": 0}})
    done = hdf5.read(train(inputs, tmp_path, run), "checkpoint").data
    assert int(done["step"]) == 0
    start = hdf5.read(tmp_path / "start.h5", "checkpoint").data
    first = np.concatenate([start[f"selected/{name}"] for name in ("core", "survivors")])
    assert np.array_equal(
        *(np.unique(w[(~w).any((1, 2))], axis=0) for w in (first, done["selected/core"]))
    )


def test_a_core_above_the_space_is_refused(inputs, tmp_path):
    run = sections(METHOD | {"selection": {"core": 37}})
    with pytest.raises(ConfigError, match="at most 36"):
        train(inputs, tmp_path, run)


def test_integrals_of_another_twist_are_refused(inputs, tmp_path):
    run = sections(twist={"index": 1, "frac": [0.5, 0.0, 0.0]})
    with pytest.raises(DataError, match="twist"):
        train(inputs, tmp_path, run)


def test_integrals_of_another_particle_number_are_refused(inputs, tmp_path):
    with pytest.raises(DataError, match="2 [+] 2 electrons"):
        train(inputs, tmp_path, sections(electrons=[3, 3]))


def test_a_mean_field_of_another_hamiltonian_is_refused(inputs, tmp_path):
    run = sections(material=MATERIAL | {"mean_field": {"basis": "sto-3g"}})
    paths = {name: inputs[name] for name in ("system", "mean_field")}
    with pytest.raises(DataError, match="mean-field determinant"):
        fock_integrals(run, **paths, integrals=tmp_path / "i.h5", fcidump=tmp_path / "F")


def test_sections_of_the_wrong_space_are_refused():
    with pytest.raises(ConfigError, match="sampler|unknown key"):
        config.parse(FockMethodConfig, {"space": "fock", "hamiltonian": {}}, where="method")
    with pytest.raises(ConfigError, match="real space"):
        config.parse(config.MethodConfig, {"space": "fock"}, where="method")
    with pytest.raises(ConfigError, match="above core"):
        sections(METHOD | {"selection": {"core": 4, "start": 8}})

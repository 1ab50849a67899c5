"""The stage `learn` and what is done with its model, on the hydrogen molecule in a small basis."""

import dataclasses
import json
import logging
import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
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
from engine.errors import DataError, Interrupted
from engine.io import hdf5, table
from engine.io.labels import read_labels
from engine.io.learned import read_learned
from engine.io.mean_field import read_mean_field
from engine.io.system import write_system
from engine.learned.loss import Samples, fit_scales
from engine.learned.model import init, make_predict
from engine.learned.training import draw, make_training
from engine.mean_field.pyscf_solver import solve
from engine.stage import loop
from engine.stage.labels import labels as make_labels
from engine.stage.learn import exhausted, learn, pseudopotentials_of
from engine.stage.learned_errors import QUANTITIES, learned_errors
from engine.stage.learned_mean_field import learned_mean_field
from engine.stage.learned_model import load, novelty_of, samples_of
from engine.system.geometry import Geometry

ONE = np.eye(3, dtype=int)
H2 = Geometry(("H", "H"), np.array([[0.0, 0, 0], [0.3, -0.2, 1.38]]))
MEAN_FIELD = MeanFieldConfig(method="rhf", basis="6-31g", convergence_ha=1e-11)
MODEL = LearnedModelConfig(
    channels=4, input_channels=3, output_channels=3, layers=1, hidden=8, radial=6
)
LEARN = LearnConfig(
    steps=120,
    batch=4,
    learning_rate=0.02,
    warmup_steps=10,
    checkpoint_steps=30,
    average=0.9,
    fine_tune_steps=40,
)


def sections(learn_options=LEARN, **changes):
    return canonical(
        {
            "name": "h2",
            "guess": "minao",
            "mean_field": MEAN_FIELD,
            "model": MODEL,
            "flow": FlowConfig(),
            "learn": learn_options,
        }
        | changes
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Returns a folder with system.h5, labels.h5 and a trained model.h5."""
    made = tmp_path_factory.mktemp("learned")
    write_system(made / "system.h5", H2, ONE, H2, 1, 1, "fp")
    data = LabelsConfig(materials=["h2"], geometries=26, train=16, validation=4)
    make_labels(
        canonical({"material": "h2", "charge": 0, "mean_field": MEAN_FIELD, "labels": data}),
        system=made / "system.h5",
        labels=made / "labels.h5",
        state_dir=made / "state-h2",
    )
    train(made, made)
    return made


def train(folder, out, asked=None):
    return learn(
        asked or sections(),
        labels=[folder / "labels.h5"],
        model=out / "model.h5",
        trace=out / "trace.h5",
        state_dir=out / "state",
    )


def test_training_beats_the_initial_guess_on_geometries_it_never_saw(folder):
    rows = learned_errors(
        {"name": "h2", "limit": 3},
        model=folder / "model.h5",
        labels=[folder / "labels.h5"],
        errors=folder / "errors.csv",
    )
    assert table.read(folder / "errors.csv") == rows
    assert [row["quantity"] for row in rows] == list(QUANTITIES)
    mean = {row["quantity"]: row["mean"] for row in rows}
    worst = {row["quantity"]: row["worst"] for row in rows}
    assert mean["hamiltonian_uha"] < 0.1 * mean["guess_hamiltonian_uha"]
    assert mean["cycles_predicted"] < mean["cycles_minao"]
    assert worst["density_overlap"] <= mean["density_overlap"] <= 1
    assert mean["density_overlap"] > 0.999 and mean["orbital_similarity"] > 0.999
    assert 0 <= mean["energy_mha"] <= worst["energy_mha"] < 1


def test_the_trace_and_the_model_say_what_was_done(folder):
    trace = hdf5.read(folder / "trace.h5", "trace").data
    assert len(trace["loss"]) == 120 and trace["loss"][-20:].mean() < 0.3 * trace["loss"][:5].mean()
    validations, scores = (trace[name][29::30] for name in ("validation_ha", "validation_score"))
    facts = read_learned(folder / "model.h5").facts
    np.testing.assert_array_equal(scores[:2], validations[:2])  # then the loss of fine-tuning
    assert facts["validation_ha"] == pytest.approx(validations[2 + np.argmin(scores[2:])])
    assert facts["shells"] == {"H": [0, 0]} and facts["mean_field"]["basis"] == "6-31g"
    assert facts["geometries"] == [16] and facts["novelty_reference"] > 1
    attempt = json.loads((folder / "state/attempt-001.json").read_text())
    assert attempt["outcome"] == "done" and attempt["steps"] == 120


def test_a_killed_training_ends_with_the_same_numbers(folder, tmp_path, monkeypatch):
    """Stopped in fine-tuning, before its first validation, and started again: equal to the bit."""
    plain, calls = loop.Deadline.near, []

    def near(self, *arguments):
        calls.append(1)
        return len(calls) == 85 or plain(self, *arguments)

    monkeypatch.setattr(loop.Deadline, "near", near)
    with pytest.raises(Interrupted, match="after step 85 of 120"):
        train(folder, tmp_path)
    train(folder, tmp_path)
    whole, resumed = (hdf5.read(f / "model.h5", "learned_hamiltonian") for f in (folder, tmp_path))
    assert whole.data.keys() == resumed.data.keys()
    for name in whole.data:
        np.testing.assert_array_equal(whole.data[name], resumed.data[name], err_msg=name)
    losses = [hdf5.read(f / "trace.h5", "trace").data["loss"] for f in (folder, tmp_path)]
    np.testing.assert_array_equal(*losses)


def test_training_ends_when_validations_no_longer_improve():
    options = dataclasses.replace(LEARN, checkpoint_steps=2, patience=2)
    errors = np.repeat([3.0, 2.0, 2.5, 2.6], 2)
    assert exhausted({"validation_score": errors[:6]}, options) == ""
    why = exhausted({"validation_score": errors}, options)
    assert why == "no better validation among the last 2"
    assert exhausted({"validation_score": errors}, dataclasses.replace(options, patience=0)) == ""


def test_patience_starts_again_with_fine_tuning():
    options = dataclasses.replace(
        LEARN, steps=12, fine_tune_steps=5, checkpoint_steps=2, patience=1
    )
    scores = np.repeat([3.0, 2.0, 1.0, 30.0, 20.0, 25.0], 2)  # the first fine-tuned step is 7
    ends = [bool(exhausted({"validation_score": scores[:n]}, options)) for n in range(2, 14, 2)]
    assert ends == [False] * 5 + [True]


@pytest.mark.parametrize("flows", [FlowConfig(), FlowConfig(enabled=True, steps=2, samples=2)])
def test_validations_are_of_what_is_predicted(folder, flows):
    """Also of a flow, whose input in training holds a share of the answer."""
    known = read_labels(folder / "labels.h5").part("validation")
    model = load(folder / "model.h5").model._replace(flow=flows)
    samples = samples_of(model, known)
    scales, params = fit_scales(model, [samples]), init(model, jax.random.key(0))
    training = make_training(model, LEARN)
    found = training.validate(training.init(params), scales, [samples], 0)
    assert found.best_ha == found.best_score == found.validation_ha
    predict, noise = make_predict(model), jax.random.split(jax.random.key(0), LEARN.batch)
    errors = [
        predict(params, scales, known.symbols, known.positions[g], known.guess[g], noise[g])
        - known.fock[g]
        for g in range(len(known.positions))
    ]
    assert float(found.validation_ha) == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)


def test_fine_tuning_is_judged_by_its_own_loss(monkeypatch):
    """The first fine-tuned parameters win whatever came before; then the loss decides."""

    def make_loss(model, options, **_):
        def loss(params, scales, samples, key, fine):
            one = np.ones(len(samples.occupied))
            return params["loss"] * one, params["error"] * one

        return loss

    monkeypatch.setattr("engine.learned.training.make_loss", make_loss)
    training = make_training(None, dataclasses.replace(LEARN, steps=10, fine_tune_steps=4))
    samples = Samples(*[None] * 6, occupied=np.ones((4, 1)))
    state, seen = training.init({"loss": jnp.asarray(9.0), "error": jnp.asarray(9.0)}), []
    for number, loss, error in ((5, 3.0, 1.0), (6, 7.0, 5.0), (8, 2.0, 6.0), (9, 2.5, 0.5)):
        state, _ = training.step(state, None, samples, jax.random.key(0), jnp.asarray(number))
        state = state._replace(average={"loss": jnp.asarray(loss), "error": jnp.asarray(error)})
        state = training.validate(state, None, [samples], number)
        seen.append([float(x) for x in (state.best["loss"], state.best_ha, state.validation_ha)])
    assert seen == [[3, 1, 1], [7, 5, 5], [2, 6, 6], [2, 6, 0.5]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guess": "atom"}, "labels of guess 'minao'(.|\n)*'atom'"),
        ({"mean_field": {"method": "rhf", "basis": "sto-3g"}}, "labels of basis '6-31g'"),
        ({"mean_field": {"method": "rks", "basis": "6-31G"}}, "labels of method 'rhf'"),
    ],
)
def test_labels_of_another_calculation_are_refused(folder, tmp_path, changes, message):
    with pytest.raises(DataError, match=message) as caught:
        learn(
            sections(**changes),
            labels=[folder / "labels.h5"],
            model=tmp_path / "model.h5",
            trace=tmp_path / "trace.h5",
            state_dir=tmp_path / "state",
        )
    assert "labels.h5" in str(caught.value) and not (tmp_path / "state").exists()


def test_parameters_of_another_network_are_refused(folder, tmp_path):
    record = hdf5.read(folder / "model.h5", "learned_hamiltonian")
    name = next(name for name in record.data if name.startswith("params/"))
    less = {k: v for k, v in record.data.items() if k != name}
    other = record.data | {name: np.zeros((3, 3, 3))}
    for data, shape in ((less, "None"), (other, r"\(3, 3, 3\)")):
        path = tmp_path / "model.h5"
        hdf5.write(path, "learned_hamiltonian", data, fingerprint="x", attributes=record.attributes)
        with pytest.raises(DataError, match=f"of shape {shape}(.|\n)*train it again"):
            load(path)


def test_batches_depend_on_seed_and_step_alone(folder):
    trained = load(folder / "model.h5")
    samples = samples_of(trained.model, read_labels(folder / "labels.h5"))
    first, again, other = (draw([samples], 4, 0, step) for step in (7, 7, 8))
    np.testing.assert_array_equal(first.graph.vectors, again.graph.vectors)
    assert np.abs(first.graph.vectors - other.graph.vectors).max() > 0


def mean_field(folder, tmp_path, use=None, **changes):
    asked = {
        "material": "h2",
        "mean_field": MEAN_FIELD,
        "twist": {"index": 0, "frac": [0.0, 0.0, 0.0]},
        "charge": 0,
        "spin": 0,
        "learned": "h2",
        "use": use or UseConfig(),
    }
    return learned_mean_field(
        canonical(asked | changes),
        system=folder / "system.h5",
        model=folder / "model.h5",
        mean_field=tmp_path / "twist-000.h5",
    )


def ordinary():
    return solve(H2, ONE, 1, 1, 0, np.zeros(3), MEAN_FIELD)


def test_the_mean_field_of_a_model_is_the_ordinary_one(folder, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        found = mean_field(folder, tmp_path)
    assert "learned Hamiltonian: novelty" in caplog.text and "not used" not in caplog.text
    stored, wanted = read_mean_field(tmp_path / "twist-000.h5"), ordinary()
    assert stored.converged and stored.total == found.total
    assert stored.total == pytest.approx(wanted.total, abs=1e-9)
    np.testing.assert_allclose(stored.energy, wanted.energy, atol=1e-5)
    np.testing.assert_allclose(abs(stored.coeff), abs(wanted.coeff), atol=1e-4)
    assert stored.system_fingerprint == "fp"


def test_without_iterations_its_orbitals_are_those_of_the_prediction(folder, tmp_path):
    found = mean_field(folder, tmp_path, UseConfig(converge=False))
    wanted = ordinary()
    assert not found.converged and 0 < found.total - wanted.total < 1e-4
    assert not np.allclose(found.energy, wanted.energy, atol=1e-7)
    np.testing.assert_allclose(found.energy, wanted.energy, atol=2e-2)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (UseConfig(max_residual_ha=1e-12), "its commutator residual .* is not below 1.00e-12"),
        (UseConfig(max_novelty=1e-6), "novelty .* is above 1e-06: far from its training"),
    ],
)
def test_a_prediction_that_is_not_good_enough_is_not_used(folder, tmp_path, caplog, use, reason):
    use = dataclasses.replace(use, converge=False)
    with caplog.at_level(logging.WARNING):
        found = mean_field(folder, tmp_path, use)
    assert found.converged and found.total == ordinary().total
    assert caplog.records[-1].levelname == "WARNING"

    assert re.search(reason, caplog.text)


def test_a_pair_that_was_never_seen_is_not_predicted(folder, tmp_path, caplog):
    """As if the set had had atoms alone: the gate names the pair, the guess is the ordinary one."""
    record = hdf5.read(folder / "model.h5", "learned_hamiltonian")
    data = {
        k: v * 0 if k.startswith("scales/") and "pair" in k else v for k, v in record.data.items()
    }
    facts = record.attributes
    hdf5.write(
        tmp_path / "model.h5", "learned_hamiltonian", data, fingerprint="x", attributes=facts
    )
    (tmp_path / "system.h5").write_bytes((folder / "system.h5").read_bytes())
    with caplog.at_level(logging.WARNING):
        found = mean_field(tmp_path, tmp_path, UseConfig(converge=False))
    assert "not used: novelty inf: its training never saw H-H;" in caplog.text
    assert found.converged and found.total == ordinary().total


def test_a_model_of_something_else_is_refused(folder, tmp_path):
    other = dataclasses.replace(MEAN_FIELD, basis="sto-3g")
    with pytest.raises(DataError, match="the model is of basis '6-31g'"):
        mean_field(folder, tmp_path, mean_field=other)
    helium = Geometry(("He",), np.zeros((1, 3)))
    write_system(tmp_path / "system.h5", helium, ONE, helium, 1, 1, "fp")
    (tmp_path / "model.h5").write_bytes((folder / "model.h5").read_bytes())
    with pytest.raises(DataError, match="element He is not one the model was trained on"):
        mean_field(tmp_path, tmp_path)


def test_a_model_of_another_schema_is_refused(folder, tmp_path):
    record = hdf5.read(folder / "model.h5", "learned_hamiltonian")
    for name, changed in (
        ("newer", record.attributes | {"model_schema": 99}),
        ("older", {k: v for k, v in record.attributes.items() if k != "guess"}),
    ):
        path = tmp_path / f"{name}.h5"
        hdf5.write(path, "learned_hamiltonian", record.data, fingerprint="x", attributes=changed)
        with pytest.raises(DataError, match="schema 99|guess missing"):
            load(path)


def test_novelty_grows_away_from_the_training_set_and_not_by_turning(folder):
    trained, made = load(folder / "model.h5"), read_labels(folder / "labels.h5")
    samples = made.part("train")
    known = [
        novelty_of(trained, made.symbols, r, g)
        for r, g in zip(samples.positions, samples.guess, strict=True)
    ]
    assert max(known) == pytest.approx(1.0, abs=1e-6)
    far = solve_guess(H2.positions * 2.5)
    assert novelty_of(trained, made.symbols, H2.positions * 2.5, far) > 3


def solve_guess(positions):
    from engine.mean_field.pyscf_predicted import guess_hamiltonian

    return guess_hamiltonian(dataclasses.replace(H2, positions=positions), 0, MEAN_FIELD, "minao")


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["goe", "tensor", "path"])
def test_flows_learn_too(folder, tmp_path, prior):
    asked = sections(
        dataclasses.replace(LEARN, steps=300, fine_tune_steps=0),
        flow=dataclasses.asdict(FlowConfig(enabled=True, prior=prior)),
    )
    trained = train(folder, tmp_path, asked)
    start = np.mean(
        abs(
            np.subtract(*(getattr(read_labels(folder / "labels.h5"), n) for n in ("fock", "guess")))
        )
    )
    assert trained.facts["validation_ha"] < 0.3 * start
    assert jax.tree.leaves(trained.params)[0].dtype == np.float32


def test_a_model_knows_the_pseudopotentials_of_all_its_sets():
    sets = [SimpleNamespace(facts={"pseudopotentials": {x: f"gth-{x}"}}) for x in ("Si", "C")]
    sets.append(SimpleNamespace(facts={}))
    assert pseudopotentials_of(sets) == {"Si": "gth-Si", "C": "gth-C"}

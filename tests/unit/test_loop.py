"""The stage loop: resumed equals uninterrupted, signals save, NaN keeps the last good state."""

import os
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine import keys
from engine.errors import DataError, Interrupted, NoProgressError, NumericalError
from engine.io import attempt, checkpoint
from engine.stage import loop
from engine.stage.checks import check_energy

ROOT = keys.root(3, "m", "f")


def advance(state, step):
    noise = jax.random.normal(keys.stream(ROOT, "walk", step), (4,))
    state = {"x": 0.9 * state["x"] + noise}
    return state, {"energy_ha": state["x"].mean(), "streams_ha": state["x"]}


def plan(folder: Path, steps=50, advance=advance, check=lambda columns, step: None, **changes):
    settings = {
        "name": "walk",
        "steps": steps,
        "save_every": 20,
        "folder": folder,
        "fingerprint": "f",
        "prepare": lambda state: state,
        "advance": advance,
        "check": check,
    } | changes
    return loop.Plan(**settings)


START = {"x": jnp.zeros(4)}


def test_killed_and_resumed_run_is_bit_identical(tmp_path):
    whole, trace = loop.run(plan(tmp_path / "a"), START)

    def killed_at_47(state, step):
        if step == 47:
            raise KeyboardInterrupt
        return advance(state, step)

    with pytest.raises(KeyboardInterrupt):
        loop.run(plan(tmp_path / "b", advance=killed_at_47), START)
    resumed, trace_resumed = loop.run(plan(tmp_path / "b"), START)
    np.testing.assert_array_equal(whole["x"], resumed["x"])
    np.testing.assert_array_equal(trace["streams_ha"], trace_resumed["streams_ha"])
    assert len(trace["energy_ha"]) == 50


def test_signal_finishes_the_step_saves_and_resumes(tmp_path):
    whole, _ = loop.run(plan(tmp_path / "a"), START)

    def signalled(state, step):
        if step == 33:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(state, step)

    with pytest.raises(Interrupted, match="after step 34 of 50"):
        loop.run(plan(tmp_path / "b", advance=signalled), START)
    resumed, trace = loop.run(plan(tmp_path / "b"), START)
    np.testing.assert_array_equal(whole["x"], resumed["x"])
    assert len(trace["energy_ha"]) == 50


def test_nan_stops_the_stage_and_names_the_last_good_state(tmp_path):
    def breaks(state, step):
        state, row = advance(state, step)
        return state, row | {"energy_ha": jnp.where(step == 25, jnp.nan, -1.0), "variance_ha2": 1.0}

    check = lambda columns, step: check_energy(columns, -1.0, 2, 0.5)  # noqa: E731
    with pytest.raises(NumericalError, match="not finite") as error:
        loop.run(plan(tmp_path, advance=breaks, check=check), START)
    assert "step-000000020.h5" in str(error.value)
    assert (tmp_path / "step-000000020.h5").exists()


@pytest.mark.parametrize(
    ("energy", "variance", "text"),
    [
        (-2.1, 1.0, "runaway"),
        (20.0, 1.0, "runaway"),
        (-1.0, 0.0, "variance"),
        (-1.0, np.inf, "not finite"),
    ],
)
def test_unhealthy_energies(energy, variance, text):
    columns = {"energy_ha": np.full(10, energy), "variance_ha2": np.full(10, variance)}
    with pytest.raises(NumericalError, match=text):
        check_energy(columns, -1.0, 2, 0.5)


def test_stops_early_when_finished(tmp_path):
    _, trace = loop.run(plan(tmp_path, finished=lambda columns, step: step >= 20), START)
    assert len(trace["energy_ha"]) == 20


def test_equilibration_only_on_a_fresh_start(tmp_path):
    calls = []

    def prepare(state):
        calls.append(1)
        return {"x": state["x"] + 1.0}

    def killed(state, step):
        if step == 30:
            raise KeyboardInterrupt
        return advance(state, step)

    with pytest.raises(KeyboardInterrupt):
        loop.run(plan(tmp_path, advance=killed, prepare=prepare), START)
    loop.run(plan(tmp_path, prepare=prepare), START)
    assert len(calls) == 1


@pytest.mark.parametrize("born", [39, 49])
def test_a_poisoned_state_is_neither_saved_nor_returned(tmp_path, born):
    """The update after a healthy measurement gives NaN, at a save step and at the last step."""

    def poisons(state, step):
        state, row = advance(state, step)
        return ({"x": state["x"] * jnp.nan} if step == born else state), row

    with pytest.raises(NumericalError, match="'x' is not finite") as error:
        loop.run(plan(tmp_path, advance=poisons), START)
    good = 20 if born == 39 else 40
    assert f"step-{good:09d}.h5" in str(error.value)
    whole, _ = loop.run(plan(tmp_path / "whole"), START)
    resumed, _ = loop.run(plan(tmp_path), START)
    np.testing.assert_array_equal(whole["x"], resumed["x"])


def test_a_finished_stage_is_made_again_from_its_last_state(tmp_path):
    whole, trace = loop.run(plan(tmp_path), START)
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-000000050.h5"]

    def never(state, step):
        raise AssertionError("a finished stage must not step")

    again, trace_again = loop.run(plan(tmp_path, advance=never), START)
    np.testing.assert_array_equal(whole["x"], again["x"])
    np.testing.assert_array_equal(trace["energy_ha"], trace_again["energy_ha"])


def test_a_second_copy_of_a_running_stage_is_refused(tmp_path):
    folder = tmp_path / "state"

    def starts_again(state, step):
        if step == 5:
            with pytest.raises(DataError, match="another process is running this stage"):
                loop.run(plan(folder), START)
        return advance(state, step)

    loop.run(plan(folder, advance=starts_again), START)
    assert not (tmp_path / "state.lock").exists()


def test_leaves_before_the_job_ends_and_resumes_bit_for_bit(tmp_path, monkeypatch):
    whole, _ = loop.run(plan(tmp_path / "a"), START)
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 5))
    with pytest.raises(Interrupted, match="before the job's time limit after step 1 of 50"):
        loop.run(plan(tmp_path / "b"), START)
    [first] = attempt.read(tmp_path / "b")
    assert (first.outcome, first.step) == ("stopped", 1)
    monkeypatch.delenv("SLURM_JOB_END_TIME")
    resumed, _ = loop.run(plan(tmp_path / "b"), START)
    np.testing.assert_array_equal(whole["x"], resumed["x"])
    assert [a.outcome for a in attempt.read(tmp_path / "b")] == ["stopped", "done"]


def test_a_stage_that_fails_where_it_began_is_refused_a_third_time(tmp_path, monkeypatch):
    def breaks(state, step):
        if step == 25:
            raise NumericalError("runaway")
        return advance(state, step)

    for tries in (1, 2, 3):
        monkeypatch.setenv("PSILATTICE_ATTEMPT", str(tries))
        with pytest.raises(NumericalError, match="runaway"):
            loop.run(plan(tmp_path, advance=breaks), START)
    monkeypatch.setenv("PSILATTICE_ATTEMPT", "4")
    with pytest.raises(NoProgressError, match="step 20; the last was failed, runaway"):
        loop.run(plan(tmp_path, advance=breaks), START)
    monkeypatch.setenv("PSILATTICE_ATTEMPT", "1")  # started anew
    loop.run(plan(tmp_path), START)


def test_a_full_disk_spoils_no_record_and_no_state(tmp_path, monkeypatch):
    """Neither the record of the attempt nor the second saved state can be written."""

    def full(path, step, *_, **__):
        raise DataError("could not write: no space left on device", where=str(path))

    real = checkpoint.save_state

    def save(folder, step, *rest, **options):
        return (full if step > 20 else real)(folder, step, *rest, **options)

    monkeypatch.setattr(checkpoint, "save_state", save)
    monkeypatch.setattr(attempt, "write", lambda folder, record: full(folder, 0))
    with pytest.raises(DataError, match="no space left"):
        loop.run(plan(tmp_path), START)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-000000020.h5"]
    whole, _ = loop.run(plan(tmp_path / "whole"), START)
    resumed, _ = loop.run(plan(tmp_path), START)
    np.testing.assert_array_equal(whole["x"], resumed["x"])

"""Parts of a stage that leave numbers: computed once, whatever stops the stage."""

import math
import signal

import pytest

from engine.errors import DataError, Interrupted, NoProgressError
from engine.io import attempt
from engine.stage import progress
from engine.stage.ledger import ledger_of


def numbers(value):
    return lambda: {"value": value, "other": math.nan}


def never():
    raise AssertionError("computed a second time")


def test_a_part_is_computed_once_and_its_numbers_come_back(tmp_path):
    folder = tmp_path / "state"
    with ledger_of(folder, "evaluate test", "mark") as ledger:
        assert ledger.once("slice 1 of 2", numbers(0.1), left=3)["value"] == 0.1
        spent = ledger.seconds
    (first,) = attempt.read(folder)
    assert (first.outcome, first.step, first.steps) == ("done", 1, 4)
    with ledger_of(folder, "evaluate test", "mark") as ledger:
        found = ledger.once("slice 1 of 2", never)
        assert found["value"] == 0.1 and math.isnan(found["other"])
        ledger.once("slice 2 of 2", numbers(0.2))
        assert ledger.seconds >= spent
    assert [(a.first_step, a.step) for a in attempt.read(folder)] == [(0, 1), (1, 2)]


def test_a_signal_stops_before_the_next_part(tmp_path):
    folder = tmp_path / "state"

    def struck():
        signal.raise_signal(signal.SIGTERM)
        return {"value": 1.0}

    with (
        pytest.raises(Interrupted, match="before second; 1 parts are saved"),
        ledger_of(folder, "evaluate test", "mark") as ledger,
    ):
        ledger.once("first", struck)
        ledger.once("second", never)
    assert attempt.read(folder)[-1].outcome == "stopped"
    with ledger_of(folder, "evaluate test", "mark") as ledger:
        assert ledger.once("first", never)["value"] == 1.0


def test_no_part_is_begun_that_the_job_cannot_end(tmp_path):
    with ledger_of(tmp_path / "state", "evaluate test", "mark") as ledger:
        ledger.deadline.end = 0.0
        with pytest.raises(Interrupted, match="time limit before first"):
            ledger.once("first", never)


def test_parts_of_another_input_are_not_taken(tmp_path):
    folder = tmp_path / "state"
    with ledger_of(folder, "evaluate test", "mark") as ledger:
        ledger.once("first", numbers(1.0))
    with ledger_of(folder, "evaluate test", "other") as ledger:
        assert ledger.once("first", numbers(2.0))["value"] == 2.0


def test_two_processes_do_not_share_a_folder(tmp_path):
    with ledger_of(tmp_path / "state", "one", "mark"):  # noqa: SIM117
        with pytest.raises(DataError, match="another process"):
            with ledger_of(tmp_path / "state", "two", "mark"):
                pass


def test_attempts_without_a_new_part_come_to_an_end(tmp_path, monkeypatch):
    for number in (1, 2, 3):
        monkeypatch.setenv(progress.TRIES, str(number))
        expected = NoProgressError if number == 3 else MemoryError
        with pytest.raises(expected), ledger_of(tmp_path / "state", "one", "mark") as ledger:

            def killed():
                raise MemoryError

            ledger.once("first", killed)

"""Records of attempts, and when another one is refused."""

import dataclasses
import math

import pytest

from engine.errors import NoProgressError
from engine.io import attempt

FIRST = attempt.Attempt(
    number=1,
    outcome="running",
    reason="",
    started=1000.0,
    updated=4600.0,
    first_step=0,
    step=100,
    steps=500,
    seconds_per_step=36.0,
    numbers={"energy_ha": -1.0},
    devices=4,
    device="H200",
    hosts=("a", "b"),
    job="17",
    pid=5,
)


def later(number, first_step, outcome="failed", reason="NaN", **changes):
    return dataclasses.replace(
        FIRST, number=number, first_step=first_step, outcome=outcome, reason=reason, **changes
    )


def test_written_and_read(tmp_path):
    attempt.write(tmp_path, FIRST)
    attempt.write(tmp_path, later(2, 100, numbers={"energy_ha": math.nan, "loss": 1.0}))
    (tmp_path / "attempt-003.json").write_text("{")
    one, two = attempt.read(tmp_path)
    assert one == FIRST
    assert two.numbers == {"loss": 1.0}


def test_cost():
    spent = attempt.cost([FIRST, later(2, 100, job="18", hosts=("b", "c"), updated=2800.0)])
    assert spent == {
        "attempts": 2,
        "device_hours": pytest.approx(4 * 1.0 + 4 * 0.5),
        "job_ids": "17 18",
        "hosts": "a b c",
    }


def test_two_attempts_without_a_saved_step_are_enough():
    stuck = [later(1, 0), later(2, 100), later(3, 100)]
    with pytest.raises(NoProgressError, match="step 100; the last was failed, NaN"):
        attempt.check_progress(stuck, 100, 3, "vmc")


def test_a_killed_attempt_is_told_so():
    stuck = [later(1, 0, "running", ""), later(2, 0, "running", "")]
    with pytest.raises(NoProgressError, match="killed without a word") as error:
        attempt.check_progress(stuck, 0, 3, "vmc")
    assert "more memory" in str(error.value)


@pytest.mark.parametrize(
    ("tries", "attempts", "step"),
    [
        (1, [later(1, 100), later(2, 100)], 100),  # started anew by the user
        (3, [later(1, 0), later(2, 100)], 100),  # the last attempt came further
        (3, [later(1, 100), later(2, 100)], 200),  # both did
        (3, [later(1, 100)], 100),
    ],
)
def test_progress_or_a_new_start_is_not_refused(tries, attempts, step):
    attempt.check_progress(attempts, step, tries, "vmc")

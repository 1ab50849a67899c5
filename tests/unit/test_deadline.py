"""When a job ends, and when a stage leaves before it does."""

import subprocess
import time

import pytest

from engine.stage import deadline


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("59", 59),
        ("1:56", 116),
        ("2:00:01", 7201),
        ("3-00:00:00", 259200),
        ("UNLIMITED", float("inf")),
    ],
)
def test_what_slurm_says_in_seconds(text, expected):
    assert deadline.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "INVALID", "1:x"])
def test_what_is_not_a_time(text):
    with pytest.raises(ValueError):
        deadline.seconds(text)


@pytest.fixture
def nowhere(monkeypatch):
    for name in ("SLURM_JOB_END_TIME", "SLURM_JOB_ID", deadline.RUNTIME):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_nothing_limits_a_laptop(nowhere):
    assert deadline.job_end() == float("inf")
    assert not deadline.Deadline().near(1e6, 1e6)


def test_the_environment_is_asked_first(nowhere):
    nowhere.setenv("SLURM_JOB_END_TIME", "1795190630")
    nowhere.setenv("SLURM_JOB_ID", "7")
    assert deadline.job_end() == 1795190630


def test_then_slurm(nowhere):
    nowhere.setenv("SLURM_JOB_ID", "7")

    def answer(command, **_):
        assert command[0] == "squeue" and "7" in command
        return subprocess.CompletedProcess(command, 0, stdout="10:00\n")

    nowhere.setattr(deadline.subprocess, "run", answer)
    assert deadline.job_end() == pytest.approx(time.time() + 600, abs=5)


def test_then_the_time_the_workflow_asked_for(nowhere):
    nowhere.setenv("SLURM_JOB_ID", "7")
    nowhere.setenv(deadline.RUNTIME, "30")

    def silent(command, **_):
        raise subprocess.TimeoutExpired(command, 30)

    nowhere.setattr(deadline.subprocess, "run", silent)
    assert deadline.job_end() == deadline.STARTED + 1800


def test_leaves_in_time_for_a_round_of_steps_and_two_savings():
    now = time.time()
    assert not deadline.Deadline(now + 100).near(steps_s=20, save_s=20)
    assert deadline.Deadline(now + 100).near(steps_s=30, save_s=20)
    assert deadline.Deadline(now + 5).near(steps_s=0, save_s=0)

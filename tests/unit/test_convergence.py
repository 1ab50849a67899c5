"""When stages end by themselves."""

import numpy as np
import pytest

from engine.stage import convergence

STEPS = np.arange(2000)


def energies(slope, noise=1e-3, seed=0):
    return -1.0 + slope * STEPS + noise * np.random.default_rng(seed).normal(size=len(STEPS))


def test_gain_is_the_slope_times_half_of_the_steps():
    fell, error = convergence.gain(energies(-1e-6))
    assert fell == pytest.approx(1e-6 * len(STEPS) / 2, abs=4 * error)
    assert convergence.gain(energies(-2e-5, noise=1e-9))[0] == pytest.approx(2e-2)
    # each quarter of the run averages 500 independent steps, two of them enter, doubled
    assert error == pytest.approx(2 * 2**0.5 * 1e-3 / 500**0.5, rel=0.3)


def test_one_outlier_moves_nothing():
    calm = energies(0.0)
    wild = calm.copy()
    wild[-1] = -1e3
    assert abs(convergence.gain(wild)[0] - convergence.gain(calm)[0]) < 1e-4


@pytest.mark.parametrize(
    ("slope", "noise", "min_steps", "ends"),
    [
        (0.0, 1e-3, 1000, True),
        (0.0, 1e-3, 3000, False),  # too early
        (0.0, 1e-3, None, False),  # not asked for
        (-2e-6, 1e-3, 1000, False),  # falls by twice the accuracy
        (0.0, 1e-1, 1000, False),  # too noisy to tell
        (+2e-6, 1e-3, 1000, False),  # rises by twice the accuracy
        (0.0, np.nan, 1000, False),
    ],
)
def test_training_ends_when_gain_and_its_error_are_within_the_accuracy(
    slope, noise, min_steps, ends
):
    columns = {"energy_ha": energies(slope, noise)}
    reason = convergence.trained(columns, len(STEPS), min_steps, 1e-3)
    assert bool(reason) == ends


def test_few_steps_tell_nothing():
    columns = {"energy_ha": np.full(convergence.FEWEST - 1, -1.0)}
    assert convergence.trained(columns, convergence.FEWEST - 1, 1, 1e-3) == ""
    assert convergence.gained(columns["energy_ha"]) == {"gain_ha": None, "gain_error_ha": None}
    about = convergence.gained(energies(-1e-6))
    assert (about["gain_ha"], about["gain_error_ha"]) == convergence.gain(energies(-1e-6))


def test_sampling_ends_at_its_error_and_says_how_long_it_takes():
    rng = np.random.default_rng(1)
    columns = {"streams_ha": rng.normal(size=(400, 8))}
    error = 1 / (400 * 8) ** 0.5
    assert convergence.measured(columns, 400, 100, 1.2 * error) == "target error reached"
    assert convergence.measured(columns, 400, 500, 1.2 * error) == ""
    assert convergence.measured(columns, 400, 100, 0.7 * error) == ""
    assert convergence.steps_needed(columns, 400, 100, 0.5 * error) == pytest.approx(1600, rel=0.4)
    assert convergence.steps_needed(columns, 400, 100, 1e3) == 100

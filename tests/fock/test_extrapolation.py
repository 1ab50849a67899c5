"""The correction of second order drawn to zero over nested cores."""

import jax.numpy as jnp
import numpy as np
import pytest

from engine.fock.determinants import NONE, FockSpace, enumerate_all
from engine.fock.extrapolation import extrapolated, filled, nested_cores, uncertainty


def test_a_line_is_drawn_to_zero():
    assert extrapolated([-1.0, -0.8, -0.4], [-0.1, -0.3, -0.7]) == pytest.approx(-1.1, abs=1e-12)


def test_close_points_matter_most():
    """A far point off the line moves the result by half as much as with equal weights."""
    assert extrapolated([-1.0, -0.8, -0.2], [-0.1, -0.3, -0.7]) == pytest.approx(-1.1, abs=0.03)


def test_nothing_left_and_nothing_known():
    assert extrapolated([-1.0, -0.9], [0.0, -0.1]) == -1.0
    assert np.isnan(extrapolated([-1.0], [-0.1]))
    assert np.isnan(extrapolated([-1.0, -0.9], [np.nan, -0.1]))
    assert extrapolated([-1.0, -0.8, 0.0], [-0.1, -0.3, np.nan]) == pytest.approx(-1.1)


def test_cores_are_the_largest_amplitudes_of_one_another():
    every = enumerate_all(FockSpace(4, 2, 2))
    core = jnp.concatenate([every[:9], jnp.full((3, 2, 1), NONE, jnp.uint64)])
    psi = jnp.asarray([0.1, -0.9, 0.3, 0.2, -0.5, 0.05, 0.7, 0.0, 0.6])
    found = nested_cores(filled(core), psi)
    assert [len(c) for c in found] == [9, 4, 2]
    wanted = np.asarray(every)[[1, 6, 8, 4]]
    assert (np.asarray(found[1]) == wanted).all() and (np.asarray(found[2]) == wanted[:2]).all()


def test_the_error_of_a_line_is_never_below_a_fifth_of_the_correction():
    assert uncertainty(-1.1, -1.0, -0.1) == pytest.approx(0.02)  # the line ends at second order
    assert uncertainty(-1.15, -1.0, -0.1) == pytest.approx(0.05)
    assert uncertainty(-1.0, -1.0, 0.0) == 0.0

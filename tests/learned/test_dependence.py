"""What a model adds between nearly dependent functions: no levels of nothing from its errors."""

import numpy as np
import pytest
from scipy.linalg import eigh

from engine.learned.dependence import LEVEL_HA, damped

ERROR = 3e-4
"""Typical error of an element, hartree."""


def oscillator(spacing):
    """Returns (overlap, H, H0) of Gaussians on a line: p^2/2 + x^2/2, and without a third of x^2.

    The closer they are, the more dependent.
    """
    x = spacing * np.arange(-6, 7)
    middle = (x[:, None] + x) / 2
    overlap = np.exp(-((x[:, None] - x) ** 2) / 4)
    square = overlap * (middle**2 + 0.5)
    kinetic = overlap * (0.25 - (x[:, None] - x) ** 2 / 8)
    return overlap, kinetic + square / 2, kinetic + square / 3


def noise(size):
    drawn = np.random.default_rng(3).normal(size=(size, size))
    return ERROR * (drawn + drawn.T) / 2**0.5


def test_levels_of_nothing_stay_away():
    """The least eigenvalue of the overlap is near 1e-9: undamped, errors of it are volts."""
    overlap, truth, guess = oscillator(0.45)
    assert np.linalg.eigvalsh(overlap)[0] < 1e-6
    wanted = eigh(truth, overlap, eigvals_only=True)[:2]
    assert wanted == pytest.approx([0.5, 1.5], abs=1e-3)
    correction = truth - guess + noise(len(truth))
    plain = eigh(guess + correction, overlap, eigvals_only=True)
    assert plain[0] < -10
    found = eigh(guess + damped(correction, overlap, ERROR), overlap, eigvals_only=True)
    assert found[:2] == pytest.approx(wanted, abs=0.02)


def test_independent_functions_are_left_alone():
    overlap, truth, guess = oscillator(1.6)
    least = np.linalg.eigvalsh(overlap)[0]
    assert least > 0.1
    share = (ERROR / LEVEL_HA / least) ** 2
    found = damped(truth - guess, overlap, ERROR)
    assert np.max(abs(found - (truth - guess))) < 4 * share * np.max(abs(truth - guess))


def test_a_model_without_errors_is_taken_as_it_is():
    overlap, truth, guess = oscillator(0.8)
    assert damped(truth - guess, overlap, 0.0) == pytest.approx(truth - guess, abs=1e-9)


def test_complex_matrices_of_many_kpoints_stay_hermitian_and_turn_with_the_basis():
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(4, 5, 5)) + 1j * rng.normal(size=(4, 5, 5))
    overlap = drawn @ np.swapaxes(drawn.conj(), 1, 2) / 10
    correction = drawn + np.swapaxes(drawn.conj(), 1, 2)
    found = damped(correction, overlap, 0.01)
    assert found == pytest.approx(np.swapaxes(found.conj(), 1, 2))
    Q = np.linalg.qr(rng.normal(size=(5, 5)) + 1j * rng.normal(size=(5, 5)))[0]
    turned = damped(Q @ correction @ Q.conj().T, Q @ overlap @ Q.conj().T, 0.01)
    assert turned == pytest.approx(Q @ found @ Q.conj().T)

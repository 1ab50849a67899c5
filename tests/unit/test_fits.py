"""Limits of infinite size and equations of state: exact on their models, and on published data."""

import numpy as np
import pytest

from engine.errors import DataError
from engine.mean_field import plane_waves
from engine.stage.equation_of_state import birch_murnaghan
from engine.stage.fits import least_squares, propagated
from engine.stage.sizes import Limit, correction_errors, extrapolate
from engine.units import HARTREE_PER_BOHR3_GPA

CHAIN = {  # atoms -> hartree per atom, four twists; arXiv:2405.07599, plot data
    4: -0.573954,
    6: -0.570666,
    8: -0.568869,
    10: -0.567841,
    12: -0.567208,
    16: -0.566541,
    22: -0.566082,
}
QUARTER = {4: -0.582824, 6: -0.574634, 8: -0.571099, 10: -0.569286}
"""The same at twist 1/4 alone: a closed shell for every number of atoms."""
LIH = {  # lattice constant in bohr -> hartree per formula unit, and its correction
    6.4: (-8.165402, 0.019199),
    6.8: (-8.175212, 0.017821),
    7.2: (-8.179177, 0.016614),
    7.6: (-8.178939, 0.015314),
    7.9: (-8.175945, 0.014186),
    8.3: (-8.170945, 0.012913),
    8.7: (-8.164567, 0.0119),
    9.1: (-8.157392, 0.010682),
}
"""2x2x2, twist averages and structure-factor corrections of the same source; lattice constants are
rounded labels of 3.4, 3.6, ... 4.8 angstrom."""


@pytest.mark.parametrize(("cells", "powers"), [(CHAIN, [1, 2, 3]), (QUARTER, [2, 3])])
def test_the_published_chain_extrapolates_to_the_infinite_one(cells, powers):
    """AFQMC has -0.565695(309), LR-DMC -0.5652 hartree per atom."""
    n, energy = (np.array(x, float) for x in zip(*cells.items(), strict=True))
    limit = extrapolate(n, energy, np.full(len(n), 1e-5), powers)
    assert -0.5657 < limit.value < -0.5652
    assert abs(limit.value + 0.565695) < 3.1e-4 + limit.error
    assert limit.chi2_per_degree < 2 and 5e-5 < limit.error < 2e-4


def test_a_model_that_does_not_fit_shows_in_chi_squared_and_in_the_error():
    n, energy = (np.array(x, float) for x in zip(*CHAIN.items(), strict=True))
    limit = extrapolate(n, energy, np.full(len(n), 1e-5), [2])
    assert limit.chi2_per_degree > 1000
    assert 1 < abs(limit.value + 0.565393) / limit.error < 3


def test_the_determinant_of_the_gas_extrapolates_to_that_of_the_infinite_one(monkeypatch):
    """Exchange of a Fermi sea converges as N^(-2/3) after twist averaging; rs = 1, unpolarised."""
    monkeypatch.setattr(plane_waves, "ZONE_GRID", 4)
    n = np.array([14, 38, 54, 66, 114, 162])
    cells = [(4 * np.pi / 3 * k) ** (1 / 3) * np.eye(3) for k in n]
    averages = [
        plane_waves.zone_average(c, (k // 2, k // 2)) for c, k in zip(cells, n, strict=True)
    ]
    limit = extrapolate(n, np.array(averages) / n, np.zeros(6), [2 / 3])
    exact = 1.1049503 - 0.4581653
    assert abs(limit.value - exact) < limit.error < 4e-3
    wrong = extrapolate(n, np.array(averages) / n, np.zeros(6), [4 / 3])
    assert abs(wrong.value - exact) > 3 * wrong.error


def test_a_limit_is_exact_on_its_own_model():
    n = np.array([4.0, 6, 8, 12])
    energy = -0.5 + 0.3 / n - 0.7 / n**2
    limit = extrapolate(n, energy, np.full(4, 1e-4), [1, 2])
    assert limit.value == pytest.approx(-0.5, abs=1e-12)
    assert limit.model < 1e-12 and limit.statistical > 1e-4


def test_the_statistical_error_of_a_limit_is_its_scatter():
    n, rng = np.array([8.0, 16, 32, 64]), np.random.default_rng(1)
    fits = [
        extrapolate(n, -1 + 0.2 / n + 1e-3 * rng.normal(size=4), np.full(4, 1e-3), [1])
        for _ in range(400)
    ]
    scatter = np.std([fit.value for fit in fits])
    quiet = [fit.statistical for fit in fits if fit.chi2_per_degree <= 1]
    assert scatter == pytest.approx(quiet[0], rel=0.12)


def test_the_error_of_a_size_correction_is_its_scatter():
    """The energy of a cell is part of the limit that it is subtracted from."""
    n, rng = np.array([8.0, 16, 32, 64]), np.random.default_rng(1)
    error = np.array([1e-3, 2e-3, 1e-3, 3e-3])
    corrections = []
    for _ in range(2000):
        energy = -1 + 0.2 / n + error * rng.normal(size=4)
        corrections.append(extrapolate(n, energy, error, [1]).value - energy)
    found = correction_errors(n, error, [1], Limit(-1.0, 0.0, 0.0, 0.9))
    assert found == pytest.approx(np.std(corrections, axis=0), rel=0.06)
    enlarged = correction_errors(n, error, [1], Limit(-1.0, 0.0, 0.0, 4.0))
    assert enlarged == pytest.approx(2 * found)


def test_without_spare_points_the_model_error_is_that_of_a_lower_power():
    limit = extrapolate(np.array([2.0, 4]), np.array([-1.0, -1.1]), np.array([1e-3, 1e-3]), [1])
    assert limit.value == pytest.approx(-1.2) and limit.chi2_per_degree is None
    assert limit.model == pytest.approx(0.15, abs=1e-3)


def murnaghan(volume, e0=-8.0, v0=105.0, b0=1.2e-3, b1=3.5):
    """The third-order Birch-Murnaghan energy as it is usually written."""
    x = (v0 / volume) ** (2 / 3)
    return e0 + 9 * v0 * b0 / 16 * ((x - 1) ** 3 * b1 + (x - 1) ** 2 * (6 - 4 * x))


def test_an_equation_of_state_is_exact_on_its_own_model():
    volume = np.linspace(80, 140, 6)
    state = birch_murnaghan(volume, murnaghan(volume), np.full(6, 1e-5))
    found = [x[0] for x in (state.energy, state.volume, state.bulk_modulus, state.derivative)]
    np.testing.assert_allclose(found, [-8.0, 105.0, 1.2e-3, 3.5], rtol=1e-8)


@pytest.mark.parametrize("points", [3, 5])
def test_second_order_is_third_order_with_a_derivative_of_four(points):
    volume, error = np.linspace(90, 110, points), np.full(points, 1e-4)
    state = birch_murnaghan(volume, murnaghan(volume, b1=4.0), error, order=2)
    found = [x[0] for x in (state.energy, state.volume, state.bulk_modulus, state.derivative)]
    np.testing.assert_allclose(found, [-8.0, 105.0, 1.2e-3, 4.0], rtol=1e-8)
    if points == 5:
        third = birch_murnaghan(volume, murnaghan(volume, b1=4.0), error)
        assert 0 < state.bulk_modulus[1] < 0.5 * third.bulk_modulus[1]


@pytest.mark.parametrize("order", [2, 3])
def test_as_many_energies_as_parameters_without_errors_have_no_errors(order):
    volume = np.linspace(80, 140, order + 1)
    state = birch_murnaghan(volume, murnaghan(volume, b1=4.0), np.zeros(order + 1), order)
    assert state.volume[0] == pytest.approx(105.0, rel=1e-4) and np.isnan(state.volume[1])


def test_errors_of_an_equation_of_state_are_the_scatter_of_its_results():
    volume, rng, sigma = np.linspace(80, 140, 7), np.random.default_rng(3), 1e-4
    error = np.full(7, sigma)
    states = [
        birch_murnaghan(volume, murnaghan(volume) + sigma * rng.normal(size=7), error)
        for _ in range(300)
    ]
    exact = birch_murnaghan(volume, murnaghan(volume), error)
    for name in ("volume", "energy", "bulk_modulus", "derivative"):
        scatter = np.std([getattr(state, name)[0] for state in states])
        assert scatter == pytest.approx(getattr(exact, name)[1], rel=0.15), name


@pytest.mark.parametrize(
    ("corrected", "a", "bulk_modulus", "energy"),
    [(False, 7.331, 42.6, -8.17937), (True, 7.480, 36.4, -8.16350)],
)
def test_lithium_hydride_has_the_published_equation_of_state(corrected, a, bulk_modulus, energy):
    """Values of another fit of the same table, at the rounded lattice constants."""
    labels = np.array(list(LIH))
    raw, correction = np.array(list(LIH.values())).T
    state = birch_murnaghan(labels**3 / 4, raw + corrected * correction, np.zeros(8))
    assert (4 * state.volume[0]) ** (1 / 3) == pytest.approx(a, abs=2e-3)
    assert state.bulk_modulus[0] * HARTREE_PER_BOHR3_GPA == pytest.approx(bulk_modulus, abs=0.1)
    assert state.energy[0] == pytest.approx(energy, abs=2e-5)


def test_points_closer_to_the_curve_have_smaller_errors():
    """The lattice constants that the labels were rounded from scatter less."""
    raw = np.array(list(LIH.values()))[:, 0]
    exact = np.arange(3.4, 4.81, 0.2) / 0.529177210544
    rounded, true = (
        birch_murnaghan(a**3 / 4, raw, np.zeros(8)) for a in (np.array(list(LIH)), exact)
    )
    assert true.bulk_modulus[1] < 0.3 * rounded.bulk_modulus[1]
    assert true.bulk_modulus[0] * HARTREE_PER_BOHR3_GPA == pytest.approx(44.05, abs=0.1)


def test_energies_without_a_minimum_are_refused():
    volume = np.linspace(80, 140, 5)
    with pytest.raises(DataError, match="no minimum"):
        birch_murnaghan(volume, -(volume**0.5), np.zeros(5))


def test_coefficients_without_errors_have_the_scatter_as_error():
    x = np.arange(6.0)
    y = 1 + 2 * x + np.array([1, -1, 1, -1, 1, -1]) * 0.1
    fit = least_squares(np.vander(x, 2, increasing=True), y, np.zeros(6))
    value, error = propagated(lambda c: np.array([c[0] + c[1]]), fit)
    assert value[0] == pytest.approx(3, abs=0.15) and 0.01 < error[0] < 0.2
    assert fit.chi2_per_degree is None


# --- tables ------------------------------------------------------------------------------


def test_the_smallest_cell_may_be_there_twice():
    """Both are left out to see how far the limit moves."""
    n, error = np.array([4, 4, 6, 8]), np.full(4, 1e-4)
    energy = -1 + 0.1 / n + np.array([1e-4, -1e-4, 0, 0])
    limit = extrapolate(n, energy, error, [1])
    assert limit.value == pytest.approx(-1, abs=3e-4) and limit.model < 1e-3
    assert extrapolate(n[:3], energy[:3], error[:3], [1]).model < 0.1

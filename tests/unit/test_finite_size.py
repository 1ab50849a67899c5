"""Finite-size corrections: the plasmon limit, and columns of the table."""

import itertools

import numpy as np
import pytest

from engine.errors import DataError
from engine.io.observables import Observable
from engine.mean_field import plane_waves
from engine.stage.finite_size import (
    corrections,
    kinetic_correction,
    potential_correction,
    small_wave_limit,
)
from engine.stage.observables import combine
from tests.exact.test_electron_gas import hartree_fock, own_images


def plasma(n, rs):
    """Reciprocal vectors of the cubic cell, its volume and the plasma frequency."""
    edge = rs * (n * 4 * np.pi / 3) ** (1 / 3)
    cube = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    return cube[np.any(cube, axis=1)] * 2 * np.pi / edge, edge**3, np.sqrt(3 / rs**3)


@pytest.mark.parametrize("n, rs", [(14, 1.0), (54, 5.0), (8, 200.0)])
def test_both_corrections_of_the_electron_gas_are_a_quarter_of_the_plasma_frequency(n, rs):
    """In the random-phase approximation S(k) = k^2 / (2 omega_p) at small k, k^4 beyond."""
    waves, volume, omega = plasma(n, rs)
    k2 = np.sum(waves**2, axis=1)
    s = small_wave_limit(waves, k2 / (2 * omega) - 0.1 * k2**2 / k2.min(), np.full(len(k2), 1e-3))
    assert potential_correction(s, n, volume).value == pytest.approx(omega / 4, rel=1e-9)
    assert kinetic_correction(s).value == pytest.approx(omega / 4, rel=1e-9)


def test_errors_of_the_limit_are_those_of_its_scatter():
    waves, volume, omega = plasma(14, 1.0)
    k2, rng, sigma = np.sum(waves**2, axis=1), np.random.default_rng(2), 0.02
    noisy = lambda: k2 / (2 * omega) + sigma * rng.normal(size=len(k2))
    fits = [small_wave_limit(waves, noisy(), np.full(len(k2), sigma)) for _ in range(400)]
    scatter = np.std([fit.value for fit in fits])
    assert scatter == pytest.approx(fits[0].error, rel=0.15)
    energies = [potential_correction(fit, 14, volume) for fit in fits]
    assert np.std([e.value for e in energies]) == pytest.approx(energies[0].error, rel=0.15)


class Result:
    """What `corrections` needs of a record."""

    def __init__(self, mean_field, value=None, waves=None, zone=None):
        self.attributes = {
            "mean_field_ha": mean_field,
            "mean_field_zone_ha": zone,
            "volume_bohr3": 100.0,
        }
        path = "observables/structure_factor/"
        self.data = {} if value is None else {path + "value": value, path + "error": 0 * value}
        self.data |= {} if value is None else {path + "wavevector": waves}


def test_columns_follow_from_the_average_over_twists():
    waves, _, _ = plasma(4, 1.0)
    k2 = np.sum(waves**2, axis=1)
    records = [Result(-1.0, 0.2 * k2, waves, -1.4), Result(-2.0, 0.4 * k2, waves, -1.4)]
    rows = [{"weight": 0.25}, {"weight": 0.75}]
    crystal = {"n_cells": 2, "n_electrons": 3.0, "n_atoms": 2}
    found = corrections(records, rows, crystal)
    assert found["twist_correction_ha_per_cell"] == pytest.approx((-1.4 + 1.75) / 2)
    s = 0.25 * 0.2 + 0.75 * 0.4
    expected = 2 * np.pi / 100 * 6 * s / 2
    assert found["potential_correction_ha_per_cell"] == pytest.approx(expected)
    assert "kinetic_correction_ha_per_cell" not in found
    gas = corrections(records, rows, crystal | {"n_atoms": 0})
    assert gas["kinetic_correction_ha_per_cell"] == pytest.approx(1 / (8 * s) / 2)
    neither = corrections(records, rows, crystal | {"n_atoms": 0, "size_corrections": False})
    assert list(neither) == ["twist_correction_ha_per_cell"]


def test_nothing_measured_gives_no_column():
    assert corrections([Result(-1.0)], [{"weight": 1.0}], {"n_cells": 1}) == {}


def test_twists_that_measured_different_things_are_refused():
    with pytest.raises(DataError, match="different observables"):
        combine([{}, {"dipole": Observable(1.0, 0.1)}], [1, 1])


def test_averages_of_observables_weigh_their_errors():
    a, b = (
        Observable(np.array([1.0]), np.array([0.3])),
        Observable(np.array([3.0]), np.array([0.4])),
    )
    found = combine([{"x": a}, {"x": b}], [1, 1])["x"]
    assert (found.value[0], found.error[0]) == (2.0, pytest.approx(0.25))


def test_momentum_distributions_of_twists_stand_side_by_side():
    k = np.array([[0.0, 0, 0], [1, 0, 0]])
    one = Observable(np.ones((2, 2)), np.ones((2, 2)), "", {"wavevector": (k, "1/bohr")})
    two = one._replace(axes={"wavevector": (k + 0.5, "1/bohr")})
    weights = combine([{"momentum_distribution": x} for x in (one, two)], [3, 1])
    assert weights["momentum_distribution"].axes["weight"][0].tolist() == [0.75, 0.75, 0.25, 0.25]
    found = combine([{"momentum_distribution": x} for x in (one, two)], [1, 1])
    assert found["momentum_distribution"].value.shape == (2, 4)
    assert found["momentum_distribution"].axes["wavevector"][0].shape == (4, 3)


def test_the_average_over_the_zone_is_that_of_explicit_sums(monkeypatch):
    monkeypatch.setattr(plane_waves, "ZONE_GRID", 2)
    lattice = np.array([[3.0, 0, 0.2], [0.4, 2.5, 0], [0, 0.3, 3.5]])
    axis = (-0.25, 0.25)
    energies = [
        hartree_fock(lattice, np.array(t), (3, 2)) for t in itertools.product(axis, repeat=3)
    ]
    assert plane_waves.zone_average(lattice, (3, 2)) == pytest.approx(np.mean(energies), abs=1e-9)


def test_the_energy_of_images_needs_no_compact_cell():
    """It is twice the energy of one electron by the engine's own Ewald sum."""
    for edges in ((1.0, 1.0, 1.0), (1.0, 1.0, 40.0), (1.0, 6.0, 7.0)):
        lattice = np.diag(edges)
        assert plane_waves.xi(lattice) / 2 == pytest.approx(own_images(lattice), abs=1e-7)

"""One electron in a lattice of protons, against plane waves.

H = -1/2 laplacian - v(r) + xi, v the potential of a unit charge of zero cell average and xi/2 the
self-image energy of the electron and of the proton. Plane waves diagonalise it at any twist; the
cusp makes the energy converge as the inverse cube of the cutoff, which is extrapolated away.
"""

import functools

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh

from tests.chain import sections, stages

A = 3.5
XI = -2.837297479 / A
TWISTS = {(0.0, 0.0, 0.0): "real", (0.5, 0.0, 0.0): "complex", (0.25, 0.25, 0.25): "complex"}


@functools.cache
def plane_wave_energy(twist, n):
    """Returns the ground-state energy in n^3 plane waves, hartree per cell."""
    integers = np.fft.fftfreq(n, 1 / n)
    g = 2 * np.pi / A * np.stack(np.meshgrid(*[integers] * 3, indexing="ij"), -1)
    kinetic = 0.5 * ((g + 2 * np.pi / A * np.asarray(twist)) ** 2).sum(-1)
    # the potential on a grid twice as fine, so that products of plane waves are exact
    fine = np.fft.fftfreq(2 * n, 1 / (2 * n))
    squared = sum(c**2 for c in np.meshgrid(*[2 * np.pi / A * fine] * 3, indexing="ij"))
    squared[0, 0, 0] = np.inf
    potential = np.fft.ifftn(-4 * np.pi / A**3 / squared).real * (2 * n) ** 3
    inside = np.ix_(*[integers.astype(int) % (2 * n)] * 3)

    def apply(c):
        wide = np.zeros((2 * n,) * 3, complex)
        wide[inside] = c.reshape((n,) * 3)
        back = np.fft.fftn(np.fft.ifftn(wide) * potential)[inside]
        return (kinetic * c.reshape((n,) * 3) + back).ravel()

    operator = LinearOperator((n**3,) * 2, matvec=apply, dtype=complex)
    start = np.exp(-kinetic).ravel().astype(complex)
    return eigsh(operator, 1, which="SA", v0=start, tol=1e-8, ncv=40)[0][0] + XI


def exact_energy(twist):
    """Returns the energy of infinitely many plane waves, E(n) = E + c / n^3."""
    low, high = (plane_wave_energy(twist, n) for n in (13, 19))
    return (19**3 * high - 13**3 * low) / (19**3 - 13**3)


def material(basis):
    return {
        "structure": {"kind": "prototype", "prototype": "sc", "species": ["H"], "a_bohr": A},
        "spin": 1,
        "mean_field": {"method": "uhf", "basis": basis},
    }


@pytest.mark.parametrize("twist", TWISTS)
def test_extrapolation_is_converged(twist):
    coarse, fine = (plane_wave_energy(twist, n) for n in (9, 23))
    other = (23**3 * fine - 9**3 * coarse) / (23**3 - 9**3)
    assert exact_energy(twist) == pytest.approx(other, abs=5e-5)
    assert fine - exact_energy(twist) < 3e-4


@pytest.mark.parametrize("twist", [(0.25, 0.25, 0.25)])
def test_determinant_of_the_mean_field_is_above_and_near(tmp_path, twist):
    method = {
        "ansatz": {"name": "slater"},
        "precision": "float64",
        "sampler": {"walkers": 250, "moves": 8},
        "pretrain": {"steps": 0},
        "vmc": {"steps": 0},
        "evaluate": {"min_steps": 100, "max_steps": 100},
    }
    result = stages(tmp_path, sections(material("cc-pvdz"), method, twist, "complex"))
    exact = exact_energy(twist)
    assert abs(result["energy_ha"] - result["mean_field_ha"]) < 3.5 * result["error_ha"] + 5e-4
    assert -3 * result["error_ha"] < result["energy_ha"] - exact < 1.5e-2


@pytest.mark.slow
@pytest.mark.parametrize("twist", TWISTS)
def test_network_reaches_the_exact_energy(tmp_path, twist):
    method = {
        "ansatz": {"name": "ferminet", "layers": 2, "width": 32, "determinants": 2},
        "sampler": {"walkers": 512},
        "pretrain": {"steps": 500},
        "vmc": {"steps": 600},
        "optimizer": {"decay_steps": 300},
        "evaluate": {"target_error_ha_per_cell": 5e-5, "max_steps": 4000},
    }
    result = stages(tmp_path, sections(material("cc-pvdz"), method, twist, TWISTS[twist]))
    assert result["converged"]
    assert abs(result["energy_ha"] - exact_energy(twist)) < 3 * result["error_ha"] + 2e-4

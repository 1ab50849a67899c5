"""Gaussians on the sites of an electron crystal: energy by sums, by quadrature, by Monte Carlo."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from engine.estimator import order_parameter
from engine.io.mean_field import read_mean_field
from engine.mean_field import localised
from engine.mean_field.plane_waves import total_energy, xi
from engine.mean_field.reference import evaluate_orbitals, make_reference
from engine.stage.mean_field import mean_field
from engine.stage.structure import structure
from engine.system.electron_gas import LATTICES
from engine.system.system import System
from tests.chain import sections, stages
from tests.exact.test_electron_gas import gas, method

TWIST = (0.5, 0.5, 0.25)
STATIC = {"sc": -0.8800594421, "bcc": -0.8959292557, "fcc": -0.8958736152}
"""Energy of point charges on a lattice times rs, hartree bohr; K. Fuchs (1935)."""


def cell(kind, n, rs):
    rows = LATTICES[kind]
    return rows * (n * 4 * np.pi / 3 * rs**3 / abs(np.linalg.det(rows))) ** (1 / 3)


def test_broad_gaussians_are_plane_waves():
    lattice = cell("bcc", 8, 1.0)
    found = localised.energy(lattice, np.array(TWIST), np.array([2, 2, 2]), 20.0, xi(lattice))
    assert found == pytest.approx(total_energy(lattice, np.array(TWIST), (8,)), abs=1e-9)


@pytest.mark.parametrize("kind", STATIC)
def test_sharp_gaussians_are_a_lattice_of_charges(kind):
    """Static energy, kinetic energy 3 / (4 w^2), and what smearing the others takes: pi n w^2."""
    lattice, width, density = cell(kind, 8, 1.0), 0.18, 3 / (4 * np.pi)
    found = localised.energy(lattice, np.array(TWIST), np.array([2, 2, 2]), width, xi(lattice))
    known = 3 / (4 * width**2) + 7 / 8 * np.pi * density * width**2
    assert found / 8 - known == pytest.approx(STATIC[kind], abs=1e-9)


def run_of(rs, steps=40, walkers=192, **keys):
    """Sections of the crystal of a material, as a campaign resolves them."""
    material = gas(8, rs, 1, lattice="bcc", sites=[2, 2, 2])
    bare = method(walkers, steps) | {"reference": "localised"}
    bare["evaluate"] |= keys
    bare["sampler"]["width_bohr"] = 0.1
    run = sections(material, bare, TWIST, "complex")
    return run | {"sites": [2, 2, 2]}


def made(folder, run):
    """Makes system and mean-field file."""
    files = {"system": folder / "system.h5", "mean_field": folder / "mean_field.h5"}
    structure(run, system=files["system"], structure=folder / "structure.extxyz")
    crystal = run | {"spin": 8, "mean_field": run["mean_field"] | {"method": "localised"}}
    mean_field(crystal, **files)
    return files


def test_the_determinant_has_the_energy_of_the_sums(tmp_path):
    run = run_of(50.0, observables=["order-parameter", "pair-density"], grid=4, sites=[2, 2, 2])
    made(tmp_path, run)
    result = stages(tmp_path, run)
    assert result["error_ha"] < 3e-4
    assert abs(result["energy_ha"] - result["mean_field_ha"]) < 3.5 * result["error_ha"]
    assert result["mean_field_ha"] == pytest.approx(8 * -0.0139530748, abs=1e-7)


def test_the_width_is_that_of_lowest_energy(tmp_path):
    made(tmp_path, run_of(50.0))
    found = read_mean_field(tmp_path / "mean_field.h5")
    width = float(found.basis.split()[4])
    lattice = cell("bcc", 8, 50.0)
    energies = [
        localised.energy(lattice, np.array(TWIST), np.array([2, 2, 2]), w, xi(lattice))
        for w in (0.97 * width, width, 1.03 * width)
    ]
    assert energies[1] == min(energies)
    assert energies[1] == pytest.approx(found.total, abs=1e-9)


def test_orbitals_have_the_phase_of_the_twist_and_their_sites(tmp_path):
    from engine.io.system import read_system

    files = made(tmp_path, run_of(5.0))
    file, found = read_system(files["system"]), read_mean_field(files["mean_field"])
    here: System = file.system.with_twist(found.twist)
    reference = make_reference(
        found, here, file.supercell, complex_orbitals=True, dtype=jnp.float64
    )
    lattice = np.asarray(here.cell.lattice)
    r = jnp.asarray(np.random.default_rng(1).uniform(-1, 2, (3, 3)) @ lattice)
    (value,) = evaluate_orbitals(reference, r, here)
    for axis in range(3):
        (moved,) = evaluate_orbitals(reference, r + lattice[axis], here)
        phase = np.exp(2j * np.pi * TWIST[axis])
        np.testing.assert_allclose(moved, phase * value, atol=1e-7 * abs(value).max())
    width = (0.5 / found.shells[0].exponents[0]) ** 0.5
    direct = sum(
        np.exp(2j * np.pi * np.dot(TWIST, t))
        * np.exp(
            -np.sum((r[0] - found.positions - np.array(t) @ lattice) ** 2, axis=1) / (2 * width**2)
        )
        for t in itertools.product(range(-4, 5), repeat=3)
    )
    ratio = np.asarray(value[0]) / direct
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_sites_have_full_order():
    """Electrons on the sites, wherever the crystal lies: order 1; the estimator knows the sites."""
    lattice = cell("bcc", 8, 1.0)
    points = localised.site_positions(lattice, np.array([2, 2, 2])) + 0.3
    waves = order_parameter._shortest(lattice, np.array([2, 2, 2]))
    assert len(waves) == 6  # twelve vectors {110}, one of each pair
    phase = np.exp(2j * np.pi * points @ np.linalg.inv(lattice) @ waves.T)
    np.testing.assert_allclose(np.abs(phase.sum(axis=0)) / 8, 1, atol=1e-12)

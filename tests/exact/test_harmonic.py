"""Electrons in a harmonic well: one, and two whose exact state is known in closed form.

Two electrons at 1/2 hartree: psi = (1 + r/2) exp(-(r_1^2 + r_2^2) / 4), energy 2. Source: M. Taut,
Phys. Rev. A 48, 3561 (1993).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import HamiltonianConfig
from engine.hamiltonian import default_terms, make_hamiltonian, make_harmonic, potential
from engine.system.system import electrons
from engine.types import LogPsi
from tests.exact.test_contacts import PAIR, free, hooke, hooke_state
from tests.exact.test_observables import close, hydrogen, measured, system
from tests.exact.test_positrons import ground_state, positronium

TWO = free(*electrons(1, 1))


def parts(here, psi, walkers, omega=None):
    """Returns the terms of the local energies of walkers."""
    options = HamiltonianConfig()
    terms = [*default_terms(here, options), *([potential(make_harmonic(omega))] if omega else [])]
    energy = make_hamiltonian(here, options, terms).local_energy
    found = jax.jit(jax.vmap(lambda w: energy(psi, w, here, None)))(jnp.asarray(walkers))
    return np.asarray(found.real), {name: np.asarray(x) for name, x in found.parts.items()}


def virial(*terms):
    """Tells whether the mean of a sum of local terms vanishes within its error."""
    total = sum(terms)
    return close(total.mean(), 0.0, total.std() / np.sqrt(len(total)))


def test_one_electron_has_the_energy_and_the_virial_of_its_well():
    omega, here = 0.7, free(*electrons(1, 0))
    walkers = np.random.default_rng(1).normal(size=(4000, 1, 3)) / np.sqrt(2 * omega)
    psi = lambda r: LogPsi(-0.5 * omega * jnp.sum(r**2), jnp.zeros(()))
    energy, terms = parts(here, psi, walkers, omega)
    np.testing.assert_allclose(energy, 1.5 * omega, rtol=1e-9)
    assert virial(terms["kinetic"], -terms["potential_external"])


def test_two_electrons_have_the_energy_and_the_virial_of_their_well():
    energy, terms = parts(TWO, hooke_state, hooke(np.random.default_rng(2), 4000), 0.5)
    np.testing.assert_allclose(energy, 2.0, rtol=1e-6)
    kinetic, well = 2 * terms["kinetic"], -2 * terms["potential_external"]
    assert virial(kinetic, well, terms["potential_ee"])


@pytest.mark.parametrize("matter", ["hydrogen", "positronium"])
def test_coulomb_systems_have_their_virial(matter):
    """2 <T> = -<V>: -1/2 and -1/4 hartree are the kinetic energies with the sign turned."""
    rng = np.random.default_rng(3)
    if matter == "hydrogen":
        here = system(electrons(1, 0), nuclei=[[0.0, 0, 0]], charges=[1.0])
        psi = lambda r: LogPsi(-jnp.linalg.norm(r[0]), jnp.zeros(()))
        energy, terms = parts(here, psi, hydrogen(rng, 4000))
    else:
        energy, terms = parts(PAIR, ground_state, positronium(rng, 4000))
    np.testing.assert_allclose(energy, -0.5 if matter == "hydrogen" else -0.25, rtol=1e-8)
    assert virial(2 * terms["kinetic"], terms["potential_en"], terms["potential_ee"])


def test_density_of_one_electron_in_a_well():
    omega = 0.7
    draw = lambda rng: rng.normal(size=(200, 1, 3)) / np.sqrt(2 * omega)
    found = measured("density", free(*electrons(1, 0)), draw, bins=20, grid=4)["radial_density"]
    r = found.axes["radius"][0]
    assert found.label == ("up", "charge", "spin")
    fine = r[:, None] + (r[1] - r[0]) * (np.arange(20) + 0.5 - 10) / 20
    exact = (omega / np.pi) ** 1.5 * np.exp(-omega * fine**2)
    expected = np.sum(exact * fine**2, axis=1) / np.sum(fine**2, axis=1)
    for row, sign in enumerate((1, -1, 1)):
        assert close(found.value[row, 0], sign * expected, found.error[row, 0] + 1e-5)


def two_electron_density(r):
    """Returns the density of both electrons at distances r, by quadrature over the other one."""
    s, c = np.linspace(0.01, 12, 300), np.linspace(-1, 1, 81)
    distance = np.sqrt(
        r[:, None, None] ** 2 + s[:, None] ** 2 + 2 * r[:, None, None] * s[:, None] * c
    )
    inner = np.trapezoid((1 + distance / 2) ** 2, c, axis=-1)
    weight = 2 * np.pi * s**2 * np.exp(-(s**2) / 2)
    density = np.exp(-(r**2) / 2) * np.trapezoid(inner * weight, s, axis=-1)
    norm = 4 * np.pi * (8 + 5 * np.sqrt(np.pi)) * np.pi**1.5
    return 2 * density / norm


def test_densities_of_two_electrons_in_a_well():
    found = measured("density", TWO, hooke, bins=12, grid=4)
    radial = found["radial_density"]
    r = radial.axes["radius"][0]
    fine = r[:, None] + (r[1] - r[0]) * (np.arange(8) + 0.5 - 4) / 8
    exact = two_electron_density(fine.ravel()).reshape(fine.shape)
    expected = np.sum(exact * fine**2, axis=1) / np.sum(fine**2, axis=1)
    value, error = radial.value[:, 0], radial.error[:, 0]
    assert radial.label == ("up", "down", "charge", "spin")
    assert close(value[2], -expected, error[2] + 1e-5)
    assert close(value[3], 0.0, error[3] + 1e-5)
    assert close(value[:2].sum(axis=0), expected, error[0] + error[1] + 1e-5)


def test_pair_distribution_of_two_electrons_in_a_well():
    found = measured("pair-correlation", TWO, hooke, bins=15)["pair_distribution"]
    r, unit = found.axes["radius"][0], found.unit
    assert found.label == ("up-down",) and unit == "1/bohr^3"
    fine = r[:, None] + (r[1] - r[0]) * (np.arange(20) + 0.5 - 10) / 20
    exact = (1 + fine / 2) ** 2 * np.exp(-(fine**2) / 4)
    expected = np.sum(exact * fine**2, axis=1) / np.sum(fine**2, axis=1)
    expected /= 4 * np.pi * (8 + 5 * np.sqrt(np.pi))
    assert close(found.value[0], expected, found.error[0] + 1e-5)
    shells = 4 * np.pi / 3 * np.diff(np.linspace(0, 10, 16) ** 3)
    assert found.value[0] @ shells == pytest.approx(1, abs=1e-3)


def test_two_electrons_in_a_well_are_a_singlet():
    found = measured("spin-squared", TWO, hooke, hooke_state, steps=4)
    assert found["spin_squared"].value == pytest.approx(0.0, abs=1e-12)

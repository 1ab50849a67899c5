"""Momentum of annihilating pairs and of single particles, against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import EvaluateConfig
from engine.errors import ConfigError
from engine.estimator.contact_density import RATE_NS
from engine.system.cell import Cell
from engine.system.system import Species, System, electrons
from engine.types import LogPsi
from tests.exact.test_contacts import POSITRON, free
from tests.exact.test_observables import FCC, close, hydrogen, measured, system

WIDTH = 1.2
"""Of the centre of mass of a trapped positronium: psi = exp(-R^2 / (2 WIDTH^2)) exp(-r / 2)."""


def spherical(radius, rng):
    direction = rng.normal(size=(len(radius), 3))
    return radius[:, None] * direction / np.linalg.norm(direction, axis=1)[:, None]


def trapped(rng, n=300):
    half = 0.5 * spherical(rng.gamma(3.0, 1.0, n), rng)
    centre = WIDTH / np.sqrt(2) * rng.normal(size=(n, 3))
    return np.stack([centre + half, centre - half], axis=1)


def trapped_state(r):
    centre, distance = (r[0] + r[1]) / 2, jnp.linalg.norm(r[0] - r[1])
    return LogPsi(-jnp.sum(centre**2) / (2 * WIDTH**2) - distance / 2, jnp.zeros(()))


def test_positronium_in_a_trap_has_the_momentum_of_its_centre():
    """rho(p) = 1 / (8 pi) times the normalised Gaussian of the centre of mass, and its profile."""
    found = measured("pair-momentum", free(*electrons(1, 0), POSITRON), trapped, trapped_state)
    exact, rate = RATE_NS / (8 * np.pi), found["annihilation_rate_of_psi"]
    assert close(rate.value, exact, rate.error) and rate.error < 0.03 * exact
    density, profile = found["pair_momentum_density"], found["doppler_profile"]
    p = density.axes["momentum"][0]
    normal = WIDTH / np.sqrt(np.pi) * np.exp(-((p * WIDTH) ** 2))
    at_zero = exact * (WIDTH / np.sqrt(np.pi)) ** 3
    assert density.error[0] < 0.05 * at_zero
    assert close(density.value, at_zero * np.exp(-((p * WIDTH) ** 2)), density.error)
    assert close(profile.value, exact * normal, profile.error)
    assert profile.error[0] < 0.05 * exact * normal[0]


def test_independent_particles_have_the_momentum_of_the_product_of_their_orbitals():
    """Two electrons in exp(-r), of both spins, and a positron in exp(-k r): twice exp(-b r)."""
    k, b = 0.5, 1.5

    def draw(rng, n=300):
        radii = rng.gamma(3.0, 0.5, n), rng.gamma(3.0, 0.5, n), rng.gamma(3.0, 0.5 / k, n)
        return np.stack([spherical(radius, rng) for radius in radii], axis=1)

    def psi(r):
        s = jnp.linalg.norm(r, axis=1)
        return LogPsi(-s[0] - s[1] - k * s[2], jnp.zeros(()))

    found = measured("pair-momentum", free(*electrons(1, 1), POSITRON), draw, psi)
    rate, density = found["annihilation_rate_of_psi"], found["pair_momentum_density"]
    assert close(rate.value, RATE_NS * 2 * k**3 / (np.pi * b**3), rate.error)
    assert rate.error < 0.03 * rate.value
    p = density.axes["momentum"][0]
    wave = 8 * np.pi * b / (b**2 + p**2) ** 2 * k**1.5 / np.pi
    expected = RATE_NS * 2 * wave**2 / (2 * np.pi) ** 3
    assert close(density.value, expected, density.error)
    assert density.error[0] < 0.1 * expected[0]


def test_plane_waves_annihilate_at_the_sum_of_their_momenta():
    lattice = 7.0 * (np.eye(3) + 0.3 * FCC)
    here = System(
        Cell(jnp.asarray(lattice), True),
        jnp.zeros((0, 3)),
        jnp.zeros(0),
        jnp.array([0.1, -0.2, 0.25]),
        (),
        (*electrons(1, 0), POSITRON),
    )
    b = 2 * np.pi * np.linalg.inv(lattice).T
    waves = np.array([[1.1, -0.2, 0.25], [0.1, -0.2, 0.25]]) @ b

    def psi(r):
        return LogPsi(jnp.zeros(()), jnp.sum(waves * r))

    draw = lambda rng: rng.random((100, 2, 3)) @ lattice
    found = measured("pair-momentum", here, draw, psi, wave_shells=6)
    rate, each = found["annihilation_rate_of_psi"], found["pair_momentum_distribution"]
    volume = abs(np.linalg.det(lattice))
    assert close(rate.value, RATE_NS / volume, rate.error)
    met = np.linalg.norm(each.axes["wavevector"][0] - waves.sum(axis=0), axis=1) < 1e-9
    assert met.sum() == 1
    assert close(each.value, RATE_NS / volume * met, each.error)
    assert each.error.max() < 0.15 * RATE_NS / volume


def test_an_antisymmetric_state_has_finite_weights_at_its_node():
    """Electron in a p orbital: psi = z_e exp(-r_e) exp(-r_p): the product has a node at contact."""

    def draw(rng, n=300):
        radius = rng.gamma(5.0, 0.5, n)
        cosine = np.cbrt(2 * rng.random(n) - 1)
        angle = 2 * np.pi * rng.random(n)
        sine = np.sqrt(1 - cosine**2)
        unit = np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=1)
        return np.stack([radius[:, None] * unit, spherical(rng.gamma(3.0, 0.5, n), rng)], axis=1)

    def psi(r):
        s = jnp.linalg.norm(r, axis=1)
        phase = jnp.where(r[0, 2] < 0, jnp.pi, 0.0)
        return LogPsi(jnp.log(jnp.abs(r[0, 2])) - jnp.sum(s), phase)

    found = measured("pair-momentum", free(*electrons(1, 0), POSITRON), draw, psi)
    rate = found["annihilation_rate_of_psi"]
    # int z^2 exp(-4 r) / (int z^2 exp(-2 r) int exp(-2 r)) = (pi 4! 4/3 / 4^5) / (pi^2)
    exact = RATE_NS * (4 * np.pi / 3 * 24 / 4**5) / (np.pi * np.pi)
    assert close(rate.value, exact, rate.error) and rate.error < 0.05 * exact


def test_hydrogen_momentum_and_compton_profile():
    """n(p) = 8 / (pi^2 (1 + p^2)^4) and J(q) = 8 / (3 pi (1 + q^2)^3)."""
    here = system(electrons(1, 0), nuclei=[[0.0, 0, 0]], charges=[1.0])
    psi = lambda r: LogPsi(-jnp.linalg.norm(r[0]), jnp.zeros(()))
    found = measured("momentum-distribution", here, hydrogen, psi)
    density, profile = found["momentum_density"], found["compton_profile"]
    p = density.axes["momentum"][0]
    assert density.label == ("up",) and density.unit == "bohr^3"
    assert close(density.value[0], 8 / np.pi**2 / (1 + p**2) ** 4, density.error[0])
    assert close(profile.value[0], 8 / (3 * np.pi) / (1 + p**2) ** 3, profile.error[0])
    assert density.error[0, 0] < 0.2 and profile.error[0, 0] < 0.03


def test_one_electron_in_a_harmonic_well_has_gaussian_momenta():
    omega = 0.7
    draw = lambda rng: rng.normal(size=(200, 1, 3)) / np.sqrt(2 * omega)
    psi = lambda r: LogPsi(-0.5 * omega * jnp.sum(r**2), jnp.zeros(()))
    found = measured("momentum-distribution", free(*electrons(1, 0)), draw, psi)
    density = found["momentum_density"]
    p = density.axes["momentum"][0]
    expected = np.exp(-(p**2) / omega) / (np.pi * omega) ** 1.5
    assert close(density.value[0], expected, density.error[0])
    assert close(found["compton_profile"].value[0].max(), 1 / np.sqrt(np.pi * omega), 0.02)


def test_pairs_need_positrons_and_something_to_recoil():
    options = EvaluateConfig(observables=["pair-momentum"])
    with pytest.raises(ConfigError, match="'pair-momentum' without positrons"):
        options.check_material(False, 0, "here")
    options.check_material(False, 1, "here")
    with pytest.raises(ConfigError, match="lone pair at rest"):
        options.check_material(False, 1, "here", lone_pair=True)


def test_mass_enters_the_pair_density():
    """A heavy positron: h falls as exp(-2 mu r) does."""
    mass = 3.0
    mu = mass / (1 + mass)
    heavy = Species("positron_up", 1, 1.0, mass)
    place = np.array([mass, -1.0])[:, None] / (1 + mass)

    def draw(rng, n=100):
        d = spherical(rng.gamma(3.0, 0.5 / mu, n), rng)
        centre = rng.normal(size=(n, 3)) / np.sqrt(2)
        return centre[:, None] + d[:, None] * place

    def psi(r):
        centre = (r[0] + mass * r[1]) / (1 + mass)
        return LogPsi(-jnp.sum(centre**2) / 2 - mu * jnp.linalg.norm(r[0] - r[1]), jnp.zeros(()))

    found = measured("pair-momentum", free(*electrons(1, 0), heavy), draw, psi, steps=64)
    rate = found["annihilation_rate_of_psi"]
    assert close(rate.value, RATE_NS * (2 * mu) ** 3 / (8 * np.pi), rate.error)
    assert rate.error < 0.05 * rate.value

"""Contact densities: exact states have them without variance, inexact ones nearly without bias."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.estimator import coalescence, zero_bias
from engine.system.cell import Cell
from engine.system.system import Species, System, electrons
from engine.types import LogPsi
from tests.exact.test_observables import close, hydrogen, measured, system

POSITRON = Species("positron_up", 1, 1.0)
R = jnp.asarray(np.linspace(1e-4, 50.0, 40001))


def free(*species):
    return System(Cell.open(), jnp.zeros((0, 3)), jnp.zeros(0), jnp.zeros(3), (), species)


PAIR = free(*electrons(1, 0), POSITRON)


def isotropic(f, gamma, reduced, potential):
    """Integrates over the distance of two particles of which f(r) is the relative state.

    Returns energy, <delta> itself, by the estimator of lower variance, and corrected.
    """
    who = coalescence.Meetings(*map(jnp.asarray, (1, 0, gamma, reduced)))
    slope, curve = (jax.vmap(g)(R) for g in (jax.grad(_log(f)), jax.grad(jax.grad(_log(f)))))
    local = -(curve + slope**2 + 2 * slope / R) / (2 * reduced) + potential / R
    weight = 4 * np.pi * R**2 * jax.vmap(f)(R) ** 2
    mean = lambda x: jnp.sum(weight * x) / jnp.sum(weight)
    walkers = jnp.zeros((len(R), 2, 3)).at[:, 1, 2].set(R)
    log_psi = lambda w: _log(f)(jnp.linalg.norm(w[1] - w[0]))
    met = jax.vmap(lambda w: coalescence.together(log_psi, w, who, w[0], PAIR)[0])(walkers)
    answer = jax.vmap(lambda w: coalescence.response(w, who, w[0], PAIR))(walkers)
    own = f(0.0) ** 2 / (jnp.sum(weight) * (R[1] - R[0]))
    energy = mean(local)
    corrected = mean(met) + 2 * mean((local - energy) * answer)
    return tuple(map(float, (energy, own, mean(met), corrected)))


def _log(f):
    return lambda r: jnp.log(f(r))


TRIALS = {
    "dip": lambda r: jnp.exp(-0.5 * r) * (1 + 0.1 * r**2 * jnp.exp(-r)),
    "bump": lambda r: jnp.exp(-0.5 * r) * (1 - 0.03 * r**2 * jnp.exp(-0.7 * r)),
    "tail": lambda r: jnp.exp(-0.5 * r + 0.01 * r**2 / (1 + r)),
}
"""Relative states of electron and positron with the right cusp, 0.03 to 0.4 mHa too high."""


@pytest.mark.parametrize("name", TRIALS)
def test_the_correction_removes_nine_tenths_of_the_bias(name):
    energy, own, met, corrected = isotropic(TRIALS[name], -0.5, 0.5, -1.0)
    exact = 1 / (8 * np.pi)
    assert 0 < energy + 0.25 < 5e-4
    assert met == pytest.approx(own, rel=1e-5)
    assert abs(own / exact - 1) > 0.01
    assert abs(corrected - exact) < 0.1 * abs(own - exact)


def test_the_correction_of_an_electron_at_a_nucleus():
    """Hydrogen of charge 3 with a wrong tail; the exact density at the nucleus is 27 / pi."""
    trial = lambda r: jnp.exp(-3 * r) * (1 + 0.5 * r**2 * jnp.exp(-2 * r))
    energy, own, met, corrected = isotropic(trial, -3.0, 1.0, -3.0)
    assert 0 < energy + 4.5 < 5e-3
    assert met == pytest.approx(own, rel=1e-4)
    assert abs(corrected - 27 / np.pi) < 0.1 * abs(own - 27 / np.pi)


def test_the_correction_of_repelling_particles():
    """Two electrons in a harmonic well of 1/2 hartree: exactly 1 + r/2 times a Gaussian."""
    state = lambda r, tail: (1 + r / 2) * jnp.exp(-(r**2) / 8 * tail)
    exact = 1 / (4 * np.pi * (8 + 5 * np.sqrt(np.pi)))
    _, own, met, corrected = _well(lambda r: state(r, 1.0))
    assert own == pytest.approx(exact, rel=1e-5) and met == pytest.approx(exact, rel=1e-5)
    assert corrected == pytest.approx(exact, rel=1e-4)
    _, own, _, corrected = _well(lambda r: state(r, 1.1))
    assert abs(own / exact - 1) > 0.1
    assert abs(corrected - exact) < 0.35 * abs(own - exact)


def _well(f):
    """Adds the relative motion's potential r^2 / 16 to the local energy."""
    energy, own, met, corrected = isotropic(f, 0.5, 0.5, 1.0)
    weight = R**2 * jax.vmap(f)(R) ** 2
    mean = lambda x: jnp.sum(weight * x) / jnp.sum(weight)
    who = coalescence.Meetings(*map(jnp.asarray, (1, 0, 0.5, 0.5)))
    walkers = jnp.zeros((len(R), 2, 3)).at[:, 1, 2].set(R)
    answer = jax.vmap(lambda w: coalescence.response(w, who, w[0], PAIR))(walkers)
    well = R**2 / 16
    corrected += float(2 * mean((well - mean(well)) * answer))
    return energy + float(mean(well)), own, met, corrected


@pytest.mark.parametrize("gamma", [-0.5, -3.0, 0.5])
def test_the_response_is_the_integral_of_the_weight(gamma):
    """dQ/dr = (mu / 2 pi) w / r^2 below the cutoff, and Q = 0 beyond it."""
    who = coalescence.Meetings(*map(jnp.asarray, (1, 0, gamma, 1.0)))
    end = float(coalescence.reach(who.gamma, PAIR))
    at = lambda r: coalescence.response(jnp.zeros((2, 3)).at[1, 0].set(r), who, jnp.zeros(3), PAIR)
    for r in (0.01 * end, 0.3 * end, 0.9 * end):
        w = (1 - 2 * gamma * r + 2 * gamma**2 * r**2) * (1 - (r / end) ** 3) ** 2
        assert jax.grad(at)(r) == pytest.approx(float(w) / (2 * np.pi * r**2), rel=1e-8)
    assert at(1.5 * end) == 0.0


def test_hydrogen_has_its_density_at_the_nucleus_nearly_without_variance():
    here = system(electrons(1, 0), nuclei=[[0.3, -0.2, 1.0]], charges=[1.0])
    draw = lambda rng: hydrogen(rng) + np.array([0.3, -0.2, 1.0])
    psi = lambda r: LogPsi(-jnp.linalg.norm(r[0] - here.positions[0]), jnp.zeros(()))
    found = measured("nuclear-contact", here, draw, psi, steps=32)["nuclear_contact"]
    assert found.label == ("density 1 H", "spin density 1 H")
    assert found.error.max() < 1e-3 / np.pi * 5
    assert close(found.value, 1 / np.pi, found.error)


def hooke(rng, n=200):
    """Exact samples of the square of (1 + r/2) exp(-(r1^2 + r2^2)/4)."""
    shares = np.array([2 * np.sqrt(np.pi), 8.0, 3 * np.sqrt(np.pi)])
    power = rng.choice(3, size=n, p=shares / shares.sum())
    r = 2 * np.sqrt(rng.gamma((power + 3) / 2))
    d = rng.normal(size=(n, 3))
    d *= (r / np.linalg.norm(d, axis=1))[:, None] / 2
    centre = rng.normal(size=(n, 3)) / np.sqrt(2)
    return np.stack([centre + d, centre - d], axis=1)


def hooke_state(r):
    value = 1 + 0.5 * jnp.linalg.norm(r[0] - r[1])
    return LogPsi(jnp.log(value) - 0.25 * jnp.sum(r**2), jnp.zeros(()))


def test_two_electrons_in_a_harmonic_well_meet():
    here = free(*electrons(1, 1))
    found = measured("electron-contact", here, hooke, hooke_state)["electron_contact"]
    exact = 1 / (4 * np.pi * (8 + 5 * np.sqrt(np.pi)))
    assert found.error < 0.03 * exact
    assert close(found.value, exact, found.error)


def test_equal_spins_do_not_meet():
    psi = lambda r: LogPsi(jnp.log(jnp.abs(r[0, 0] - r[1, 0])) - jnp.sum(r**2), jnp.zeros(()))
    draw = lambda rng: rng.normal(size=(8, 2, 3))
    found = measured("electron-contact", free(*electrons(2, 0)), draw, psi, steps=4)
    assert found["electron_contact"].value == found["electron_contact"].error == 0.0


def test_products_are_taken_about_the_averages_in_the_end():
    """x + 2 <(E - <E>)(Q - <Q>)> whatever the first step saw."""
    rng = np.random.default_rng(3)
    walkers = rng.normal(size=(50, 16, 1, 3))
    measure = lambda params, walker, system, reference: (walker[0, :1], walker[0, 1:2])
    made = zero_bias.zero_bias(measure, 1, lambda state, system: zero_bias.value(state))
    state, energy = made.init(), walkers[:, :, 0, 1] * 0.7 + walkers[:, :, 0, 2]
    update = jax.jit(made.update)
    for w, e in zip(walkers, energy, strict=True):
        state = update(state, {}, jnp.asarray(w), jnp.asarray(e), None, None, None)
    q = walkers[:, :, 0, 1]
    expected = walkers[:, :, 0, 0].mean() + 2 * np.mean((energy - energy.mean()) * q)
    np.testing.assert_allclose(made.finish(state, None), [expected], rtol=1e-12)


@pytest.mark.filterwarnings("error::FutureWarning")
def test_walkers_of_single_precision_stay_so():
    here = system((*electrons(1, 1), POSITRON), nuclei=[[0.0, 0, 0]], charges=[1.0])
    psi = lambda r: LogPsi(-jnp.sum(jnp.linalg.norm(r, axis=1)), jnp.zeros((), r.dtype))
    draw = lambda rng: rng.normal(size=(4, 3, 3)).astype(np.float32)
    for name in ("contact-density", "electron-contact", "nuclear-contact", "pair-momentum"):
        found = measured(name, here, draw, psi, steps=2, bins=3)
        assert all(np.all(np.isfinite(x.value)) for x in found.values())

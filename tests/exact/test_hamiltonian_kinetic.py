"""Kinetic energy and open-cell Coulomb terms against closed-form local energies."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import AnsatzConfig, HamiltonianConfig
from engine.errors import ConfigError
from engine.hamiltonian import default_terms, make_hamiltonian, make_harmonic, potential
from engine.hamiltonian.kinetic import make_kinetic
from engine.system.cell import Cell
from engine.system.system import Species, System, electrons
from engine.types import Basis, LogPsi, Psi, Reference
from engine.wavefunction import make_wavefunction

ROUTES = ("forward", "loop")


def molecule(species, charges=(), positions=()):
    return System(
        Cell.open(),
        jnp.asarray(positions, float).reshape(-1, 3),
        jnp.asarray(charges, float),
        jnp.zeros(3),
        ("X",) * len(charges),
        species,
    )


def local_energies(system, log_psi, walkers, route, extra=()):
    options = HamiltonianConfig(laplacian=route)
    terms = (*default_terms(system, options), *extra)
    hamiltonian = make_hamiltonian(system, options, terms)
    evaluate = lambda w: hamiltonian.local_energy(log_psi, w, system, jax.random.key(0))
    return jax.jit(jax.vmap(evaluate))(walkers)


def walkers(seed, n, count=40):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, n, 3)) * 1.5)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("z", [1.0, 2.0])
def test_one_electron_ion_has_constant_local_energy(route, z):
    nucleus = jnp.array([0.3, -0.2, 0.5])
    psi = lambda r: LogPsi(-z * jnp.linalg.norm(r[0] - nucleus), jnp.zeros(()))
    e = local_energies(molecule(electrons(1, 0), [z], nucleus), psi, walkers(0, 1), route)
    np.testing.assert_allclose(e.real, -(z**2) / 2, atol=1e-10)
    np.testing.assert_array_equal(e.imag, 0.0)


@pytest.mark.parametrize("route", ROUTES)
def test_positronium_uses_charge_and_mass_of_every_species(route):
    pair = (Species("up", 1), Species("positron", 1, charge=1.0))
    psi = lambda r: LogPsi(-jnp.linalg.norm(r[0] - r[1]) / 2, jnp.zeros(()))
    e = local_energies(molecule(pair), psi, walkers(1, 2), route)
    np.testing.assert_allclose(e.real, -0.25, atol=1e-10)


@pytest.mark.parametrize("route", ROUTES)
def test_unequal_masses_give_the_reduced_mass(route):
    heavy, mu = 206.768, 206.768 / 207.768
    pair = (Species("up", 1), Species("muon", 1, charge=1.0, mass=heavy))
    psi = lambda r: LogPsi(-mu * jnp.linalg.norm(r[0] - r[1]), jnp.zeros(()))
    e = local_energies(molecule(pair), psi, walkers(2, 2), route)
    np.testing.assert_allclose(e.real, -mu / 2, atol=1e-10)


@pytest.mark.parametrize("route", ROUTES)
def test_harmonic_electrons(route):
    def psi(r):
        r12 = jnp.linalg.norm(r[0] - r[1])
        return LogPsi(jnp.log(1 + r12 / 2) - jnp.sum(r**2) / 4, jnp.zeros(()))

    dot = potential(make_harmonic(0.5))
    e = local_energies(molecule(electrons(1, 1)), psi, walkers(3, 2), route, (dot,))
    np.testing.assert_allclose(e.real, 2.0, atol=1e-10)
    assert set(e.parts) == {
        "kinetic",
        "potential_ee",
        "potential_en",
        "potential_nn",
        "potential_external",
    }
    np.testing.assert_allclose(sum(e.parts.values()), e.real, rtol=1e-13)


def test_nuclear_repulsion_and_attraction_of_a_molecule():
    system = molecule(electrons(1, 0), [3.0, 1.0], [[0, 0, 0], [0, 0, 3.0]])
    psi = lambda r: LogPsi(jnp.zeros_like(r[0, 0]), jnp.zeros(()))
    e = local_energies(system, psi, jnp.array([[[0.0, 4.0, 0.0]]]), "loop")
    assert float(e.parts["potential_nn"][0]) == pytest.approx(1.0, abs=1e-14)
    assert float(e.parts["potential_en"][0]) == pytest.approx(-3 / 4 - 1 / 5, abs=1e-14)
    assert float(e.parts["potential_ee"][0]) == 0.0


@pytest.mark.parametrize("route", ROUTES)
def test_plane_wave_determinant_has_no_variance(route):
    cell = Cell(jnp.array([[4.0, 0.3, 0.0], [1.1, 3.5, 0.2], [-0.7, 0.4, 5.0]]), True)
    twist = jnp.array([0.13, -0.29, 0.41])
    g = np.array(list(itertools.product((0, 1), repeat=3)))[:4]
    k = (jnp.asarray(g) + twist) @ cell.reciprocal
    system = System(cell, jnp.zeros((0, 3)), jnp.zeros(0), twist, (), electrons(4, 0))

    def psi(r):
        sign, log = jnp.linalg.slogdet(jnp.exp(1j * r @ k.T))
        return LogPsi(log, jnp.angle(sign))

    kinetic = make_kinetic(route)
    r = walkers(4, 4)
    t = jax.jit(jax.vmap(lambda w: kinetic(psi, w, system)["kinetic"]))(r)
    np.testing.assert_allclose(t.real, jnp.sum(k**2) / 2, rtol=1e-10)
    np.testing.assert_allclose(t.imag, 0.0, atol=1e-9)


def twisted_gaussian(r):
    """A psi with varying modulus and phase, whose kinetic energy has an imaginary part."""
    return LogPsi(-jnp.sum(r**2) / 2 + jnp.sum(jnp.cos(r[0] * r[1])), jnp.sum(jnp.sin(r[0]) * r[1]))


@pytest.mark.parametrize("route", ROUTES)
def test_complex_kinetic_energy_is_minus_half_laplacian_of_psi_over_psi(route):
    system = molecule(electrons(1, 1))

    def exact(r):
        psi = lambda x: jnp.exp(lax_complex(*twisted_gaussian(x.reshape(2, 3))))
        hessian = jax.jacfwd(jax.jacfwd(psi))(r.reshape(-1))
        return -0.5 * jnp.trace(hessian) / psi(r.reshape(-1))

    lax_complex = jax.lax.complex
    r = walkers(5, 2, 6) * 0.4
    t = jax.vmap(lambda w: make_kinetic(route)(twisted_gaussian, w, system)["kinetic"])(r)
    np.testing.assert_allclose(t, jax.vmap(exact)(r), rtol=1e-10)
    assert np.abs(t.imag).min() > 1e-3


@pytest.mark.parametrize("route", ROUTES)
def test_real_psi_with_a_sign_and_float32_walkers(route):
    def psi(r):  # a p state: the sign changes across a plane
        return LogPsi(
            jnp.log(jnp.abs(r[0, 2])) - jnp.sum(r**2) / 2, jnp.where(r[0, 2] < 0, jnp.pi, 0.0)
        )

    system = molecule(electrons(1, 0))
    r = walkers(6, 1).astype(jnp.float32)
    t = jax.vmap(lambda w: make_kinetic(route)(psi, w, system)["kinetic"])(r)
    assert t.dtype == jnp.complex128
    np.testing.assert_allclose(
        t.real, 2.5 - 0.5 * np.sum(np.asarray(r) ** 2, axis=(1, 2)), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(t.imag, 0.0)


def test_unknown_laplacian_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'forward'"):
        make_kinetic("foward")


def test_pair_sums_count_the_masses_of_both_partners():
    """The kinetic energy through displacements is that of the loop over coordinates."""
    system = molecule((Species("up", 2), Species("muon", 1, mass=7.0)), [1.0], [[0.1, 0.2, 0.3]])
    reference = Reference((), (jnp.zeros((2, 3)), jnp.zeros((1, 3))), Basis((), (), (), ()), ())
    ansatz = AnsatzConfig(determinants=2, layers=2, width=8, pair_width=4)
    wavefunction = make_wavefunction(
        ansatz,
        system,
        reference,
        complex_orbitals=True,
        dtype=jnp.float64,
        reference_orbitals=None,
    )
    assert wavefunction.parts
    params = wavefunction.init(jax.random.key(1), system, reference)
    psi, terms = Psi(wavefunction, params, system, reference), [make_kinetic(r) for r in ROUTES]

    @jax.jit
    @jax.vmap
    def kinetic(walker):
        return [term(psi, walker, system)["kinetic"] for term in terms]

    forward, loop = kinetic(walkers(11, 3, 4))
    np.testing.assert_allclose(forward, loop, rtol=1e-10)

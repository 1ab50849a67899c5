"""The transferable network: its parameters, and that it starts from the mean field."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.hamiltonian.kinetic import ROUTES
from engine.mean_field import gto
from engine.system.system import electrons
from engine.types import Psi
from engine.wavefunction import make_wavefunction
from engine.wavefunction.jastrow import shared_kinds
from tests.unit.chains import ANSATZ, chain, network, random_complex


def shapes(atoms, twist):
    system, reference = chain(atoms, twist)
    wavefunction = network(system, reference)
    params = jax.eval_shape(lambda k: wavefunction.init(k, system, reference), jax.random.key(0))
    return jax.tree.map(lambda x: x.shape, params)


def test_parameters_are_the_same_for_every_number_of_atoms_and_every_twist():
    wanted = shapes(4, 0.0)
    assert shapes(4, 0.25) == shapes(2, 0.0) == shapes(8, 0.5) == shapes(16, 0.0) == wanted


def test_without_dressing_the_orbitals_are_those_of_the_mean_field():
    """The logarithm of the determinant follows that of Gaussian Bloch orbitals.

    Radial parts are sums of exponentials instead: alike within a few hundredths of an orbital.
    """
    system, reference = chain(4, 0.25)
    wavefunction = network(system, reference)
    params = jax.jit(wavefunction.init)(jax.random.key(1), system, reference)
    head = {
        name: jax.tree.map(jnp.zeros_like, leaf) if name.startswith("dressing") else leaf
        for name, leaf in params["head"].items()
    }
    rng = np.random.default_rng(3)
    walker = system.positions + jnp.asarray(rng.normal(size=(4, 3)) * 0.8)
    orbitals = jax.jit(wavefunction.orbitals)
    matrices = orbitals({**params, "head": head}, walker, system, reference)
    wanted = bloch(walker, system, reference)
    for part in (slice(0, 2), slice(2, 4)):
        found = matrices[0][part, part]
        np.testing.assert_allclose(found, wanted[part, part], atol=0.05 * np.abs(wanted).max())
    assert not np.any(matrices[0][:2, 2:])


def _standing(twist):
    """A chain with real orbitals, whose programs are those of twists of 0 and 1/2."""
    system, reference = chain(4, twist)
    real = tuple(c.real for c in reference.atomic.coefficients)
    atomic_ = dataclasses.replace(reference.atomic, coefficients=real)
    return system, dataclasses.replace(reference, atomic=atomic_, antiperiodic=True)


@pytest.mark.parametrize("twist", [0.0, 0.5])
def test_at_twists_of_zero_and_one_half_psi_can_be_real(twist):
    """Dressed by the same: the complex one whose dressing has no imaginary part."""
    system, reference = _standing(twist)
    build = {"dtype": jnp.float64, "reference_orbitals": None}
    real, turned = (
        make_wavefunction(ANSATZ, system, reference, complex_orbitals=c, **build)
        for c in (False, True)
    )
    params = jax.jit(real.init)(jax.random.key(1), system, reference)
    doubled = {
        name: jax.tree.map(lambda x: jnp.concatenate([x, 0 * x], axis=-1), leaf)
        if name.startswith("dressing")
        else leaf
        for name, leaf in params["head"].items()
    }
    rng = np.random.default_rng(3)
    walkers = system.positions + jnp.asarray(rng.normal(size=(5, 4, 3)) * 2.0)
    there = walkers.at[:, 1].add(system.cell.lattice[0]).at[:, 2].add(-2 * system.cell.lattice[0])

    def values(wavefunction, params, reference, walkers):
        one = lambda w: wavefunction.apply(params, w, system, reference)  # noqa: E731
        return jax.jit(jax.vmap(one))(walkers)

    complex_ = dataclasses.replace(
        reference,
        atomic=dataclasses.replace(
            reference.atomic, coefficients=tuple(c + 0j for c in reference.atomic.coefficients)
        ),
    )
    found = values(real, params, reference, walkers)
    wanted = values(turned, {**params, "head": doubled}, complex_, walkers)
    np.testing.assert_allclose(found.log, wanted.log, atol=1e-9)
    np.testing.assert_allclose(np.cos(found.arg - wanted.arg), 1.0, atol=1e-9)
    moved = values(real, params, reference, there)
    np.testing.assert_allclose(moved.log, found.log, atol=1e-9)
    np.testing.assert_allclose(np.cos(moved.arg - found.arg), np.cos(2 * np.pi * twist), atol=1e-9)
    if twist == 0:
        plain = dataclasses.replace(reference, antiperiodic=False)
        same = make_wavefunction(ANSATZ, system, plain, complex_orbitals=False, **build)
        without = values(same, params, plain, walkers)
        np.testing.assert_allclose(without.log, found.log, atol=1e-9)


def bloch(walker, system, reference):
    """The mean field's orbitals (n, n), Gaussians summed over the lattice at the twist."""
    images = np.arange(-4, 5)
    total = 0.0
    for m in images:
        d = walker[:, None] - system.positions - m * system.cell.lattice[0]
        values = gto.evaluate_displacements(reference.basis, d)
        total = total + np.exp(2j * np.pi * m * float(system.twist[0])) * np.asarray(values)
    return np.concatenate([total @ np.asarray(c).T for c in reference.atomic.coefficients], axis=1)


def test_psi_does_not_depend_on_which_orbitals_span_the_occupied_space():
    system, reference = chain(4, 0.25)
    wavefunction = network(system, reference)
    params = jax.jit(wavefunction.init)(jax.random.key(1), system, reference)
    rng = np.random.default_rng(2)
    unitary, _ = np.linalg.qr(random_complex(rng, 2, 2))
    mixed = tuple(jnp.asarray(unitary) @ c for c in reference.atomic.coefficients)
    other = dataclasses.replace(
        reference, atomic=dataclasses.replace(reference.atomic, coefficients=mixed)
    )
    apply = jax.jit(wavefunction.apply)
    walkers = system.positions + jnp.asarray(rng.normal(size=(3, 4, 3)))
    shift = []
    for walker in walkers:
        a, b = (apply(params, walker, system, r) for r in (reference, other))
        shift.append([b.log - a.log, np.exp(1j * (b.arg - a.arg))])
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], (3, 2)), atol=1e-9)
    np.testing.assert_allclose(shift[0][0], 0.0, atol=1e-9)


@pytest.mark.parametrize("weight, parity", [(1.0, 1.0), (-1.0, -1.0), (0.0, None)])
def test_exchanged_determinants_make_psi_even_or_odd_under_exchange_of_all_spins(weight, parity):
    """Undressed: psi(up, down) = +-psi(down, up) with weights of +-1, neither with 0."""
    system, reference = chain(4, 0.25)
    reference = dataclasses.replace(reference, broken=True)
    wavefunction = network(system, reference)
    params = jax.jit(wavefunction.init)(jax.random.key(1), system, reference)
    head = {
        name: jax.tree.map(jnp.zeros_like, leaf) if name.startswith("dressing") else leaf
        for name, leaf in params["head"].items()
    }
    assert head["exchange"].tolist() == [1.0]
    head["exchange"] *= weight
    walker = system.positions + np.random.default_rng(4).normal(size=(4, 3)) * 0.8
    apply = jax.jit(wavefunction.apply)
    direct, exchanged = (
        apply({**params, "head": head}, x, system, reference)
        for x in (walker, jnp.roll(walker, 2, axis=0))
    )
    ratio = np.exp(exchanged.log - direct.log + 1j * (exchanged.arg - direct.arg))
    if parity is None:
        assert abs(abs(ratio) - 1) > 0.01
    else:
        np.testing.assert_allclose(ratio, parity, atol=1e-9)


def test_of_three_determinants_the_last_has_its_spins_exchanged():
    system, reference = chain(4, 0.25)
    broken = dataclasses.replace(reference, broken=True)
    swapped = dataclasses.replace(
        reference,
        atomic=dataclasses.replace(
            reference.atomic, coefficients=reference.atomic.coefficients[::-1]
        ),
    )
    ansatz = dataclasses.replace(ANSATZ, determinants=3, exchange=-0.4)
    build = {"complex_orbitals": True, "dtype": jnp.float64, "reference_orbitals": None}
    wavefunction = make_wavefunction(ansatz, system, broken, **build)
    plain = make_wavefunction(ansatz, system, reference, **build)
    assert wavefunction.orbitals is None and plain.orbitals is not None
    params = jax.jit(wavefunction.init)(jax.random.key(1), system, broken)
    walker = system.positions + np.random.default_rng(4).normal(size=(4, 3)) * 0.8
    orbitals = jax.jit(plain.orbitals)
    own, other = (orbitals(params, walker, system, r) for r in (reference, swapped))
    found = jax.jit(wavefunction.apply)(params, walker, system, broken)
    without = jax.jit(plain.apply)(params, walker, system, reference)
    wanted = np.linalg.det(own[0]) + np.linalg.det(own[2]) - 0.4 * np.linalg.det(other[1])
    ratio = wanted / np.linalg.det(own).sum()
    np.testing.assert_allclose(found.log - without.log, np.log(np.abs(ratio)), atol=1e-9)


def test_derivatives_forward_are_those_of_a_loop_where_spins_are_exchanged():
    system, reference = chain(4, 0.25)
    broken = dataclasses.replace(reference, broken=True)
    wavefunction = network(system, broken)
    params = jax.jit(wavefunction.init)(jax.random.key(1), system, broken)
    walker = system.positions + np.random.default_rng(4).normal(size=(4, 3)) * 0.8

    @jax.jit
    def derivatives(walker):
        psi = Psi(wavefunction, params, system, broken)
        return [route(psi, walker, system.particle_masses) for route in ROUTES.values()]

    found, wanted = derivatives(walker)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)


def test_one_determinant_has_nothing_to_exchange():
    system, reference = chain(4, 0.25)
    broken = dataclasses.replace(reference, broken=True)
    ansatz = dataclasses.replace(ANSATZ, determinants=1)
    build = {"complex_orbitals": True, "dtype": jnp.float64, "reference_orbitals": None}
    wavefunction = make_wavefunction(ansatz, system, broken, **build)
    params = jax.jit(wavefunction.init)(jax.random.key(1), system, broken)
    assert "exchange" not in params["head"]
    psi = jax.jit(wavefunction.apply)(params, system.positions + 0.3, system, broken)
    assert np.isfinite(psi.log)


@pytest.mark.parametrize(("counts", "kinds"), [((2, 2), 2), ((1, 1), 2), ((2, 0), 1)])
def test_spin_up_and_spin_down_share_the_lengths_of_the_pair_factor(counts, kinds):
    system, _ = chain(4, 0.0)
    system = dataclasses.replace(system, species=electrons(*counts))
    assert shared_kinds(system).max() + 1 == kinds

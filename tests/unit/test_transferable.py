"""The transferable network: its parameters, and that it starts from the mean field."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import AnsatzConfig
from engine.hamiltonian.kinetic import ROUTES
from engine.mean_field import gto
from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import AtomicOrbitals, Basis, Psi, Reference
from engine.wavefunction import atomic, make_wavefunction
from engine.wavefunction.jastrow import shared_kinds

ANSATZ = AnsatzConfig(name="transferable", determinants=2, layers=2, width=8, pair_width=4)


def chain(atoms, twist):
    """A periodic chain of hydrogen atoms, and made-up orbitals in an s and a p shell."""
    lattice = jnp.diag(jnp.asarray([1.8 * atoms, 20.0, 20.0]))
    places = jnp.asarray([[1.8 * k + 0.4, 10.0, 10.0] for k in range(atoms)])
    system = System(
        Cell(lattice, True),
        places,
        jnp.ones(atoms),
        jnp.asarray([twist, 0.0, 0.0]),
        ("H",) * atoms,
        electrons(atoms // 2, atoms // 2),
    )
    exponents = (jnp.asarray([1.8, 0.5, 0.15]), jnp.asarray([0.7]))
    tables = (jnp.asarray([[0.2], [0.5], [0.4]]), jnp.asarray([[0.5]]))
    owners = tuple(np.repeat(range(atoms), 2).tolist())
    basis = Basis(exponents * atoms, tables * atoms, owners, (0, 1) * atoms)
    rng = np.random.default_rng(atoms)
    coefficients = [_random(rng, count, basis.size) for count in system.counts]
    orbitals = AtomicOrbitals(tuple(jnp.asarray(c) for c in coefficients), basis)
    kpoints = tuple(jnp.zeros((n, 3)) for n in system.counts)
    return system, Reference((), kpoints, basis, ((0, 0, 0),), atomic=orbitals)


def _random(rng, n, size):
    return rng.normal(size=(n, size)) + 1j * rng.normal(size=(n, size))


def network(system, reference):
    return make_wavefunction(
        ANSATZ,
        system,
        reference,
        complex_orbitals=True,
        dtype=jnp.float64,
        reference_orbitals=None,
    )


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
    unitary, _ = np.linalg.qr(_random(rng, 2, 2))
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


FCC = 3.8 * (1 - np.eye(3))
TRICLINIC = np.array([[4.1, 0.0, 0.2], [0.9, 4.6, 0.0], [-0.5, 0.3, 7.3]])
LAYER = np.array([[4.6, 0.0, 0.0], [-2.3, 4.0, 0.0], [0.0, 0.0, 40.0]])


def crystal(lattice, places):
    cell, count = Cell(jnp.asarray(lattice), True), len(places)
    charges = jnp.ones(count)
    return System(cell, jnp.asarray(places), charges, jnp.zeros(3), ("H",) * count, electrons(1, 0))


def test_along_a_chain_there_are_translations_along_it_alone():
    system, _ = chain(4, 0.0)
    assert atomic.compact(system) == [0]
    assert atomic.translations(system).tolist() == [[-1, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("lattice", [FCC, TRICLINIC, LAYER])
def test_translations_are_those_that_bring_an_image_within_the_range(lattice):
    system = crystal(lattice, np.zeros((1, 3)))
    axes = atomic.compact(system)
    found = {tuple(t) for t in atomic.translations(system).astype(int).tolist()}
    rng = np.random.default_rng(0)
    corners = rng.choice([-0.5, 0.0, 0.5], size=(300, 3))
    inside = np.concatenate([corners, rng.uniform(-0.5, 0.5, size=(20000, 3))])[:, axes]
    seen = set()
    for t in np.ndindex(*(13,) * len(axes)):
        shift = np.array(t) - 6
        closest = np.linalg.norm((inside + shift) @ lattice[axes], axis=1).min()
        whole = np.zeros(3, int)
        whole[axes] = shift
        if closest < atomic.RANGE_BOHR:
            seen.add(tuple(whole.tolist()))
        elif closest > atomic.RANGE_BOHR + 0.5:
            assert tuple(whole.tolist()) not in found
    assert seen <= found


def sums_of(system, r):
    """Sums over all images of all atoms, (waves, EXPONENTS, 9)."""
    images, axes = atomic.translations(system), atomic.compact(system)
    where = atomic.place(r, system, images, axes, twisted=True)
    values = jnp.exp(-where.distance[:, None] * jnp.linspace(0.5, 2.0, 3)[:, None])
    return jnp.sum(atomic.moments(values, where, 2), axis=0)


@pytest.mark.parametrize("lattice", [FCC, TRICLINIC, LAYER, np.diag([3.6, 30.0, 30.0])])
def test_functions_are_the_same_in_every_supercell(lattice):
    """Summed over atoms and images at Gamma, anywhere, across the cells' borders as well."""
    places = np.array([[0.3, 0.1, -0.2], [1.9, 1.1, 0.4]])
    small = crystal(lattice, places)
    counts = np.where(np.isin(range(3), atomic.compact(small)), 2, 1)
    shifts = np.stack(list(np.ndindex(*counts))) @ lattice
    nuclei = (shifts[:, None] + places).reshape(-1, 3)
    large = crystal(counts[:, None] * lattice, nuclei)
    points = np.random.default_rng(1).uniform(-6, 6, size=(40, 3))
    one, other = (jax.jit(jax.vmap(lambda r, s=s: sums_of(s, r)))(points) for s in (small, large))
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    assert np.abs(one).max() > 0.1


def test_radial_parts_are_fitted_with_the_window():
    """A Gaussian that reaches beyond it is matched where the window is not one."""
    basis = Basis((jnp.asarray([0.11]),), (jnp.asarray([[1.0]]),), (0,), (0,))
    shells = atomic.Shells(0, np.zeros((1, 1, 1), int), ((0, 0),))
    sigma = atomic.initial_exponents(jnp.asarray(1.0), jnp.float64)
    r = atomic.GRID_BOHR
    window = np.maximum(1 - (r / atomic.RANGE_BOHR) ** 4, 0) ** 3
    np.testing.assert_allclose(atomic.mean_window(3), window, atol=1e-12)
    tails = []
    for axes in ([0, 1, 2], []):
        radial = np.asarray(atomic.fitted(basis, shells, sigma, axes))[0]
        made = window * (np.exp(-np.outer(r, sigma)) @ radial)
        tails.append(np.linalg.norm(r * (made - np.exp(-0.11 * r**2))))
    assert tails[0] < 0.02 * np.linalg.norm(r * np.exp(-0.11 * r**2)) < tails[1]


@pytest.mark.parametrize(("smallest", "warned"), [(0.03, True), (0.15, False)])
def test_diffuse_functions_in_a_crystal_are_warned_of(smallest, warned, caplog):
    system = dataclasses.replace(crystal(FCC, np.zeros((1, 3))), species=electrons(1, 0))
    basis = Basis((jnp.asarray([smallest]),), (jnp.asarray([[1.0]]),), (0,), (0,))
    orbitals = AtomicOrbitals((jnp.ones((1, 1)),), basis)
    reference = Reference((), (jnp.zeros((1, 3)),), basis, ((0, 0, 0),), atomic=orbitals)
    network(system, reference)
    assert ("a function of H is" in caplog.text) == warned


@pytest.mark.parametrize(("counts", "kinds"), [((2, 2), 2), ((1, 1), 2), ((2, 0), 1)])
def test_spin_up_and_spin_down_share_the_lengths_of_the_pair_factor(counts, kinds):
    system, _ = chain(4, 0.0)
    system = dataclasses.replace(system, species=electrons(*counts))
    assert shared_kinds(system).max() + 1 == kinds

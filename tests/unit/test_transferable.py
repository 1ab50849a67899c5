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
from engine.wavefunction.images import RANGE_BOHR, Images, images, place
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
SKEW_LAYER = np.array([[4.6, 0.0, 0.0], [-2.3, 4.0, 0.0], [6.0, 1.0, 40.0]])
LAYER = np.array([[4.6, 0.0, 0.0], [-2.3, 4.0, 0.0], [0.0, 0.0, 40.0]])


def crystal(lattice, places):
    cell, count = Cell(jnp.asarray(lattice), True), len(places)
    charges = jnp.ones(count)
    return System(cell, jnp.asarray(places), charges, jnp.zeros(3), ("H",) * count, electrons(1, 0))


def test_along_a_chain_there_are_translations_along_it_alone():
    system, _ = chain(4, 0.0)
    found = images(system)
    assert found.axes == (0,) and found.reach == RANGE_BOHR
    assert found.translations.tolist() == [[-1, 0, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("lattice", [FCC, TRICLINIC, LAYER, SKEW_LAYER])
def test_translations_are_those_that_bring_an_image_within_the_range(lattice):
    system = crystal(lattice, np.zeros((1, 3)))
    found = images(system)
    axes, reach = list(found.axes), found.reach
    assert axes == ([0, 1] if lattice[2, 2] > 20 else [0, 1, 2])
    listed = {tuple(t) for t in found.translations.astype(int).tolist()}
    rng = np.random.default_rng(0)
    corners = rng.choice([-0.5, 0.0, 0.5], size=(300, 3))
    inside = np.concatenate([corners, rng.uniform(-0.5, 0.5, size=(20000, 3))]) + found.middle
    along = lattice if len(axes) == 3 else lattice * [1, 1, 0]
    seen = set()
    for t in np.ndindex(*(13,) * len(axes)):
        shift = np.zeros(3)
        shift[axes] = np.array(t) - 6
        closest = np.linalg.norm((inside + shift) @ along, axis=1).min()
        if closest < reach:
            seen.add(tuple(shift.astype(int).tolist()))
        elif closest > reach + 0.5:
            assert tuple(shift.astype(int).tolist()) not in listed
    assert seen <= listed


@pytest.mark.parametrize("lattice", [3.402 * (1 - np.eye(3)), 3.837 * (1 - np.eye(3)), TRICLINIC])
def test_of_the_two_ways_to_count_the_one_with_fewer_translations_is_taken(lattice):
    """Lithium hydride at 3.60 and 4.061 angstrom: neither is always the better one."""
    found = images(crystal(lattice, np.zeros((1, 3))))
    rng = np.random.default_rng(0)
    for middle in (0.0, 0.5):
        points = rng.uniform(-0.5, 0.5, size=(400, 3)) + middle
        shifts = np.stack(list(np.ndindex(9, 9, 9))) - 4
        distances = np.linalg.norm((points[:, None] + shifts) @ lattice, axis=-1)
        assert len(found.translations) <= np.sum(distances.min(axis=0) < found.reach + 0.4)


def test_most_lattice_constants_of_an_equation_of_state_share_their_images():
    """And with them their programs: LiH in 2 x 2 x 2 cells, 3.6 to 4.6 angstrom."""
    lists = []
    for a in (3.6, 3.8, 4.0, 4.2, 4.4, 4.6):
        half = a / 0.529177 / 2
        corners = np.stack(list(np.ndindex(2, 2, 2))) @ (half * (1 - np.eye(3)))
        places = np.concatenate([corners, corners + half])
        found = images(crystal(2 * half * (1 - np.eye(3)), places))
        lists.append((found.reach, found.translations.tolist(), found.middle.tolist()))
    assert [len(translations) for _, translations, _ in lists] == [14, 8, 8, 8, 8, 8]
    assert all(other == lists[1] for other in lists[2:])


def sums_of(system, r):
    """Orbitals' sums of each atom at the twist, (A, EXPONENTS, 9), complex."""
    where = place(r, system, images(system), waves=2)
    values = jnp.exp(-where.distance[:, None] * jnp.linspace(0.3, 2.0, 3)[:, None])
    sums = atomic.moments(values, where, 2)
    phases = jnp.exp(1j * jnp.pi * where.half_turns)
    return phases[:, None, None] * (sums[:, 1] + 1j * sums[:, 2])


@pytest.mark.parametrize("lattice", [FCC, TRICLINIC, LAYER, np.diag([3.6, 30.0, 30.0])])
@pytest.mark.parametrize("times", [2, 5])
def test_functions_are_the_same_in_every_supercell(lattice, times):
    """Summed over atoms and images at Gamma, anywhere, across the cells' borders as well."""
    places = np.array([[0.3, 0.1, -0.2], [1.9, 1.1, 0.4]])
    small = crystal(lattice, places)
    counts = (times, *(1 if times > 2 or x > 20 else 2 for x in np.diag(lattice)[1:]))
    shifts = np.stack(list(np.ndindex(*counts))) @ lattice
    nuclei = (shifts[:, None] + places).reshape(-1, 3)
    large = crystal(np.array(counts)[:, None] * lattice, nuclei)
    points = np.random.default_rng(1).uniform(-6, 6, size=(40, 3))
    one, other = (
        jax.jit(jax.vmap(lambda r, s=s: sums_of(s, r).sum(axis=0)))(points) for s in (small, large)
    )
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    assert np.abs(one).max() > 0.1


@pytest.mark.parametrize("lattice", [FCC, TRICLINIC, SKEW_LAYER, np.diag([12.0, 12.0, 12.0])])
def test_functions_are_continuous_and_have_the_phase_of_the_twist(lattice):
    """Also where another image becomes the nearest."""
    twist = jnp.asarray([0.2, 0.13, 0.31])
    places = np.array([[0.3, 0.1, -0.2], [1.9, 1.1, 0.4]])
    system = dataclasses.replace(crystal(lattice, places), twist=twist)
    sums = jax.jit(jax.vmap(lambda r: sums_of(system, r)))
    points = np.random.default_rng(1).uniform(-9, 9, size=(40, 3))
    here = sums(points)
    for k in images(system).axes:
        there = sums(points + lattice[k])
        np.testing.assert_allclose(there, here * np.exp(2j * np.pi * twist[k]), atol=1e-9)
        frac = np.random.default_rng(k).uniform(-0.5, 0.5, size=(40, 3))
        frac[:, k] = 0.5 + images(system).middle[k]
        border = frac @ lattice + places[0]
        sides = [sums(border + side * 1e-7 * lattice[k])[:, 0] for side in (-1, 1)]
        np.testing.assert_allclose(*sides, atol=1e-5)


def test_there_is_no_point_where_all_functions_vanish():
    system = crystal(np.diag([12.0, 12.0, 12.0]), np.zeros((1, 3)))
    assert images(system).reach > 1.5 * 6 * 3**0.5
    assert abs(sums_of(system, jnp.full(3, 6.0))[0, 0, 0]) > 0.01


def test_radial_parts_are_fitted_with_the_window():
    """A Gaussian that reaches beyond it is matched where the window is not one."""
    basis = Basis((jnp.asarray([0.11]),), (jnp.asarray([[1.0]]),), (0,), (0,))
    shells = atomic.Shells(0, np.zeros((1, 1, 1), int), ((0, 0),))
    sigma = atomic.initial_exponents(jnp.asarray(1.0), jnp.float64)
    r, reach = atomic.GRID_BOHR, RANGE_BOHR
    window = np.maximum(1 - (r / reach) ** 4, 0) ** 3
    inside, free = (Images(axes, reach, np.zeros((1, 3)), np.zeros(3)) for axes in ((0, 1, 2), ()))
    np.testing.assert_allclose(atomic.mean_window(inside), window, atol=1e-12)
    tails = []
    for case in (inside, free):
        radial = np.asarray(atomic.fitted(basis, shells, sigma, case))[0]
        made = window * (np.exp(-np.outer(r, sigma)) @ radial)
        tails.append(np.linalg.norm(r * (made - np.exp(-0.11 * r**2))))
    assert tails[0] < 0.02 * np.linalg.norm(r * np.exp(-0.11 * r**2)) < tails[1]


@pytest.mark.parametrize(
    ("charge", "l", "exponent"),
    [(8, 2, 1.2), (6, 2, 0.55), (1, 2, 1.06), (2, 1, 1.3), (1, 0, 0.1)],
)
def test_tight_functions_of_molecules_are_met(charge, l, exponent):
    basis = Basis((jnp.asarray([exponent]),), (jnp.asarray([[1.0]]),), (0,), (l,))
    shells = atomic.Shells(l, np.zeros((1, 1, 2 * l + 1), int), ((0, 0),))
    free = Images((), RANGE_BOHR, np.zeros((1, 3)), np.zeros(3))
    assert atomic.misfit(basis, shells, jnp.asarray(float(charge)), free)[0] < 0.3


@pytest.mark.parametrize("smallest, weight, warned", [(0.02, 1, 1), (0.02, 0.1, 0), (0.15, 1, 0)])
def test_diffuse_functions_in_a_crystal_are_warned_of(smallest, weight, warned, caplog):
    system = crystal(FCC, np.zeros((1, 3)))
    basis = Basis((jnp.asarray([smallest]),), (jnp.asarray([[1.0]]),), (0,), (0,))
    orbitals = AtomicOrbitals((weight * jnp.ones((1, 1)), jnp.zeros((0, 1))), basis)
    reference = Reference((), (jnp.zeros((1, 3)),), basis, ((0, 0, 0),), atomic=orbitals)
    network(system, reference)
    assert ("functions of H with l = 0" in caplog.text) == bool(warned)


@pytest.mark.parametrize(("counts", "kinds"), [((2, 2), 2), ((1, 1), 2), ((2, 0), 1)])
def test_spin_up_and_spin_down_share_the_lengths_of_the_pair_factor(counts, kinds):
    system, _ = chain(4, 0.0)
    system = dataclasses.replace(system, species=electrons(*counts))
    assert shared_kinds(system).max() + 1 == kinds

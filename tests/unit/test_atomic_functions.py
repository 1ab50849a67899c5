"""Atomic functions summed over the lattice: over which images, and what is exact of the sums."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import AtomicOrbitals, Basis, Reference
from engine.wavefunction import atomic
from engine.wavefunction.images import RANGE_BOHR, Images, images, place
from tests.unit.chains import chain, network

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

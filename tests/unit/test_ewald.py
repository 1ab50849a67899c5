"""How an Ewald sum is organised: its lists, its cost, its compiled programs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import HamiltonianConfig
from engine.hamiltonian import make_hamiltonian
from engine.hamiltonian.ewald import make_ewald
from engine.hamiltonian.ewald_sums import choose_sums, distance_to_cell, reduced_basis
from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import LogPsi

HEXAGONAL = np.array([[4.6, 0, 0], [-2.3, 2.3 * np.sqrt(3), 0], [0, 0, 40.0]])


def hydrogen(lattice):
    lattice = jnp.asarray(lattice, float)
    return System(Cell(lattice, True), jnp.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.7]]) @ lattice,
                  jnp.ones(2), jnp.zeros(3), ("H", "H"), electrons(1, 1))


def strained(system, strain):
    cell = dataclasses.replace(system.cell, lattice=system.cell.lattice @ strain)
    return dataclasses.replace(system, cell=cell, positions=system.positions @ strain)


def walkers(system, count=8):
    frac = np.random.default_rng(0).random((count, system.n_particles, 3))
    return jnp.asarray(frac) @ system.cell.lattice


def test_elongated_cells_stay_cheap():
    chain = choose_sums(np.diag([7.2, 100.0, 100.0]), 22, 4, 1e-8)
    assert chain.kept.size < 600 and len(chain.images) < 20
    sheet = choose_sums(HEXAGONAL, 12 * 11 // 2 + 24, 12, 1e-8)
    assert sheet.kept.size < 1500 and len(sheet.images) < 40
    cube = choose_sums(np.eye(3), 22, 4, 1e-8)
    assert cube.kept.size < 600 and len(cube.images) < 40


def test_reciprocal_list_holds_one_of_each_pair():
    sums = choose_sums(HEXAGONAL, 22, 4, 1e-8)
    sign, column, m = np.nonzero(sums.kept)
    g = np.column_stack([sums.columns[column], np.where(sign == 0, m, -m)])
    both = {tuple(v) for v in g} | {tuple(-v) for v in g}
    assert len(both) == 2 * len(g) and (0, 0, 0) not in both


def test_skewed_bases_of_one_lattice_share_their_lists():
    skew = np.array([[1, 0, 0], [7, 1, 0], [-5, 12, 1]])
    basis = reduced_basis(skew @ HEXAGONAL)
    assert abs(round(np.linalg.det(basis))) == 1
    lengths = np.linalg.norm(basis @ skew @ HEXAGONAL, axis=1)
    np.testing.assert_allclose(lengths, [4.6, 4.6, 40.0], rtol=1e-12)
    plain, skewed = (choose_sums(a, 22, 4, 1e-8) for a in (HEXAGONAL, skew @ HEXAGONAL))
    assert (len(plain.images), plain.n_reciprocal) == (len(skewed.images), skewed.n_reciprocal)


def test_distance_to_cell_against_dense_sampling():
    lattice = np.array([[2.0, 0.3, 0.0], [0.9, 2.2, -0.4], [-0.8, 0.7, 2.5]])
    points = np.array([[0, 0, 0], [1, 0, 0], [1, -1, 0], [2, 1, -1], [-1, 2, 2]])
    axis = np.linspace(-0.5, 0.5, 41)
    s = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    sampled = [np.linalg.norm((p + s) @ lattice, axis=1).min() for p in points]
    np.testing.assert_allclose(distance_to_cell(lattice, points), sampled, atol=2e-2)
    assert np.all(distance_to_cell(lattice, points) <= np.array(sampled) + 1e-12)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("lattice", [HEXAGONAL, np.diag([7.2, 30.0, 30.0])])
def test_tolerance_bounds_the_error_per_charge_pair(lattice, tolerance):
    system = hydrogen(lattice)
    r = walkers(system, 64)
    rough, fine = (jax.vmap(make_ewald(system, t), in_axes=(0, None))(r, system)
                   for t in (tolerance, 1e-13))
    pairs = {"potential_ee": 2, "potential_en": 4, "potential_nn": 2}  # self-images are pairs
    for name, count in pairs.items():
        assert np.abs(rough[name] - fine[name]).max() < count * tolerance


def test_isotropic_strains_and_twists_share_one_program():
    system = hydrogen(HEXAGONAL)
    options, traces = HamiltonianConfig(), []
    hamiltonian = make_hamiltonian(system, options)

    @jax.jit
    def energies(r, system):
        traces.append(None)
        psi = lambda w: LogPsi(-jnp.sum(w**2) / 100, jnp.zeros(()))
        return jax.vmap(lambda w: hamiltonian.local_energy(psi, w, system, None).real)(r)

    for factor in (1.0, 0.97, 1.05):
        other = strained(system, factor * np.eye(3)).with_twist([0.25, 0.0, factor / 4])
        fresh = make_hamiltonian(other, options).local_energy
        psi = lambda w: LogPsi(-jnp.sum(w**2) / 100, jnp.zeros(()))
        r = walkers(other, 2)
        expected = [fresh(psi, w, other, None).real for w in r]
        np.testing.assert_allclose(energies(r, other), expected, rtol=1e-12)
    assert len(traces) == 1


@pytest.mark.parametrize("factor", [0.5, 0.93, 1.07, 3.0])
def test_lists_of_isotropic_strains_are_identical(factor):
    for lattice in (HEXAGONAL, np.eye(3), np.diag([7.2, 100.0, 100.0])):
        a, b = choose_sums(lattice, 22, 4, 1e-8), choose_sums(factor * lattice, 22, 4, 1e-8)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def test_anisotropic_strain_stays_near_the_tolerance():
    system = hydrogen(HEXAGONAL)
    other = strained(system, np.diag([1.03, 0.98, 1.0]) + 0.02 * np.eye(3)[[1, 0, 2]])
    r = walkers(other, 32)
    kept, fresh = (jax.vmap(make_ewald(s, t), in_axes=(0, None))(r, other)
                   for s, t in ((system, 1e-8), (other, 1e-13)))
    for name in kept:
        assert np.abs(kept[name] - fresh[name]).max() < 1e-7


def test_nuclear_energy_is_computed_once_for_all_walkers():
    system = hydrogen(HEXAGONAL)
    axes = {"potential_ee": 0, "potential_en": 0, "potential_nn": None}  # raises if batched
    parts = jax.vmap(make_ewald(system, 1e-8), in_axes=(0, None), out_axes=axes)(
        walkers(system), system)
    assert parts["potential_nn"].shape == () and parts["potential_ee"].shape == (8,)


def test_parts_sum_to_the_local_energy():
    system = hydrogen(HEXAGONAL)
    psi = lambda w: LogPsi(-jnp.sum(jnp.sin(w) ** 2) / 7, jnp.sum(jnp.cos(w)))
    e = make_hamiltonian(system, HamiltonianConfig()).local_energy(
        psi, walkers(system)[0], system, jax.random.key(1))
    assert set(e.parts) == {"kinetic", "potential_ee", "potential_en", "potential_nn"}
    assert float(sum(e.parts.values())) == pytest.approx(float(e.real), rel=1e-14)
    assert e.real.dtype == e.imag.dtype == jnp.float64 and float(e.imag) != 0.0

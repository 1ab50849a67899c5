"""How an Ewald sum is organised: its lists, its cost, its compiled programs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config import HamiltonianConfig
from engine.hamiltonian import make_hamiltonian
from engine.hamiltonian.ewald import make_ewald
from engine.hamiltonian.ewald_sums import choose_sums
from engine.system.cell import Cell
from engine.system.images import distance_to_cell, reduced_basis
from engine.system.system import System, electrons
from engine.types import LogPsi

HEXAGONAL = np.array([[4.6, 0, 0], [-2.3, 2.3 * np.sqrt(3), 0], [0, 0, 40.0]])


def hydrogen(lattice):
    lattice = jnp.asarray(lattice, float)
    return System(
        Cell(lattice, True),
        jnp.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.7]]) @ lattice,
        jnp.ones(2),
        jnp.zeros(3),
        ("H", "H"),
        electrons(1, 1),
    )


def strained(system, strain):
    cell = dataclasses.replace(system.cell, lattice=system.cell.lattice @ strain)
    return dataclasses.replace(system, cell=cell, positions=system.positions @ strain)


def walkers(system, count=8):
    frac = np.random.default_rng(0).random((count, system.n_particles, 3))
    return jnp.asarray(frac) @ system.cell.lattice


def test_elongated_cells_stay_cheap():
    chain = choose_sums(np.diag([7.2, 100.0, 100.0]), 22, 4, 1e-8)
    assert chain.kept.size < 900 and len(chain.images) < 20
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


def batched(system, tolerance):
    return jax.jit(jax.vmap(make_ewald(system, tolerance), in_axes=(0, None)))


@pytest.mark.parametrize("lattice", [HEXAGONAL, np.diag([7.2, 26.5, 32.2])])
def test_tolerance_bounds_the_error_per_charge_pair(lattice):
    system = hydrogen(lattice)
    r = walkers(system, 64)
    fine = batched(system, 1e-13)(r, system)
    pairs = {"potential_ee": 2, "potential_en": 4, "potential_nn": 2}  # self-images are pairs
    for tolerance in (1e-4, 1e-6, 1e-8):
        rough = batched(system, tolerance)(r, system)
        for name, count in pairs.items():
            assert np.abs(rough[name] - fine[name]).max() < count * tolerance


def test_isotropic_strains_and_twists_share_one_program():
    system = hydrogen(HEXAGONAL)
    hamiltonian, traces = make_hamiltonian(system, HamiltonianConfig()), []

    @jax.jit
    def parts(walker, system):
        traces.append(None)
        psi = lambda w: LogPsi(-jnp.sum(w**2) / 100, jnp.zeros(()))
        return hamiltonian.local_energy(psi, walker, system, None).parts

    first = parts(walkers(system)[0], system)
    for factor in (0.97, 1.05):  # every potential energy scales as 1/length
        other = strained(system, factor * np.eye(3)).with_twist([0.25, 0.0, factor / 4])
        scaled = parts(factor * walkers(system)[0], other)
        for name in first.keys() - {"kinetic"}:
            assert float(scaled[name]) * factor == pytest.approx(float(first[name]), rel=1e-12)
    assert len(traces) == 1


@pytest.mark.parametrize("factor", [0.5, 0.93, 1.07, 3.0])
def test_lists_of_isotropic_strains_are_identical(factor):
    for lattice in (HEXAGONAL, np.eye(3), np.diag([7.2, 100.0, 100.0])):
        a, b = choose_sums(lattice, 22, 4, 1e-8), choose_sums(factor * lattice, 22, 4, 1e-8)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("lattice", "axes"),
    [(HEXAGONAL, (0, 1)), (np.diag([20.0, 100.0, 100.0]), (0,)), (np.eye(3), (2,))],
    ids=["layer", "chain", "cube"],
)
def test_lists_of_strains_in_a_fixed_vacuum_are_identical(lattice, axes):
    """The ratio of the lengths goes through ten per cent, within one interval of rounding."""
    lists = []
    for factor in np.linspace(0.94, 1.03, 4):
        cell = lattice.copy()
        cell[list(axes)] *= factor
        lists.append(choose_sums(cell, 22, 4, 1e-8))
    for other in lists[1:]:
        for x, y in zip(lists[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


def test_anisotropic_strain_stays_near_the_tolerance():
    system = hydrogen(HEXAGONAL)
    other = strained(system, np.diag([1.03, 0.98, 1.0]) + 0.02 * np.eye(3)[[1, 0, 2]])
    r = walkers(other, 32)
    kept, fresh = batched(system, 1e-8)(r, other), batched(other, 1e-13)(r, other)
    for name in kept:
        assert np.abs(kept[name] - fresh[name]).max() < 1e-7


def test_nuclear_energy_is_computed_once_for_all_walkers():
    system = hydrogen(HEXAGONAL)
    axes = {"potential_ee": 0, "potential_en": 0, "potential_nn": None}  # raises if batched
    energy = jax.vmap(make_ewald(system, 1e-8), in_axes=(0, None), out_axes=axes)
    shapes = jax.eval_shape(energy, walkers(system), system)
    assert shapes["potential_nn"].shape == () and shapes["potential_ee"].shape == (8,)


def test_parts_sum_to_the_local_energy():
    system = hydrogen(HEXAGONAL)
    psi = lambda w: LogPsi(-jnp.sum(jnp.sin(w) ** 2) / 7, jnp.sum(jnp.cos(w)))
    local_energy = make_hamiltonian(system, HamiltonianConfig()).local_energy
    e = jax.jit(lambda w, s: local_energy(psi, w, s, None))(walkers(system)[0], system)
    assert set(e.parts) == {"kinetic", "potential_ee", "potential_en", "potential_nn"}
    assert float(sum(e.parts.values())) == pytest.approx(float(e.real), rel=1e-14)
    assert e.real.dtype == e.imag.dtype == jnp.float64 and float(e.imag) != 0.0

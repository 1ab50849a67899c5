"""Bloch orbitals of the simulation cell in JAX against PySCF's own lattice sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pyscf.pbc import gto as pbc_gto

from engine.config import MeanFieldConfig
from engine.mean_field.primitive import sampling
from engine.mean_field.pyscf_solver import solve
from engine.mean_field.reference import evaluate_orbitals, make_reference
from engine.system.cell import Cell
from engine.system.geometry import Geometry
from engine.system.supercell import expand
from engine.system.system import System, electrons

A_LIH = 7.6
LIH = Geometry(
    ("Li", "H"),
    np.array([[0.3, 0.1, 0.0], [0.3 + A_LIH / 2, 0.1, 0.0]]),
    A_LIH / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]),
)
H2 = Geometry(
    ("H", "H"),
    np.array([[0.2, 0.0, 0.1], [1.6, 0.3, 0.1]]),
    np.array([[5.0, 0.0, 0.0], [1.0, 4.5, 0.0], [0.5, 0.7, 5.5]]),
)
DOUBLE = np.diag([2, 1, 1])


def simulation(geometry, S, twist, n_up, n_down) -> System:
    big = expand(geometry, S)
    cell = Cell(jnp.asarray(big.lattice), periodic=True) if big.periodic else Cell.open()
    return System(
        cell,
        jnp.asarray(big.positions),
        jnp.asarray(big.charges, float),
        jnp.asarray(twist),
        big.symbols,
        electrons(n_up, n_down),
    )


def pyscf_orbitals(mean_field, geometry, points, basis):
    """Occupied orbitals of every k at `points` by PySCF, normalised over the simulation cell.

    PySCF truncates its lattice sums for points in the first cell, so they are moved there.
    """
    cell = pbc_gto.M(
        atom=list(zip(geometry.symbols, mean_field.positions.tolist(), strict=True)),
        a=geometry.lattice,
        unit="B",
        basis=basis,
        verbose=0,
        precision=1e-12,
    )
    moves = np.floor(points @ np.linalg.inv(geometry.lattice)) @ geometry.lattice
    values = cell.pbc_eval_gto("GTOval_sph", points - moves, kpts=mean_field.kpoints)
    phases = np.exp(1j * mean_field.kpoints @ moves.T)[:, :, None]
    occupied = [
        p * v @ c[:, o > 0]
        for p, v, c, o in zip(
            phases, values, mean_field.coeff[0], mean_field.occupation[0], strict=True
        )
    ]
    return np.concatenate(occupied, axis=1) / np.sqrt(mean_field.n_cells)


def points_around(system, n=12):
    frac = np.random.default_rng(3).uniform(-1.5, 2.5, size=(n, 3))
    return frac @ np.asarray(system.cell.lattice)


@pytest.fixture(scope="module")
def lih():
    twist = np.array([1 / 3, -0.25, 0.375])
    options = MeanFieldConfig(
        basis="6-31g", integrals="gdf", convergence_ha=1e-5, auxiliary_basis="def2-svp-jkfit"
    )
    mean_field = solve(LIH, DOUBLE, 4, 4, 0, twist, options)
    system = simulation(LIH, DOUBLE, twist, 4, 4)
    return (
        mean_field,
        system,
        make_reference(mean_field, system, DOUBLE, complex_orbitals=True, dtype=jnp.float64),
    )


def test_lih_at_a_generic_twist_agrees_with_pyscf(lih):
    mean_field, system, reference = lih
    r = points_around(system)
    up, down = evaluate_orbitals(reference, jnp.asarray(r), system)
    expected = pyscf_orbitals(mean_field, LIH, r, "6-31g")
    assert up.shape == down.shape == (12, 4)
    np.testing.assert_allclose(up, expected, atol=1e-8)
    np.testing.assert_allclose(down, expected, atol=1e-8)


def test_bloch_condition_is_exact(lih):
    _, system, reference = lih
    r = jnp.asarray(points_around(system, 4))
    here = evaluate_orbitals(reference, r, system)[0]
    for j in range(3):
        there = evaluate_orbitals(reference, r + 2 * system.cell.lattice[j], system)[0]
        phase = jnp.exp(2j * jnp.pi * 2 * system.twist[j])
        np.testing.assert_allclose(there, phase * here, atol=1e-12)


def test_single_precision_reference_stays_single(lih):
    mean_field, system, reference = lih
    single = make_reference(mean_field, system, DOUBLE, complex_orbitals=True, dtype=jnp.float32)
    r = points_around(system)
    ours = evaluate_orbitals(single, jnp.asarray(r, jnp.float32), system)[0]
    assert ours.dtype == jnp.complex64
    np.testing.assert_allclose(
        ours, evaluate_orbitals(reference, jnp.asarray(r), system)[0], atol=2e-5
    )


@pytest.mark.parametrize("S", [np.diag([3, 1, 1]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])])
@pytest.mark.parametrize("twist", [(0.0, 0.0, 0.0), (0.5, 0.0, 0.5)])
def test_real_combinations_span_the_same_determinant(S, twist):
    """At twists of 1/2 they change sign from cell to cell."""
    n, twist = round(np.linalg.det(S)), np.array(twist)
    mean_field = solve(H2, S, n, n, 0, twist, MeanFieldConfig(basis="sto-3g", integrals="gdf"))
    system = simulation(H2, S, twist, n, n)
    kinds = {"dtype": jnp.float64, "antiperiodic": bool(np.any(twist))}
    make = lambda c: make_reference(mean_field, system, S, complex_orbitals=c, **kinds)
    walkers = np.stack(
        [points_around(system, n)]
        + [2.5 * np.random.default_rng(i).normal(size=(n, 3)) for i in range(6)]
    )
    value = lambda ref: jax.vmap(lambda w: evaluate_orbitals(ref, w, system)[0])(
        jnp.asarray(walkers)
    )
    exact, real = value(make(True)), value(make(False))
    assert real.dtype == jnp.float64
    np.testing.assert_allclose(
        exact[0], pyscf_orbitals(mean_field, H2, walkers[0], "sto-3g"), atol=1e-7
    )
    ratio = np.abs(np.linalg.det(exact)) / np.abs(np.linalg.det(real))
    np.testing.assert_allclose(ratio, 1.0, rtol=1e-5)  # both sets are orthonormal
    moved = walkers + np.asarray(system.cell.lattice)[0]
    there = jax.vmap(lambda w: evaluate_orbitals(make(False), w, system)[0])(jnp.asarray(moved))
    np.testing.assert_allclose(there, np.cos(2 * np.pi * twist[0]) * real, atol=1e-10)


def test_open_molecule_agrees_with_pyscf():
    from pyscf import gto

    molecule = Geometry(("O", "H", "H"), np.array([[0, 0, 0.2], [0, 1.43, 1.1], [0.1, -1.43, 1.1]]))
    mean_field = solve(
        molecule, np.eye(3, dtype=int), 5, 5, 0, np.zeros(3), MeanFieldConfig(basis="cc-pvtz")
    )
    system = simulation(molecule, np.eye(3, dtype=int), np.zeros(3), 5, 5)
    reference = make_reference(
        mean_field, system, np.eye(3), complex_orbitals=False, dtype=jnp.float64
    )
    r = np.random.default_rng(0).normal(scale=2.0, size=(10, 3))
    mol = gto.M(
        atom=list(zip(molecule.symbols, molecule.positions.tolist(), strict=True)),
        unit="B",
        basis="cc-pvtz",
        verbose=0,
    )
    expected = mol.eval_gto("GTOval_sph", r) @ mean_field.coeff[0, 0, :, :5].real
    ours = evaluate_orbitals(reference, jnp.asarray(r), system)[0]
    assert ours.dtype == jnp.float64
    np.testing.assert_allclose(ours, expected, atol=1e-11)


def test_vacuum_may_be_shorter_in_the_mean_field():
    chain = Geometry(
        ("H", "H"), np.array([[0.0, 39.0, -0.5], [1.8, 0.5, 0.7]]), np.diag([3.6, 40.0, 40.0])
    )
    twist = np.array([0.2, 0.0, 0.0])
    mean_field = solve(
        chain,
        DOUBLE,
        2,
        2,
        0,
        twist,
        MeanFieldConfig(basis="sto-3g", vacuum_bohr=16.0, integrals="gdf"),
    )
    np.testing.assert_allclose(np.diag(mean_field.lattice), [3.6, 16.0, 16.0])
    distance = np.linalg.norm(mean_field.positions[1] - mean_field.positions[0])
    assert distance == pytest.approx(np.linalg.norm([1.8, 1.5, 1.2]))
    system = simulation(chain, DOUBLE, twist, 2, 2)
    reference = make_reference(mean_field, system, DOUBLE, complex_orbitals=True, dtype=jnp.float64)
    near = np.random.default_rng(0).normal(size=(8, 3)) + [0, 39.0, 0.0]
    expected = pyscf_orbitals(
        mean_field,
        Geometry(chain.symbols, mean_field.positions, mean_field.lattice),
        near - chain.positions[0] + mean_field.positions[0],
        "sto-3g",
    )
    np.testing.assert_allclose(
        evaluate_orbitals(reference, jnp.asarray(near), system)[0], expected, atol=1e-6
    )


def test_sampling_is_a_regular_mesh_of_the_same_lattice():
    S, twist = np.array([[1, 2, 0], [-1, 1, 1], [0, 1, 3]]), np.array([0.1, 0.2, -0.3])
    points = sampling(H2, S, twist, None)
    translations = np.linalg.solve(H2.lattice.T, points.lattice.T).T
    np.testing.assert_allclose(translations, np.round(translations), atol=1e-10)
    assert np.linalg.det(translations) == pytest.approx(1)
    phases = points.kpoints @ (S @ H2.lattice).T / (2 * np.pi)
    np.testing.assert_allclose(phases - twist, np.round(phases - twist), atol=1e-9)
    sizes = [len(np.unique(np.round(x, 8))) for x in points.frac.T]
    assert np.prod(sizes) == len(points.frac) == 8

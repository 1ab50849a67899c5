"""Matrices of crystals between k-points and translations: exact identities, against PySCF."""

import dataclasses

import numpy as np
import pytest

from engine.config import MeanFieldConfig
from engine.errors import ConfigError
from engine.learned import crystal, lattice
from engine.learned.orbitals import OrbitalBasis
from engine.mean_field import pyscf_crystal
from engine.mean_field.primitive import sampling
from engine.mean_field.pyscf_solver import field_of, molecule_of
from engine.system.geometry import Geometry

CHAIN = Geometry(
    ("H", "H"),
    np.array([[0.1, 8.0, 8.0], [1.7, 8.2, 7.9]]),
    np.diag([3.6, 16.0, 16.0]),
)
MEAN_FIELD = MeanFieldConfig(method="rks", basis="6-31g", convergence_ha=1e-10)
MESH = np.array([7, 1, 1])
ATOMS = np.array([0, 0, 1, 1])


@pytest.fixture(scope="module")
def label():
    return pyscf_crystal.crystal_label(CHAIN, MESH, MEAN_FIELD, "minao")


def real_space(label, matrices):
    cells = lattice.translations(MESH)
    return cells, lattice.to_translations(matrices, label.kpoints, cells @ label.lattice)


def test_the_sums_there_and_back_are_exact_and_real(label):
    for name in ("fock", "overlap", "core", "guess", "density"):
        matrices = getattr(label, name)
        cells, blocks = real_space(label, matrices)
        back = lattice.to_kpoints(blocks, label.kpoints, cells @ label.lattice)
        np.testing.assert_allclose(back, matrices, atol=1e-12, err_msg=name)
        assert np.abs(blocks.imag).max() < 1e-8, name
        opposite = {tuple(c): b for c, b in zip(cells, blocks, strict=True)}
        for cell, block in zip(cells, blocks, strict=True):
            np.testing.assert_allclose(opposite[tuple(-cell % MESH)], block.conj().T, atol=1e-10)


def test_shortest_images_change_nothing_on_the_mesh_and_keep_h_of_k_hermitian(label):
    cells, blocks = real_space(label, label.fock)
    moved, images = lattice.shortest(blocks.real, cells, MESH, label.lattice, label.atoms, ATOMS)
    vectors = images @ label.lattice
    back = lattice.to_kpoints(moved, label.kpoints, vectors)
    np.testing.assert_allclose(back, label.fock, atol=1e-10)
    there = lattice.to_kpoints(moved, np.array([[0.123, 0.0, 0.0]]), vectors)[0]
    np.testing.assert_allclose(there, there.conj().T, atol=1e-10)
    assert abs(images[:, 0]).max() <= 4 and not images[:, 1:].any()


def test_overlap_and_core_matrices_at_a_twist_between_the_points_are_those_of_pyscf(label):
    """The same path as the Hamiltonian's; the overlap from a mesh that reaches 20 bohr."""
    points = sampling(CHAIN, np.diag([2, 1, 1]), np.array([0.21, 0, 0]), None)
    cell = molecule_of(points.geometry, points, 0, 0, MEAN_FIELD)
    field = field_of(cell, points, 2, 2, MEAN_FIELD)
    dense = np.array([11, 1, 1])
    mesh_field, mesh = pyscf_crystal.crystal_field(CHAIN, dense, MEAN_FIELD)
    for name, matrices, kpoints, counts, wanted, tolerance in (
        ("overlap", mesh_field.get_ovlp(), mesh.kpoints, dense, field.get_ovlp(), 1e-9),
        ("core", label.core, label.kpoints, MESH, field.get_hcore(), 1e-4),
    ):
        cells = lattice.translations(counts)
        blocks = lattice.to_translations(np.array(matrices), kpoints, cells @ label.lattice)
        moved, images = lattice.shortest(
            blocks.real, cells, counts, label.lattice, label.atoms, ATOMS
        )
        found = lattice.to_kpoints(moved, points.kpoints, images @ label.lattice)
        np.testing.assert_allclose(found, wanted, atol=tolerance, err_msg=name)


def test_a_wrong_sign_of_the_phase_would_be_seen(label):
    cells, blocks = real_space(label, label.fock)
    wrong = lattice.to_kpoints(blocks, -label.kpoints, cells @ label.lattice)
    assert np.abs(wrong - label.fock).max() > 1e-2


def test_pairs_are_all_within_the_cutoff_and_come_with_their_opposites():
    rng = np.random.default_rng(0)
    a = np.array([[0, 3.2, 3.2], [3.2, 0, 3.2], [3.2, 3.2, 0]]) + rng.normal(size=(3, 3)) / 10
    r = np.array([[0.0, 0, 0], [1.7, 1.5, 1.6]]) + [9.0, -4.0, 1.0]
    rows, columns, cells = lattice.pairs(a, r, 8.0)
    opposite = lattice.opposite(rows, columns, cells)
    np.testing.assert_array_equal(opposite[opposite], np.arange(len(rows)))
    np.testing.assert_array_equal(rows[opposite], columns)
    many = np.array(np.meshgrid(*[range(-6, 7)] * 3)).reshape(3, -1).T
    d = np.linalg.norm(many[:, None, None] @ a + (r[None] - r[:, None]), axis=-1)
    assert len(rows) == np.sum(d < 8.0) - 2  # without an atom and itself


def test_blocks_of_a_mesh_come_back_from_the_pairs(label):
    basis, cutoff = OrbitalBasis.of({"H": (0, 0)}), 7.9
    pairs = crystal.pairs_of(label.lattice, label.atoms, cutoff)
    own = crystal.real_blocks(label.fock, label.kpoints, MESH, label.lattice)
    graph = crystal.crystal_graph(basis, CHAIN.symbols, label.lattice, label.atoms, pairs, cutoff)
    assert graph.window.max() == 1 and (np.linalg.norm(graph.vectors, axis=-1) < cutoff).all()
    blocks = crystal.crystal_blocks(
        basis, CHAIN.symbols, own, MESH, pairs, np.ones(len(pairs.rows), bool)
    )
    found, cells = crystal.to_cells(basis, CHAIN.symbols, pairs, blocks)
    back = lattice.to_kpoints(found, label.kpoints, cells @ label.lattice)
    far = np.abs(own[3]).max()  # what lies beyond the cutoff
    np.testing.assert_allclose(back, label.fock, atol=4 * far)
    wanted, images = lattice.shortest(
        own, lattice.translations(MESH), MESH, label.lattice, label.atoms, ATOMS
    )
    known = {tuple(c): m for c, m in zip(images, wanted, strict=True)}
    for block, cell in zip(found, cells, strict=True):
        inside = block != 0
        np.testing.assert_allclose(block[inside], known[tuple(cell)][inside], atol=1e-12)


def test_a_mesh_too_small_for_the_cutoff_is_refused():
    crystal.check_reach(CHAIN.lattice, MESH, 8.0, "here")
    with pytest.raises(ConfigError, match="(?s)at most 5.40 bohr.*raise labels.kmesh"):
        crystal.check_reach(CHAIN.lattice, np.array([3, 1, 1]), 8.0, "here")


def test_an_odd_number_of_electrons_on_the_mesh_is_refused():
    one = dataclasses.replace(CHAIN, symbols=("H",), positions=CHAIN.positions[:1])
    with pytest.raises(ConfigError, match="7 electrons on 7 k-points"):
        pyscf_crystal.crystal_field(one, MESH, MEAN_FIELD)


def test_the_true_hamiltonian_gives_the_true_energy(label):
    field, _ = pyscf_crystal.crystal_field(CHAIN, MESH, MEAN_FIELD)
    found = pyscf_crystal.crystal_physics(field, label.fock)
    assert found.energy == pytest.approx(label.energy, abs=1e-8)
    assert found.residual < 1e-5
    count, energy = pyscf_crystal.cycles(field, found.density)
    assert count <= 2 and energy == pytest.approx(label.energy, abs=1e-9)

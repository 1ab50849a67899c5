"""Supercells: volumes, atom order, translations and folded k-points, also of skewed matrices."""

import numpy as np
import pytest

from engine.errors import ConfigError
from engine.system.geometry import Geometry
from engine.system.supercell import (
    centred,
    expand,
    folded_kpoints,
    n_cells,
    supercell_matrix,
    translations,
    twist_in_primitive,
)

FCC = 2.0 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]])
CONVENTIONAL = [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]
MATRICES = [
    [2, 1, 3],
    CONVENTIONAL,
    [[1, 1, 0], [0, 1, 0], [0, 0, 1]],
    [[2, 1, 0], [-1, 3, 1], [0, 1, 2]],
]


def matrix(value):
    return supercell_matrix(value, where="m.yaml, key 'supercell'")


def rocksalt():
    return Geometry(("Li", "H"), np.array([[0.1, 0.2, 0.3], [2.1, 0.2, 0.3]]), FCC)


def test_three_integers_are_the_diagonal():
    S = matrix([2, 1, 3])
    np.testing.assert_array_equal(S, np.diag([2, 1, 3]))
    assert S.dtype.kind == "i"
    assert n_cells(S) == 6


def test_conventional_fcc_cell_is_cubic_with_four_cells():
    S = matrix(CONVENTIONAL)
    assert n_cells(S) == 4
    cell = expand(rocksalt(), S)
    np.testing.assert_allclose(cell.lattice, 4.0 * np.eye(3), atol=1e-14)
    expected = {(0, 0, 0), (0, 2, 2), (2, 0, 2), (2, 2, 0)}
    lithium = cell.positions[::2] - cell.positions[0]
    assert {tuple(int(x) for x in np.round(p) % 4) for p in lithium} == expected


def test_translations_of_a_diagonal_supercell_are_in_reading_order():
    expected = [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    np.testing.assert_array_equal(translations(matrix([2, 1, 2])), expected)


@pytest.mark.parametrize("value", MATRICES)
def test_translations_are_a_complete_set(value):
    S = matrix(value)
    found = translations(S)
    assert len(found) == n_cells(S) == round(np.linalg.det(np.array(S, float)))
    assert not found[0].any()
    along = found @ np.linalg.inv(S)
    assert np.all(along > -1e-12) and np.all(along < 1 - 1e-12)
    between = (found[:, None] - found[None]) @ np.linalg.inv(S)
    equivalent = np.all(np.abs(between - np.round(between)) < 1e-9, axis=-1)
    np.testing.assert_array_equal(equivalent, np.eye(len(found), dtype=bool))


@pytest.mark.parametrize("value", MATRICES)
def test_atoms_come_cell_by_cell(value):
    primitive, S = rocksalt(), matrix(value)
    cell = expand(primitive, S)
    assert cell.symbols == ("Li", "H") * n_cells(S)
    for c, n in enumerate(translations(S)):
        np.testing.assert_allclose(
            cell.positions[2 * c : 2 * c + 2], primitive.positions + n @ FCC, atol=1e-13
        )
    np.testing.assert_allclose(
        np.linalg.det(cell.lattice), n_cells(S) * np.linalg.det(FCC), rtol=1e-13
    )


@pytest.mark.parametrize("value", MATRICES)
def test_folded_kpoints_are_reciprocal_vectors_of_the_supercell(value):
    S = matrix(value)
    lattice, reciprocal = S @ FCC, 2 * np.pi * np.linalg.inv(FCC).T
    frac = folded_kpoints(S)
    phase = np.exp(1j * (frac @ reciprocal) @ lattice.T)
    np.testing.assert_allclose(phase, 1.0, atol=1e-12)
    assert frac.shape == (n_cells(S), 3) and not frac[0].any()
    assert np.all(frac > -0.5) and np.all(frac <= 0.5)
    # Completeness: plane waves at different k-points are orthogonal over the cell's translations.
    waves = np.exp(2j * np.pi * translations(S) @ frac.T)
    np.testing.assert_allclose(waves.conj().T @ waves, n_cells(S) * np.eye(n_cells(S)), atol=1e-11)


def test_folded_kpoints_of_the_conventional_fcc_cell_are_gamma_and_three_x():
    found = {tuple(k) for k in folded_kpoints(matrix(CONVENTIONAL)).tolist()}
    assert found == {(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)}


@pytest.mark.parametrize("value", MATRICES)
def test_twist_in_primitive_is_the_same_cartesian_vector(value):
    S, twist = matrix(value), np.array([0.25, -0.1, 0.5])
    of_supercell = 2 * np.pi * np.linalg.inv(S @ FCC).T
    of_primitive = 2 * np.pi * np.linalg.inv(FCC).T
    np.testing.assert_allclose(
        twist_in_primitive(S, twist) @ of_primitive, twist @ of_supercell, atol=1e-13
    )


def test_an_open_geometry_is_its_own_supercell():
    molecule = Geometry(("H",), np.zeros((1, 3)))
    assert expand(molecule, np.eye(3, dtype=int)) is molecule


def test_centred_includes_one_half_only():
    np.testing.assert_allclose(
        centred(np.array([0.5, -0.5, 0.75, 1.0, -0.25, 0.5 + 1e-13])),
        [0.5, 0.5, -0.25, 0.0, -0.25, 0.5],
        atol=1e-12,
    )


@pytest.mark.parametrize(
    "value, message",
    [
        ([2, 0, 1], "singular: its determinant is 0"),
        ([[1, 0, 0], [2, 0, 0], [0, 0, 1]], "singular"),
        ([2, 1, -1], "left-handed: its determinant is -2"),
        ([1.5, 1, 1], "not made of integers"),
        ([2, 1], "the supercell is [2, 1]"),
        ([[1, 0, 0], [0, 1], [0, 0, 1]], "the supercell is"),
        ("2x1x1", "the supercell is 2x1x1"),
    ],
)
def test_bad_supercells_are_refused(value, message):
    with pytest.raises(ConfigError) as caught:
        matrix(value)
    text = str(caught.value)
    assert text.startswith("m.yaml, key 'supercell': ") and message in text
    assert "expected: three positive integers, or a 3 x 3 integer matrix" in text
    assert "remedy:" in text

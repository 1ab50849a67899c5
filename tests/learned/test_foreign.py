"""Public sets of Hamiltonians: small files of their layouts, written from PySCF's own matrices."""

import dataclasses
import sqlite3

import numpy as np
import pytest

from engine.config import MeanFieldConfig
from engine.errors import DataError
from engine.io.foreign_labels import Matrices, read_md17, read_qh9
from engine.io.labels import read_labels, write_labels
from engine.mean_field import pyscf_labels
from engine.stage.foreign import ORDERS, adopt, reordered
from engine.system.geometry import Geometry
from engine.units import BOHR_ANGSTROM

OPTIONS = MeanFieldConfig(method="rhf", basis="6-31g*", convergence_ha=1e-11)
SYMBOLS, CHARGES = ("O", "H", "H"), np.array([8, 1, 1], np.int32)
WATERS = [
    np.array([[0.0, 0.1 * k, 0.22], [0.05, 1.43, -0.9], [0.0, -1.43, -0.9]]) for k in range(2)
]
SHELLS = {"O": [0, 0, 0, 1, 1, 2], "H": [0, 0]}


@pytest.fixture(scope="module")
def labels():
    return [pyscf_labels.label(Geometry(SYMBOLS, r), 0, OPTIONS, "minao") for r in WATERS]


def qh9(path, labels):
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE data (id INTEGER, N INTEGER, Z BLOB, pos BLOB, Ham BLOB)")
        for number, (r, label) in enumerate(zip(WATERS, labels, strict=True)):
            row = (
                number,
                3,
                CHARGES.tobytes(),
                (r * BOHR_ANGSTROM).tobytes(),
                label.fock.tobytes(),
            )
            file.execute("INSERT INTO data VALUES (?, ?, ?, ?, ?)", row)
    return path


def as_stored(matrix, order, kind):
    """Returns a matrix in the order of a file: the inverse of what the reader does."""
    numbers = np.arange(len(matrix))
    seen = reordered(np.add.outer(100 * numbers, numbers), SYMBOLS, SHELLS, order)
    index = np.argsort(np.diag(seen) // 101)
    return matrix[np.ix_(index, index)].astype(kind)


def md17(path, labels, order, kind=np.float64):
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE nuclear_charges (id INTEGER, N INTEGER, Z BLOB)")
        file.execute("INSERT INTO nuclear_charges VALUES (0, 3, ?)", (CHARGES.tobytes(),))
        file.execute(
            "CREATE TABLE data (id INTEGER, R BLOB, E FLOAT, F BLOB, H BLOB, S BLOB, C BLOB)"
        )
        for number, (r, label) in enumerate(zip(WATERS, labels, strict=True)):
            matrices = [
                as_stored(m, order, kind).tobytes() for m in (label.fock, label.overlap, label.core)
            ]
            row = (number, r.astype(kind).tobytes(), label.energy, b"", *matrices)
            file.execute("INSERT INTO data VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    return path


def test_a_file_of_the_layout_of_qh9_becomes_a_labelled_set(tmp_path, labels):
    found = adopt(read_qh9(qh9(tmp_path / "q.db", labels)), OPTIONS, "minao", [0, 2])
    write_labels(tmp_path / "labels.h5", found, "fp")
    stored = read_labels(tmp_path / "labels.h5")
    for g, label in enumerate(labels):
        for name, tolerance in (("fock", 1e-12), ("overlap", 1e-10), ("guess", 1e-8)):
            np.testing.assert_allclose(
                getattr(stored, name)[g], getattr(label, name), atol=tolerance
            )
        assert stored.energy[g] == pytest.approx(label.energy, abs=1e-8)
        np.testing.assert_allclose(stored.forces[g], label.forces, atol=1e-5)
    np.testing.assert_allclose(stored.positions, WATERS, atol=1e-12)
    assert stored.split.tolist() == [0, 2] and stored.shells == SHELLS


@pytest.mark.parametrize("order", ORDERS)
def test_the_order_of_orbitals_of_an_md17_file_is_found(tmp_path, labels, order, caplog):
    records = list(read_md17(md17(tmp_path / "m.db", labels, order), limit=1))
    assert len(records) == 1 and records[0].symbols == SYMBOLS
    with caplog.at_level("INFO"):
        found = adopt(records, OPTIONS, "minao", [0])
    assert f"order '{order}'" in caplog.text
    np.testing.assert_allclose(found.fock[0], labels[0].fock, atol=1e-12)
    overlap = reordered(records[0].overlap, SYMBOLS, SHELLS, order)
    np.testing.assert_allclose(overlap, labels[0].overlap, atol=1e-12)


def test_single_precision_files_are_read(tmp_path, labels):
    path = md17(tmp_path / "m.db", labels, "zero-first", np.float32)
    found = adopt(read_md17(path), OPTIONS, "minao", [0, 0])
    np.testing.assert_allclose(found.fock[1], labels[1].fock, atol=3e-6)


def test_another_functional_unit_or_basis_is_noticed(tmp_path, labels):
    path = qh9(tmp_path / "q.db", labels)
    other = dataclasses.replace(OPTIONS, method="rks", functional="pbe")
    with pytest.raises(DataError, match="not self-consistent"):
        adopt(read_qh9(path), other, "minao", [0, 0])
    with pytest.raises(DataError, match="not self-consistent"):
        adopt(read_qh9(path, unit="bohr"), OPTIONS, "minao", [0, 0])
    with pytest.raises(DataError, match="13 orbitals of basis 6-31g"):
        adopt(read_qh9(path), dataclasses.replace(OPTIONS, basis="6-31g"), "minao", [0, 0])


def test_every_record_is_checked(tmp_path, labels):
    first, second = read_md17(md17(tmp_path / "m.db", labels, "pyscf"))
    swapped = dataclasses.replace(second, symbols=("H", "O", "H"))
    with pytest.raises(DataError, match="record 1(.|\n)*O H H, in this order"):
        adopt([first, swapped], OPTIONS, "minao", [0, 0])
    noisy = dataclasses.replace(second, fock=second.fock + 1e-3 * np.eye(len(second.fock))[::-1])
    with pytest.raises(DataError, match="record 1(.|\n)*below"):
        adopt([first, noisy], OPTIONS, "minao", [0, 0])
    other = dataclasses.replace(second, energy=second.energy - 0.037)
    with pytest.raises(DataError, match="the file says(.|\n)*b3lyp or b3lyp5"):
        adopt([first, other], OPTIONS, "minao", [0, 0])


def test_the_two_definitions_of_b3lyp_are_told_apart():
    """Their matrices have nearly the same density, their energies differ by 37 mHa."""
    geometry = Geometry(SYMBOLS, WATERS[0])
    theirs = dataclasses.replace(OPTIONS, method="rks", functional="b3lyp5", basis="6-31g")
    label = pyscf_labels.label(geometry, 0, theirs, "minao")
    record = Matrices(SYMBOLS, WATERS[0], label.fock)
    adopt([record], theirs, "minao", [0])
    with pytest.raises(DataError, match="b3lyp or b3lyp5"):
        adopt([record], dataclasses.replace(theirs, functional="b3lyp"), "minao", [0])


def test_files_of_another_layout_are_refused(tmp_path, labels):
    with pytest.raises(DataError, match="no such file"):
        list(read_qh9(tmp_path / "none.db"))
    (tmp_path / "text.db").write_text("this is no database, it is a text of some length")
    with pytest.raises(DataError, match="not of this layout"):
        list(read_qh9(tmp_path / "text.db"))
    with pytest.raises(DataError, match="not of this layout"):
        list(read_md17(qh9(tmp_path / "q.db", labels)))
    with pytest.raises(DataError, match="not of this layout"):
        list(read_qh9(md17(tmp_path / "m.db", labels, "pyscf")))

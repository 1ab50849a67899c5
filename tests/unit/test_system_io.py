"""The system file: what is written is what is read."""

import subprocess
import sys
from pathlib import Path

import ase.io
import jax.numpy as jnp
import numpy as np
import pytest

from engine.errors import DataError
from engine.io import hdf5
from engine.io.structure import read_structure, write_extxyz
from engine.io.system import read_system, write_system
from engine.system.geometry import Geometry
from engine.system.supercell import expand

PRIMITIVE = Geometry(
    ("Li", "H"),
    np.array([[0.1, 0.2, 0.3], [2.1, 0.2, 0.3]]),
    2.0 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0.0]]),
)
S = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])


def written(path):
    simulation = expand(PRIMITIVE, S)
    write_system(path, simulation, S, PRIMITIVE, 9, 7, "abc")
    return simulation


def test_crystal_round_trip(tmp_path):
    simulation = written(tmp_path / "system.h5")
    file = read_system(tmp_path / "system.h5")
    np.testing.assert_array_equal(file.supercell, S)
    assert (file.n_cells, file.n_atoms, file.fingerprint) == (4, 2, "abc")
    np.testing.assert_array_equal(file.primitive.positions, PRIMITIVE.positions)
    np.testing.assert_array_equal(file.primitive.lattice, PRIMITIVE.lattice)
    system = file.system
    assert system.cell.periodic and system.symbols == ("Li", "H") * 4
    np.testing.assert_array_equal(system.cell.lattice, simulation.lattice)
    np.testing.assert_array_equal(system.positions, simulation.positions)
    np.testing.assert_array_equal(system.charges, [3, 1] * 4)
    np.testing.assert_array_equal(system.twist, np.zeros(3))
    assert all(
        x.dtype == jnp.float64
        for x in (system.cell.lattice, system.positions, system.charges, system.twist)
    )
    assert [(s.name, s.count, s.charge, s.mass) for s in system.species] == [
        ("up", 9, -1.0, 1.0),
        ("down", 7, -1.0, 1.0),
    ]


def test_molecule_round_trip_leaves_out_the_empty_species(tmp_path):
    atom = Geometry(("H",), np.zeros((1, 3)))
    write_system(tmp_path / "system.h5", atom, np.eye(3), atom, 1, 0, "f")
    file = read_system(tmp_path / "system.h5")
    assert not file.system.cell.periodic and file.primitive.lattice is None
    assert [s.name for s in file.system.species] == ["up"]
    assert file.n_cells == 1


def test_positions_carry_their_unit(tmp_path):
    import h5py

    written(tmp_path / "system.h5")
    with h5py.File(tmp_path / "system.h5") as file:
        units = {
            name: file[name].attrs["unit"]
            for name in (
                "cell/lattice",
                "cell/primitive_lattice",
                "nuclei/position",
                "primitive/position",
            )
        }
        assert set(units.values()) == {"bohr"}
        assert file["nuclei/charge"].attrs["unit"] == "e"


def test_another_kind_of_file_is_refused(tmp_path):
    hdf5.write(tmp_path / "x.h5", "mean_field", {"a": np.zeros(1)}, fingerprint="f")
    with pytest.raises(DataError, match="kind 'mean_field'"):
        read_system(tmp_path / "x.h5")


def test_extxyz_is_in_angstrom_and_periodic(tmp_path):
    write_extxyz(tmp_path / "deep" / "structure.extxyz", PRIMITIVE)
    atoms = ase.io.read(tmp_path / "deep" / "structure.extxyz")
    assert atoms.get_distance(0, 1) == pytest.approx(2.0 * 0.529177210544, abs=1e-7)
    assert atoms.pbc.all() and atoms.get_chemical_formula() == "HLi"
    back = read_structure(tmp_path / "deep" / "structure.extxyz", where="here")
    np.testing.assert_allclose(back.positions, PRIMITIVE.positions, atol=1e-7)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["structure.extxyz"]


def test_extxyz_on_a_read_only_place_is_a_data_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="could not write"):
        write_extxyz(tmp_path / "file" / "structure.extxyz", PRIMITIVE)


@pytest.mark.parametrize(
    "modules, forbidden",
    [
        ("engine.system.material, engine.system.twists, engine.stage.structure", "jax"),
        ("engine.io.system", "ase spglib"),
    ],
)
def test_imports_stay_light(modules, forbidden):
    """The Snakefile must not import JAX, the GPU side neither ASE nor spglib."""
    code = (
        f"import sys, {modules}\n"
        f"found = [m for m in '{forbidden}'.split() if m in sys.modules]\n"
        "assert not found, found"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr

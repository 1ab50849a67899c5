"""The mean-field file: what is written comes back, what does not fit is refused."""

import dataclasses

import h5py
import numpy as np
import pytest

from engine.errors import DataError
from engine.io import hdf5
from engine.io.mean_field import KIND, MeanField, Shell, read_mean_field, write_mean_field


def example(**changes) -> MeanField:
    rng = np.random.default_rng(0)
    shells = (
        Shell(0, 0, np.array([3.0, 0.5]), rng.normal(size=(2, 2))),
        Shell(0, 1, np.array([0.7]), rng.normal(size=(1, 1))),
        Shell(1, 0, np.array([9.0, 1.0, 0.2]), rng.normal(size=(3, 1))),
    )
    coeff = rng.normal(size=(2, 3, 6, 5)) + 1j * rng.normal(size=(2, 3, 6, 5))
    energy = rng.normal(size=(2, 3, 5))
    energy[0, 1, 4] = np.inf
    values = dict(
        kpoints=rng.normal(size=(3, 3)),
        coeff=coeff,
        energy=energy,
        occupation=(energy < 0) * 1.0,
        shells=shells,
        symbols=("Li", "H"),
        positions=rng.normal(size=(2, 3)),
        lattice=5 * np.eye(3),
        twist=np.array([0.1, 0, -0.5]),
        total=-8.25,
        nuclear=1.5,
        gap=0.125,
        converged=True,
        n_cells=3,
        method="rhf",
        basis="6-31g",
        system_fingerprint="abc",
        pyscf_version="2.14.0",
        fingerprint="fp",
    )
    return MeanField(**{**values, **changes})


@pytest.mark.parametrize("changes", [{}, {"lattice": None}, {"gap": np.inf}])
def test_round_trip(tmp_path, changes):
    written = example(**changes)
    write_mean_field(tmp_path / "a.h5", written, "fp")
    back = read_mean_field(tmp_path / "a.h5")
    for field in dataclasses.fields(MeanField):
        old, new = getattr(written, field.name), getattr(back, field.name)
        if field.name == "shells":
            for x, y in zip(old, new, strict=True):
                assert (x.atom, x.angular) == (y.atom, y.angular)
                np.testing.assert_array_equal(x.exponents, y.exponents)
                np.testing.assert_array_equal(x.coefficients, y.coefficients)
        elif isinstance(old, np.ndarray):
            np.testing.assert_array_equal(old, new)
            assert old.dtype == new.dtype
        else:
            assert old == new and type(old) is type(new), field.name
    assert back.simulation_energy == -24.75


def test_units_and_fingerprint_are_in_the_file(tmp_path):
    write_mean_field(tmp_path / "a.h5", example(), "fp")
    assert hdf5.read(tmp_path / "a.h5", KIND).fingerprint == "fp"
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["kpoints"].attrs["unit"] == "1/bohr"
        assert file["total"].attrs["unit"] == "hartree per primitive cell"


@pytest.mark.parametrize(
    "changes",
    [
        {"coeff": np.zeros((2, 3, 5, 5), complex)},
        {"kpoints": np.zeros((2, 3))},
        {"positions": np.zeros((1, 3))},
        {"occupation": np.zeros((2, 3, 4))},
    ],
)
def test_shapes_that_do_not_fit_are_refused(tmp_path, changes):
    write_mean_field(tmp_path / "a.h5", example(**changes), "fp")
    with pytest.raises(DataError, match="a.h5"):
        read_mean_field(tmp_path / "a.h5")


def test_incomplete_file_is_refused(tmp_path):
    hdf5.write(tmp_path / "a.h5", KIND, {"total": 1.0}, fingerprint="fp")
    with pytest.raises(DataError, match="is missing"):
        read_mean_field(tmp_path / "a.h5")

"""Cells and shells of the electron gas, and what is refused before anything runs."""

import dataclasses

import numpy as np
import pytest

from engine import config
from engine.errors import ConfigError
from engine.library import read_material
from engine.system.electron_gas import LATTICES, electron_gas, occupied, shells
from engine.system.twists import enumerate_twists

GAS = {"kind": "electron-gas", "rs": 2.0, "electrons": 14, "polarisation": 0}
PLANE = {"method": "plane-waves"}


def material(tmp_path, structure=(), mean_field=(), **keys):
    content = {"structure": GAS | dict(structure), "mean_field": PLANE | dict(mean_field)} | keys
    path = tmp_path / "gas.yaml"
    path.write_text(repr(content))
    return read_material(path)


def refuse(tmp_path, key, what, expected, *args, **keys):
    with pytest.raises(ConfigError) as caught:
        material(tmp_path, *args, **keys)
    text = str(caught.value)
    assert f"key '{key}'" in text and what in text and expected in text, text


@pytest.mark.parametrize(
    "lattice, sizes",
    [
        ("sc", [1, 7, 19, 27, 33, 57]),
        ("bcc", [1, 13, 19, 43, 55]),
        ("fcc", [1, 9, 15, 27, 51]),
    ],
)
def test_closed_shells_at_gamma(lattice, sizes):
    found = np.cumsum([len(s) for s in shells(LATTICES[lattice], np.zeros(3), sizes[-1])])
    np.testing.assert_array_equal(found[: len(sizes)], sizes)


def test_shells_at_a_twist_are_the_lowest_waves_of_a_large_cube():
    lattice, twist = LATTICES["fcc"] @ np.diag([1.0, 1.2, 0.7]), np.array([0.31, -0.2, 0.45])
    waves = occupied(lattice, twist, 40, open_shell="refuse", where="")
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    cube = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3), -1).reshape(-1, 3)
    length = lambda w: np.linalg.norm((w + twist) @ reciprocal, axis=1)
    np.testing.assert_allclose(np.sort(length(waves)), np.sort(length(cube))[:40], rtol=1e-12)


def test_an_open_shell_is_refused_with_the_next_closed_ones(tmp_path):
    refuse(
        tmp_path, "open_shell", "10 electrons of one spin", "7 or 19", {"electrons": 20, "rs": 1.0}
    )
    assert material(tmp_path, {"electrons": 20}, {"open_shell": "ordered"}).n_electrons == 20


def test_an_ordered_open_shell_is_filled_by_falling_integers():
    waves = occupied(np.eye(3), np.zeros(3), 3, open_shell="ordered", where="")
    np.testing.assert_array_equal(waves, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])


def test_density():
    section = config.ElectronGasStructure("electron-gas", 2.5, 5, 0.2)
    rows = [[1.0, 0, 0], [0.5, 3, 0], [0, 0, 1]]
    for keys in ({"lattice": "sc"}, {"lattice": "bcc"}, {"lattice_rows": rows}):
        geometry = electron_gas(dataclasses.replace(section, **keys), "gas")
        volume = abs(np.linalg.det(geometry.lattice))
        assert volume == pytest.approx(5 * 4 / 3 * np.pi * 2.5**3)
        assert (geometry.n_atoms, geometry.background) == (0, 5)


def test_twists_are_folded_by_the_point_group_of_the_lattice(tmp_path):
    grid = {"grid": [2, 2, 2], "shift": [0.5, 0.5, 0.5]}
    twists = material(tmp_path, twists=grid).twists
    assert [(t.frac, t.weight) for t in twists] == [((0.25, 0.25, 0.25), 1.0)]
    geometry = electron_gas(config.ElectronGasStructure("electron-gas", 1.0, 2), "gas")
    section = config.TwistConfig(grid=[4, 4, 4])
    weights = [t.weight for t in enumerate_twists(section, geometry, where="gas")]
    assert len(weights) == 10 and sum(weights) == pytest.approx(1)


def test_twists_of_an_electron_crystal_are_folded_by_its_own_symmetries():
    geometry = electron_gas(config.ElectronGasStructure("electron-gas", 50.0, 8), "gas")
    section = config.TwistConfig(grid=[2, 2, 2])
    for sites, count in (([2, 2, 2], 4), ([1, 2, 4], 8), ([2, 2, 1], 6)):
        twists = enumerate_twists(section, geometry, where="gas", sites=sites)
        assert len(twists) == count and sum(t.weight for t in twists) == pytest.approx(1)


def test_bad_numbers(tmp_path):
    refuse(tmp_path, "rs", "found 0", "above 0", {"rs": 0})
    refuse(tmp_path, "rs", "found -1", "above 0", {"rs": -1})
    refuse(tmp_path, "electrons", "found 0", "at least 1", {"electrons": 0})
    refuse(tmp_path, "polarisation", "0.4 is impossible", "0.428571429", {"polarisation": 0.4})
    refuse(tmp_path, "lattice_rows", "no volume", "independent", {"lattice_rows": [[1, 0, 0]] * 3})
    refuse(tmp_path, "lattice", "hcp", "bcc", {"lattice": "hcp"})


def test_what_the_section_says_is_not_said_twice(tmp_path):
    refuse(tmp_path, "spin", "'spin' of an electron gas is 2", "0", spin=2)
    refuse(tmp_path, "charge", "'charge' of an electron gas is 1", "0", charge=1)
    refuse(tmp_path, "supercell", "'supercell'", "[1, 1, 1]", supercell=[2, 1, 1])


def test_plane_waves_are_for_the_electron_gas_alone(tmp_path):
    refuse(tmp_path, "method", "rhf without nuclei", "plane-waves", (), {"method": "rhf"})
    hydrogen = {"kind": "atoms", "species": ["H"], "positions_bohr": [[0, 0, 0]]}
    path = tmp_path / "h.yaml"
    path.write_text(repr({"structure": hydrogen, "spin": 1, "mean_field": PLANE}))
    with pytest.raises(ConfigError, match="plane-waves with nuclei"):
        read_material(path)

"""Structures of every kind: distances known by hand, and what is refused with which words."""

from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest

from engine import config
from engine.errors import ConfigError
from engine.system.geometry import ELEMENTS
from engine.system.prototypes import build
from engine.units import BOHR_ANGSTROM


def make(folder=Path("."), **section):
    cls = config.STRUCTURES[section["kind"]]
    return build(
        config.parse(cls, section, where="m.yaml, key 'structure'"),
        where="m.yaml, key 'structure'",
        folder=folder,
    )


def refuse(*words, folder=Path("."), **section):
    with pytest.raises(ConfigError) as caught:
        make(folder, **section)
    text = str(caught.value)
    assert text.startswith("m.yaml, key 'structure'")
    for word in words:
        assert word in text, text


def distances(geometry, first, reach=2):
    """Sorted distances of all periodic images from one atom, bohr."""
    n = np.array(np.meshgrid(*[range(-reach, reach + 1)] * 3)).reshape(3, -1).T
    images = geometry.positions[:, None] + (n @ geometry.lattice)[None]
    return np.sort(np.linalg.norm(images - geometry.positions[first], axis=-1).ravel())[1:]


def prototype(name, *species, **lengths):
    return make(kind="prototype", prototype=name, species=list(species), **lengths)


# --- what is built ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, species, volume, neighbour, count",
    [
        ("sc", ["H"], 64.0, 4.0, 6),
        ("bcc", ["Li"], 32.0, 4.0 * np.sqrt(3) / 2, 8),
        ("fcc", ["Al"], 16.0, 4.0 / np.sqrt(2), 12),
        ("diamond", ["C"], 16.0, np.sqrt(3), 4),
        ("zincblende", ["B", "N"], 16.0, np.sqrt(3), 4),
        ("rocksalt", ["Li", "H"], 16.0, 2.0, 6),
        ("cesiumchloride", ["Cs", "Cl"], 64.0, 4.0 * np.sqrt(3) / 2, 8),
        ("fluorite", ["Ca", "F"], 16.0, np.sqrt(3), 8),
    ],
)
def test_cubic_prototypes(name, species, volume, neighbour, count):
    """Volume of the primitive cell, distance and number of nearest neighbours for a = 4 bohr."""
    geometry = prototype(name, *species, a_bohr=4.0)
    assert abs(np.linalg.det(geometry.lattice)) == pytest.approx(volume, rel=1e-13)
    shell = distances(geometry, 0)
    np.testing.assert_allclose(shell[:count], neighbour, rtol=1e-13)
    assert shell[count] > neighbour * 1.1
    assert set(geometry.symbols) == set(species)


def test_fluorite_has_two_anions():
    assert prototype("fluorite", "Ca", "F", a_bohr=10.3).symbols == ("Ca", "F", "F")


@pytest.mark.parametrize("name, species, atoms", [("hcp", ["Be"], 2), ("wurtzite", ["B", "N"], 4)])
def test_hexagonal_prototypes(name, species, atoms):
    geometry = prototype(name, *species, a_bohr=4.0, c_bohr=7.0)
    assert geometry.n_atoms == atoms
    assert np.linalg.det(geometry.lattice) == pytest.approx(16.0 * np.sqrt(3) / 2 * 7.0)


def test_angstrom_uses_the_constants_of_the_engine():
    geometry = prototype("rocksalt", "Li", "H", a_angstrom=4.061)
    assert np.linalg.det(geometry.lattice) == pytest.approx(
        (4.061 / BOHR_ANGSTROM) ** 3 / 4, rel=1e-14
    )


def test_graphene_is_a_layer_in_the_middle_of_its_vacuum():
    geometry = prototype("graphene", "C", a_bohr=4.0, vacuum_bohr=50.0)
    assert geometry.symbols == ("C", "C") and geometry.periodic
    np.testing.assert_allclose(geometry.lattice[2], [0, 0, 50], atol=1e-13)
    np.testing.assert_allclose(geometry.positions[:, 2], 25.0)
    np.testing.assert_allclose(distances(geometry, 0)[:3], 4.0 / np.sqrt(3), rtol=1e-13)
    assert prototype("graphene", "B", "N", a_bohr=4.0, vacuum_bohr=50.0).symbols == ("B", "N")


def test_periodic_chain():
    geometry = make(kind="chain", species="H", n_atoms=2, spacing_bohr=1.8, vacuum_bohr=100)
    np.testing.assert_allclose(geometry.lattice, np.diag([3.6, 100, 100]))
    np.testing.assert_allclose(geometry.positions, [[0.9, 50, 50], [2.7, 50, 50]])


def test_open_chain_is_centred():
    geometry = make(kind="chain", species="H", n_atoms=3, spacing_bohr=1.5, periodic=False)
    assert not geometry.periodic
    np.testing.assert_allclose(
        geometry.positions, [[-1.5, 0, 0], [0, 0, 0], [1.5, 0, 0]], atol=1e-15
    )


def test_molecule_by_name():
    geometry = make(kind="molecule", name="H2O")
    assert geometry.symbols == ("O", "H", "H") and not geometry.periodic
    bonds = np.linalg.norm(geometry.positions[1:] - geometry.positions[0], axis=1) * BOHR_ANGSTROM
    np.testing.assert_allclose(bonds, 0.9685, atol=1e-3)


def test_atoms_in_three_notations_agree():
    lattice = [[8.0, 0, 0], [0, 8.0, 0], [1.0, 0, 9.0]]
    frac = [[0, 0, 0], [0.5, 0.25, 0.5]]
    bohr = (np.array(frac) @ lattice).tolist()
    angstrom = (np.array(bohr) * BOHR_ANGSTROM).tolist()
    by_frac = make(kind="atoms", species=["Li", "H"], frac_positions=frac, lattice_bohr=lattice)
    by_bohr = make(kind="atoms", species=["Li", "H"], positions_bohr=bohr, lattice_bohr=lattice)
    by_angstrom = make(
        kind="atoms",
        species=["Li", "H"],
        positions_angstrom=angstrom,
        lattice_angstrom=(np.array(lattice) * BOHR_ANGSTROM).tolist(),
    )
    for other in (by_bohr, by_angstrom):
        np.testing.assert_allclose(other.positions, by_frac.positions, rtol=1e-13)
        np.testing.assert_allclose(other.lattice, by_frac.lattice, rtol=1e-13)


@pytest.mark.parametrize(
    "name, format",
    [("POSCAR", None), ("lih.cif", None), ("lih.extxyz", None), ("odd.name", "vasp")],
)
def test_structure_files(tmp_path, name, format):
    crystal = ase.Atoms("LiH", [[0, 0, 0], [2.0, 2.0, 2.0]], cell=[4.0, 4.0, 4.0], pbc=True)
    ase.io.write(tmp_path / name, crystal, format=format)
    section = {"format": format} if format else {}
    geometry = make(tmp_path, kind="file", path=name, **section)
    assert geometry.symbols == ("Li", "H")
    np.testing.assert_allclose(geometry.lattice * BOHR_ANGSTROM, 4.0 * np.eye(3), atol=1e-6)
    np.testing.assert_allclose(geometry.positions[1] * BOHR_ANGSTROM, 2.0, atol=1e-6)


def test_files_without_periodicity_are_molecules_and_partial_periodicity_is_full(tmp_path):
    atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    ase.io.write(tmp_path / "h2.xyz", atoms)
    assert not make(tmp_path, kind="file", path="h2.xyz").periodic
    layer = ase.Atoms("C", cell=[2.0, 2.0, 15.0], pbc=[True, True, False])
    ase.io.write(tmp_path / "layer.extxyz", layer)
    assert make(tmp_path, kind="file", path="layer.extxyz").lattice[2, 2] == pytest.approx(
        15 / BOHR_ANGSTROM
    )


def test_elements_in_order_of_charge():
    assert len(ELEMENTS) == len(set(ELEMENTS)) == 118
    numbers = {
        "H": 1,
        "Ne": 10,
        "Ca": 20,
        "Zn": 30,
        "Zr": 40,
        "Xe": 54,
        "Lu": 71,
        "Pb": 82,
        "Og": 118,
    }
    assert {symbol: ELEMENTS.index(symbol) + 1 for symbol in numbers} == numbers


# --- what is refused -------------------------------------------------------------------


def test_missing_and_double_units():
    refuse(
        "'a' is missing",
        "exactly one of a_angstrom or a_bohr",
        kind="prototype",
        prototype="sc",
        species=["H"],
    )
    refuse(
        "a_angstrom and a_bohr are both given",
        "delete one",
        kind="prototype",
        prototype="sc",
        species=["H"],
        a_bohr=4.0,
        a_angstrom=2.0,
    )
    refuse(
        "'c' is missing",
        "c_angstrom or c_bohr",
        kind="prototype",
        prototype="hcp",
        species=["Be"],
        a_bohr=4.0,
    )
    refuse(
        "'vacuum' is missing",
        "vacuum_angstrom or vacuum_bohr",
        kind="prototype",
        prototype="graphene",
        species=["C"],
        a_bohr=4.0,
    )
    refuse("'vacuum' is missing", kind="chain", species="H", n_atoms=2, spacing_bohr=1.8)
    refuse("'spacing' is missing", kind="chain", species="H", n_atoms=2, vacuum_bohr=50)


def test_keys_without_meaning():
    refuse(
        "key 'c_bohr'",
        "'sc' has no 'c'",
        "delete the key",
        kind="prototype",
        prototype="sc",
        species=["H"],
        a_bohr=4.0,
        c_bohr=4.0,
    )
    refuse(
        "key 'vacuum_bohr'",
        "an open chain has no 'vacuum'",
        kind="chain",
        species="H",
        n_atoms=2,
        spacing_bohr=1.8,
        periodic=False,
        vacuum_bohr=10,
    )


def test_number_of_species():
    refuse(
        "key 'species'",
        "1 symbols for the prototype 'rocksalt'",
        "expected: 2",
        kind="prototype",
        prototype="rocksalt",
        species=["Li"],
        a_bohr=7.0,
    )


def test_unknown_elements():
    refuse(
        "unknown element 'Lii'",
        "did you mean 'Li'",
        kind="prototype",
        prototype="bcc",
        species=["Lii"],
        a_bohr=6.0,
    )
    refuse(
        "unknown element 'HE'",
        "did you mean 'He'",
        kind="atoms",
        species=["HE"],
        positions_bohr=[[0, 0, 0]],
    )
    refuse(
        "unknown element 'Q7'",
        "a chemical symbol",
        kind="chain",
        species="Q7",
        n_atoms=1,
        spacing_bohr=2.0,
        vacuum_bohr=50,
    )


def test_unknown_molecule():
    refuse(
        "key 'name'",
        "unknown molecule 'lih'",
        "did you mean 'LiH'",
        "kind: atoms",
        kind="molecule",
        name="lih",
    )


def test_atoms_on_top_of_each_other():
    refuse(
        "atoms 2 (H) and 3 (Li) are 0.1000 bohr apart",
        "at least 0.2 bohr (0.106 angstrom)",
        "unit",
        kind="atoms",
        species=["H", "H", "Li"],
        positions_bohr=[[3, 0, 0], [0, 0, 0], [0, 0.1, 0]],
    )


def test_atoms_on_top_of_each_other_across_the_boundary():
    refuse(
        "atoms 1 (H) and 2 (H) are 0.0600 bohr apart",
        "nearest periodic image",
        kind="atoms",
        species=["H", "H"],
        positions_bohr=[[0.02, 0, 0], [5.96, 0, 0]],
        lattice_bohr=[[6, 0, 0], [0, 6, 0], [0, 0, 6]],
    )


def test_bad_coordinates():
    refuse(
        "exactly one of positions_angstrom, positions_bohr, frac_positions",
        kind="atoms",
        species=["H"],
    )
    refuse(
        "positions_angstrom and positions_bohr given",
        kind="atoms",
        species=["H"],
        positions_bohr=[[0, 0, 0]],
        positions_angstrom=[[0, 0, 0]],
    )
    refuse(
        "fractional positions without a lattice",
        "lattice_angstrom or lattice_bohr",
        kind="atoms",
        species=["H"],
        frac_positions=[[0, 0, 0]],
    )
    refuse(
        "key 'positions_bohr'",
        "each of the 2 species",
        kind="atoms",
        species=["H", "H"],
        positions_bohr=[[0, 0, 0]],
    )
    refuse(
        "key 'lattice'",
        "three rows of three numbers",
        kind="atoms",
        species=["H"],
        positions_bohr=[[0, 0, 0]],
        lattice_bohr=[[1, 0, 0]],
    )


def test_bad_lattices():
    refuse(
        "lattice vector 3 has length zero",
        "vacuum",
        kind="atoms",
        species=["H"],
        positions_bohr=[[0, 0, 0]],
        lattice_bohr=[[6, 0, 0], [0, 6, 0], [0, 0, 0]],
    )
    refuse(
        "rises only 0 bohr",
        kind="atoms",
        species=["H"],
        positions_bohr=[[0, 0, 0]],
        lattice_bohr=[[6, 0, 0], [0, 6, 0], [6, 6, 0]],
    )


def test_bad_structure_files(tmp_path):
    (tmp_path / "real.cif").write_text("this is not a structure\n")
    refuse(
        "key 'path'",
        "no such file",
        "in that folder: real.cif",
        folder=tmp_path,
        kind="file",
        path="reel.cif",
    )
    refuse(
        "key 'path'",
        "cannot read the structure file",
        "real.cif",
        "the key 'format'",
        folder=tmp_path,
        kind="file",
        path="real.cif",
    )
    refuse("cannot read", folder=tmp_path, kind="file", path="real.cif", format="no-such-format")
    frame = ase.Atoms("H", cell=[4.0] * 3, pbc=True)
    ase.io.write(tmp_path / "two.extxyz", [frame, frame])
    refuse("holds 2 structures", "exactly one", folder=tmp_path, kind="file", path="two.extxyz")
    ase.io.write(
        tmp_path / "flat.extxyz", ase.Atoms("C", cell=[2.0, 2.0, 0.0], pbc=[True, True, False])
    )
    refuse("length zero", "vacuum", folder=tmp_path, kind="file", path="flat.extxyz")


def test_disordered_files_are_refused(tmp_path):
    (tmp_path / "alloy.cif").write_text("""data_alloy
_cell_length_a 4.0
_cell_length_b 4.0
_cell_length_c 4.0
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
 _atom_site_type_symbol
 _atom_site_label
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
 Si Si1 0 0 0 0.5
 Ge Ge1 0 0 0 0.5
""")
    refuse(
        "partly occupied (Si 0.5, Ge 0.5)",
        "ordered",
        folder=tmp_path,
        kind="file",
        path="alloy.cif",
    )

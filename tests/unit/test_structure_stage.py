"""The `structure` stage, its electron counts, and the materials that are shipped."""

import logging
from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml

from engine import config
from engine.errors import ConfigError
from engine.io.system import read_system
from engine.stage.structure import structure
from engine.system.material import check_material, counts_of
from engine.system.twists import enumerate_twists

MATERIALS = Path(__file__).parents[2] / "materials"
CHAIN = {"kind": "chain", "species": "H", "n_atoms": 2, "spacing_bohr": 1.8, "vacuum_bohr": 100.0}
LITHIUM = {"kind": "atoms", "species": ["Li"], "positions_bohr": [[0, 0, 0]]}


def run(folder, structure_section, name="m", **keys):
    sections = config.canonical(
        {
            "material": name,
            "structure": structure_section,
            "supercell": [1, 1, 1],
            "charge": 0,
            "spin": 0,
            "folder": str(folder),
        }
        | keys
    )
    structure(
        sections, system=folder / "out" / "system.h5", structure=folder / "out" / "structure.extxyz"
    )
    return read_system(folder / "out" / "system.h5")


def refuse(key, what, expected, structure_section, **keys):
    with pytest.raises(ConfigError) as caught:
        run(Path("materials"), structure_section, **keys)
    text = str(caught.value)
    assert text.startswith(f"materials/m.yaml, key '{key}'"), text
    assert what in text and expected in text, text


def load(path):
    return config.parse(config.MaterialConfig, yaml.safe_load(path.read_text()), where=path.name)


# --- the stage -------------------------------------------------------------------------


def test_chain_supercell(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        file = run(tmp_path, CHAIN, supercell=[2, 1, 1])
    assert (file.n_cells, file.n_atoms, file.system.counts) == (2, 2, (2, 2))
    np.testing.assert_allclose(file.system.cell.lattice, np.diag([7.2, 100, 100]))
    np.testing.assert_allclose(file.system.positions[:, 0], [0.9, 2.7, 4.5, 6.3])
    shown = ase.io.read(tmp_path / "out" / "structure.extxyz")
    assert len(shown) == 4 and shown.pbc.all()
    assert "2 atoms in the primitive cell, 2 cells, 2 + 2 electrons" in caplog.text


def test_charge_and_spin_of_a_molecule(tmp_path):
    assert run(tmp_path, LITHIUM, spin=1).system.counts == (2, 1)
    assert run(tmp_path, LITHIUM, spin=3).system.counts == (3,)
    assert run(tmp_path, LITHIUM, charge=1).system.counts == (1, 1)
    assert run(tmp_path, LITHIUM, charge=-1, spin=2).system.counts == (3, 1)


def test_fingerprint_follows_the_input_and_not_the_folder(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    first = run(here, CHAIN).fingerprint
    assert run(there, CHAIN).fingerprint == first
    assert run(here, CHAIN | {"spacing_bohr": 1.81}).fingerprint != first
    assert run(here, CHAIN, supercell=[2, 1, 1]).fingerprint != first


def test_fingerprint_follows_the_structure_file(tmp_path):
    section = {"kind": "file", "path": "h2.xyz"}
    (tmp_path / "h2.xyz").write_text("2\n\nH 0 0 0\nH 0 0 0.74\n")
    first = run(tmp_path, section).fingerprint
    (tmp_path / "h2.xyz").write_text("2\n\nH 0 0 0\nH 0 0 0.75\n")
    assert run(tmp_path, section).fingerprint != first


def test_impossible_electrons():
    refuse("spin", "spin 0 is impossible with 3 electrons", "an odd number from 1 to 3", LITHIUM)
    refuse(
        "spin",
        "spin 5 is impossible with 3 electrons",
        "an odd number from 1 to 3",
        LITHIUM,
        spin=5,
    )
    refuse("spin", "spin -1 is impossible", "an odd number from 1 to 3", LITHIUM, spin=-1)
    refuse(
        "spin", "spin 1 is impossible with 2 electrons", "an even number from 0 to 2", CHAIN, spin=1
    )
    refuse("charge", "charge 3 leaves 0 electrons", "a charge below 3", LITHIUM, charge=3)
    refuse(
        "charge",
        "a periodic cell with charge 1 and no background",
        "diverges",
        CHAIN,
        charge=1,
        spin=1,
    )
    key = "neutralising_background"
    refuse(key, "a neutralising background in a neutral crystal", "delete", CHAIN, **{key: True})
    refuse(key, "a neutralising background in a molecule", "", LITHIUM, charge=1, **{key: True})


def test_a_refused_material_writes_nothing(tmp_path):
    with pytest.raises(ConfigError):
        run(tmp_path, LITHIUM)
    assert not (tmp_path / "out").exists()


def test_impossible_supercells():
    refuse("supercell", "is singular", "positive determinant", CHAIN, supercell=[2, 0, 1])
    refuse(
        "supercell",
        "a supercell [2, 1, 1] of a molecule",
        "no lattice to repeat",
        LITHIUM,
        spin=1,
        supercell=[2, 1, 1],
    )
    refuse("supercell", "found 1.5", "an integer", CHAIN, supercell=[1.5, 1, 1])


def test_bad_structure_names_file_and_key():
    refuse(
        "structure",
        "'spacing' is missing",
        "spacing_angstrom or spacing_bohr",
        {k: v for k, v in CHAIN.items() if k != "spacing_bohr"},
    )


# --- shipped materials -----------------------------------------------------------------

RADII = (10, 12, 14, 16, 18, 20, 24, 28, 32, 36)
STRETCHED = (18, 21, 24, 28, 32, 36, 42)
EXPECTED = {  # atoms in the primitive cell, cells, electrons up and down, weights of the twists
    "h-atom": (1, 1, (1, 0), [1]),
    "h2": (2, 1, (1, 1), [1]),
    "he": (1, 1, (1, 1), [1]),
    "be": (1, 1, (2, 2), [1]),
    "lih": (2, 1, (2, 2), [1]),
    "h4-chain": (2, 2, (2, 2), [1 / 4, 1 / 2, 1 / 4]),
    "h4-chain-gamma": (2, 2, (3, 1), [1]),
    "h10-chain": (2, 5, (5, 5), [1 / 4, 1 / 2, 1 / 4]),
    "h10-chain-gamma": (2, 5, (5, 5), [1]),
    "lih-cell": (2, 1, (2, 2), [1]),
    "lih-cell-positron": (2, 1, (2, 2), [1]),
    "lih-cell-twists": (2, 1, (2, 2), [1 / 8, 4 / 8, 3 / 8]),
    **{f"lih-cell-a{a}": (2, 1, (2, 2), [1 / 8, 4 / 8, 3 / 8]) for a in (360, 380, 430, 460)},
    "lih-222": (2, 8, (16, 16), [1]),
    "lih-222-a360": (2, 8, (16, 16), [1]),
    "lih-222-a380": (2, 8, (16, 16), [1]),
    "lih-222-a420": (2, 8, (16, 16), [1]),
    "lih-222-a440": (2, 8, (16, 16), [1]),
    "lih-333": (2, 27, (54, 54), [1]),
    "li": (1, 1, (2, 1), [1]),
    **{f"h{n}-chain-quarter": (2, n // 2, (n // 2,) * 2, [1]) for n in (4, 6, 8, 10, 14, 18, 22)},
    "diamond": (2, 1, (6, 6), [1]),
    "graphene": (2, 1, (6, 6), [1]),
    "positronium": (0, 1, (1, 0), [1]),
    "positronium-ion": (0, 1, (1, 1), [1]),
    "dipositronium": (0, 1, (1, 1), [1]),
    "psh": (1, 1, (1, 1), [1]),
    "lih-positron": (2, 1, (2, 2), [1]),
    "electron-gas-2": (0, 1, (1, 1), [1]),
    "electron-gas-7-polarised": (0, 1, (7, 0), [1]),
    "electron-gas-14": (0, 1, (7, 7), [1]),
    "h2o-sto3g": (3, 1, (5, 5), [1]),
    "ethanol": (9, 1, (13, 13), [1]),
    "h6-open-chain": (6, 1, (3, 3), [1]),
    "h8-open-chain": (8, 1, (4, 4), [1]),
    **{f"h10-open-chain-r{r}": (10, 1, (5, 5), [1]) for r in RADII},
    "nh3-sto3g": (4, 1, (5, 5), [1]),
    "ch4-sto3g": (5, 1, (5, 5), [1]),
    "n2-sto3g": (2, 1, (7, 7), [1]),
    "c2-sto3g": (2, 1, (6, 6), [1]),
    "li2o-sto3g": (3, 1, (7, 7), [1]),
    "silicon-gth": (2, 1, (4, 4), [1]),
    "graphene-gth": (2, 1, (4, 4), [1]),
    **{f"silicon-gth-a{a}": (2, 1, (4, 4), [1]) for a in (520, 565, 590)},
    **{f"graphene-gth-a{a}": (2, 1, (4, 4), [1]) for a in (236, 256, 266)},
    **{f"{name}-gth-2x1x1": (2, 2, (8, 8), [1]) for name in ("silicon", "graphene")},
    **{f"h{n}-chain": (2, n // 2, (n // 2,) * 2, [1 / 4, 1 / 2, 1 / 4]) for n in (6, 8, 16)},
    **{f"h{n}-ring": (2, n // 2, (n // 2,) * 2, [1 / 2, 1 / 2]) for n in (6, 10, 14)},
    **{f"h{n}-open-chain-r{r}": (n, 1, (n // 2,) * 2, [1]) for n in (30, 50) for r in (10, 18)},
    **{f"n2-sto3g-r{r}": (2, 1, (7, 7), [1]) for r in STRETCHED},
    **{f"electron-gas-14-rs{rs}": (0, 1, (7, 7), [1]) for rs in (2, 5)},
    **{f"electron-gas-7-polarised-rs{rs}": (0, 1, (7, 0), [1]) for rs in (2, 5, 10)},
    **{f"wigner-rs{rs}": (0, 1, (8, 0), [1]) for rs in (5, 20, 50, 100, 200)},
}
LITERATURE = {
    "h-atom": -0.5,
    "h2": -1.1744757142,
    "he": -2.903724377034,
    "be": -14.667356498,
    "lih": -8.070548,
    "h4-chain": -0.573954,
    "h4-chain-gamma": -0.523896,
    "h10-chain": -0.567841,
    "h10-chain-gamma": -0.572922,
    "lih-cell": -8.5165,
    "lih-cell-positron": None,
    "lih-cell-twists": None,
    **{f"lih-cell-a{a}": None for a in (360, 380, 430, 460)},
    "lih-222": -8.15096,
    "lih-222-a360": -8.13738,
    "lih-222-a380": -8.146147,
    "lih-222-a420": -8.15112,
    "lih-222-a440": -8.14967,
    "lih-333": -8.16020,
    "li": -7.478060324,
    "h4-chain-quarter": -0.582824,
    "h6-chain-quarter": -0.574634,
    "h8-chain-quarter": -0.571099,
    "h10-chain-quarter": -0.569286,
    "h14-chain-quarter": -0.567545,
    "h18-chain-quarter": -0.566764,
    "h22-chain-quarter": -0.566339,
    "diamond": -75.4009,
    "graphene": -76.035,
    "positronium": -0.25,
    "positronium-ion": -0.26200507023,
    "dipositronium": -0.516003790741,
    "psh": -0.789196740,
    "lih-positron": -8.10778,
    "electron-gas-2": -0.708241,
    "electron-gas-7-polarised": 1.12024,
    "electron-gas-7-polarised-rs2": 0.11071,
    "electron-gas-7-polarised-rs5": -0.0666,
    "electron-gas-7-polarised-rs10": -0.05336,
    "electron-gas-14": None,
    "h2o-sto3g": -75.01553019,
    "ethanol": None,
    "h6-open-chain": -3.2667431,
    "h8-open-chain": None,
    "h10-open-chain-r10": -3.82438855,
    "h10-open-chain-r14": -5.20509413,
    "h10-open-chain-r18": -5.42438538,
    "h10-open-chain-r24": -5.22793649,
    "h10-open-chain-r28": -5.05024496,
    "h10-open-chain-r32": -4.91038288,
    "h10-open-chain-r36": -4.81870081,
    "nh3-sto3g": None,
    "ch4-sto3g": None,
    "n2-sto3g": -107.66020642,
    "c2-sto3g": -74.69078192,
    "li2o-sto3g": -87.89269325,
    "silicon-gth": -7.20268964,
    "graphene-gth": -10.86953896,
    **{f"silicon-gth-a{a}": None for a in (520, 565, 590)},
    **{f"graphene-gth-a{a}": None for a in (236, 256, 266)},
    **{f"{name}-gth-2x1x1": None for name in ("silicon", "graphene")},
    "h6-chain": -0.570666,
    "h8-chain": -0.568869,
    "h16-chain": -0.566541,
    **{f"h{n}-ring": -0.540493 for n in (6, 10, 14)},
    "h10-open-chain-r12": -4.76637768,
    "h10-open-chain-r16": -5.38436107,
    "h10-open-chain-r20": -5.38962588,
    "h30-open-chain-r10": -10.55663,
    "h30-open-chain-r18": -16.22969,
    "h50-open-chain-r10": -17.28406,
    "h50-open-chain-r18": -27.03864,
    **{f"n2-sto3g-r{r}": None for r in STRETCHED},
    **{f"electron-gas-14-rs{rs}": None for rs in (2, 5)},
    **{f"wigner-rs{rs}": None for rs in (5, 20, 50, 100, 200)},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_shipped_material(name):
    path = MATERIALS / f"{name}.yaml"
    material = load(path)
    primitive, simulation, S = check_material(material, where=path.name, folder=MATERIALS)
    atoms, cells, electrons, weights = EXPECTED[name]
    assert primitive.n_atoms == atoms and simulation.n_atoms == atoms * cells
    assert counts_of(material, simulation, where=path.name) == electrons
    twists = enumerate_twists(material.twists, simulation, where=path.name)
    assert [t.weight for t in twists] == pytest.approx(weights, abs=1e-15)
    assert material.description
    value = material.literature and material.literature.value
    assert value == LITERATURE[name]
    if material.literature:
        units = {
            **{f"h{n}-chain": "ha_per_atom" for n in (4, 6, 8, 10, 14, 16, 18, 22)},
            "-ring": "ha_per_atom",
            "electron-gas": "ha_per_electron",
        }
        expected = [unit for part, unit in units.items() if part in name] or ["ha_per_cell"]
        assert [material.literature.unit] == expected


def test_no_shipped_material_is_untested():
    assert {p.stem for p in MATERIALS.glob("*.yaml")} == set(EXPECTED)


@pytest.mark.parametrize(
    "name, bond_angstrom",
    [("graphene", 1.421), ("diamond", 3.5738 * np.sqrt(3) / 4), ("lih-cell", 4.061 / 2)],
)
def test_bond_lengths_of_shipped_crystals(name, bond_angstrom):
    path = MATERIALS / f"{name}.yaml"
    primitive, _, _ = check_material(load(path), where=name, folder=MATERIALS)
    shifts = np.array(np.meshgrid(*[range(-1, 2)] * 3)).reshape(3, -1).T @ primitive.lattice
    vectors = primitive.positions[1] + shifts - primitive.positions[0]
    bond = np.linalg.norm(vectors, axis=1).min() * 0.529177210544
    assert bond == pytest.approx(bond_angstrom, abs=1e-6)

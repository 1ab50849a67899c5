"""Established methods on the same integrals, their table, and families of materials."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from plots.references import family_figure, references_figure

from engine.campaign import load
from engine.config import FamilyConfig, parse
from engine.config.fock import FockReferencesConfig
from engine.errors import ConfigError, DataError
from engine.fock import exact as exact_fock
from engine.fock import slater_condon as sc
from engine.fock.determinants import FockSpace
from engine.io import hdf5, table
from engine.io.integrals import determinant_energy, write_integrals
from engine.mean_field.correlated import correlated_energies, full_ci
from engine.mean_field.dmrg import dmrg
from engine.stage.fock_reference import fock_reference
from engine.stage.references import COLUMNS, write_families, write_row
from tests.fock.systems import hydrogen, molecule
from tests.fock.test_slater_condon import matrix

ALL = ("hf", "mp2", "ccsd", "ccsd-t")
has_block2 = importlib.util.find_spec("pyblock2") is not None


def test_methods_on_a_ring_have_their_known_energies():
    """Ten atoms, STO-6G, R = 1.8 bohr, without the Madelung term."""
    ring = hydrogen(2, 1.8, periodic=True, cells=(5, 1, 1), orbitals="oao")
    found = correlated_energies(dataclasses.replace(ring, madelung=0.0), ALL)
    wanted = {"hf": -4.62509388, "ccsd": -4.76099711, "ccsd-t": -4.76446173}
    assert set(found) == set(ALL)
    for name, energy in wanted.items():
        assert found[name] == pytest.approx(energy, abs=1e-6), name
    assert found["ccsd-t"] < found["mp2"] < found["hf"]


def test_a_method_is_computed_alone_as_with_the_others():
    integrals = hydrogen(4, 1.8)
    together = correlated_energies(integrals, ALL)
    assert correlated_energies(integrals, ("ccsd-t",)) == {
        "ccsd-t": pytest.approx(together["ccsd-t"], abs=1e-8)
    }


def test_an_open_shell_starts_from_the_mean_field():
    """Oxygen, triplet: the unrestricted determinant lies below the restricted open-shell one."""
    integrals = molecule(("O", "O"), [[0, 0, 0], [0, 0, 1.232]], spin=2)
    found = correlated_energies(integrals, ("hf", "ccsd"))
    assert found["hf"] <= integrals.mean_field + 1e-8
    assert full_ci(integrals) < found["ccsd"] < found["hf"]
    assert full_ci(integrals) == pytest.approx(-147.75023459, abs=1e-6)


@pytest.mark.parametrize(
    "error", [np.linalg.LinAlgError("Singular matrix"), AttributeError("no attribute 'linalg'")]
)
def test_coupled_cluster_that_breaks_down_is_left_out(monkeypatch, error):
    """Stretched silicon: a singular matrix in its DIIS; the other methods have their energies."""

    def kernel(self, *_, **__):
        raise error

    monkeypatch.setattr("pyscf.cc.ccsd.CCSD.kernel", kernel)
    assert set(correlated_energies(hydrogen(4, 1.8), ALL)) == {"hf", "mp2"}


def complex_ring():
    options = {"cells": (2, 1, 1), "twist": (0.25, 0, 0), "is_complex": True}
    return hydrogen(2, 1.8, periodic=True, **options)


def test_complex_integrals_have_a_determinant_and_an_exact_energy():
    integrals = complex_ring()
    space, H = FockSpace(4, 2, 2), sc.hamiltonian(integrals)
    wanted = np.linalg.eigvalsh(matrix(space, H)[0])[0]
    assert exact_fock.lowest_energy(space, H) == pytest.approx(wanted, abs=1e-9)
    assert correlated_energies(integrals, ALL) == {"hf": determinant_energy(integrals)}


def test_the_smallest_spaces_are_diagonalised_as_a_whole():
    integrals = hydrogen(2, 1.4, frozen=0)
    space = FockSpace(2, 2, 1)  # two determinants
    H = sc.hamiltonian(integrals)
    wanted = np.linalg.eigvalsh(matrix(space, H)[0])[0]
    assert exact_fock.lowest_energy(space, H) == pytest.approx(wanted, abs=1e-10)


@pytest.mark.skipif(not has_block2, reason="needs block2")
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_dmrg_agrees_with_the_exact_energy(kind):
    if kind == "real":
        integrals = hydrogen(6, 1.8)
        wanted = full_ci(integrals)
    else:
        integrals = complex_ring()
        wanted = exact_fock.lowest_energy(FockSpace(4, 2, 2), sc.hamiltonian(integrals))
    energy, discarded = dmrg(integrals, 100)
    assert energy == pytest.approx(wanted, abs=1e-6) and discarded < 1e-10


@pytest.mark.skipif(has_block2, reason="block2 is there")
def test_dmrg_without_block2_says_what_to_install():
    with pytest.raises(ConfigError, match="psilattice\\[dmrg\\]"):
        dmrg(hydrogen(2, 1.4), 10)


def made(folder, integrals, **options):
    """Writes integrals and reference file of one twist; returns the latter's path."""
    folder.mkdir()
    write_integrals(folder / "integrals.h5", integrals, "print")
    methods = {"methods": ["hf", "ccsd", "fci"]} | options
    sections = {"material": "m", "method": "f", "references": methods}
    fock_reference(sections, integrals=folder / "integrals.h5", reference=folder / "reference.h5")
    return folder / "reference.h5"


def test_a_space_above_the_limit_has_no_exact_energy(tmp_path):
    integrals = hydrogen(4, 1.8)
    record = hdf5.read(made(tmp_path / "a", integrals, fci_determinants=35), "reference")
    assert np.isnan(record.data["fci_ha"]) and record.attributes["determinants"] == 36
    record = hdf5.read(made(tmp_path / "b", integrals), "reference")
    assert record.data["fci_ha"] == pytest.approx(full_ci(integrals), abs=1e-8)


def run(folder, energy):
    """Writes result.h5 and energy.csv of a network with `energy` per simulation cell."""
    attributes = {"estimator": "projected"}
    hdf5.write(folder / "result.h5", "energy", {}, fingerprint="x", attributes=attributes)
    row = {"material": "m", "method": "f", "n_cells": 2, "n_twists": 2}
    row |= {"energy_ha_per_cell": energy / 2, "error_ha_per_cell": 0.0}
    table.write(folder / "energy.csv", [row])


def test_the_row_averages_over_twists_per_cell(tmp_path):
    """Two twists of two cells: weights, cells, and the difference to the exact energy."""
    twists = [((0, 0, 0), False), ((0.25, 0, 0), True)]
    rings = [
        hydrogen(2, 1.8, periodic=True, cells=(2, 1, 1), twist=t, is_complex=c) for t, c in twists
    ]
    paths = [made(tmp_path / str(i), ring) for i, ring in enumerate(rings)]
    exact = [float(hdf5.read(p, "reference").data["fci_ha"]) for p in paths]
    wanted = (0.25 * exact[0] + 0.75 * exact[1]) / 2
    run(tmp_path, 2 * wanted + 0.002)
    write_row(
        {"twists": [{"weight": 0.25}, {"weight": 0.75}]},
        references=paths,
        results=[tmp_path / "result.h5"],
        energy=tmp_path / "energy.csv",
        target=tmp_path / "references.csv",
    )
    (row,) = table.read(tmp_path / "references.csv")
    assert list(row) == list(COLUMNS)
    assert row["fci_ha_per_cell"] == pytest.approx(wanted, abs=1e-12)
    assert row["difference_ha_per_cell"] == pytest.approx(0.001, abs=1e-12)
    assert row["ccsd_ha_per_cell"] is None  # the complex twist has none
    assert (row["exact"], row["estimator"], row["determinants"]) == ("fci", "projected", 36)


def test_families_are_rows_along_a_coordinate(tmp_path):
    rows = [{"material": m, "method": "f", "energy_ha_per_cell": 1.0} for m in ("b", "a")]
    table.write(tmp_path / "references.csv", rows, COLUMNS)
    points = [{"material": "a", "x": 1.0}, {"material": "b", "x": 2.0}]
    family = {"name": "curve", "along": "spacing_bohr", "points": points}
    write_families([family], tmp_path / "references.csv", tmp_path / "families.csv")
    found = [(r["family"], r["x"], r["material"]) for r in table.read(tmp_path / "families.csv")]
    assert found == [("curve", 1.0, "a"), ("curve", 2.0, "b")]
    missing = family | {"points": [{"material": "c", "x": 1.0}]}
    with pytest.raises(DataError, match="no row of c"):
        write_families([missing], tmp_path / "references.csv", tmp_path / "families.csv")


def compared(material, x, fci, energy):
    row = {"material": material, "method": "f", "family": "c", "along": "spacing_bohr", "x": x}
    return row | {"fci_ha_per_cell": fci, "hf_ha_per_cell": -1.0, "energy_ha_per_cell": energy}


def test_figures_show_distances_to_the_exact_energy():
    rows = [compared("a", 1.8, -1.2, -1.199), compared("b", 3.6, -1.1, -1.0995)]
    rows.append(compared("c", 4.0, None, -1.0))  # nothing to compare with
    (ax,) = references_figure(rows).axes
    drawn = {line.get_label(): line.get_xdata() for line in ax.lines}
    assert drawn["network"] == pytest.approx([1.0, 0.5]) and len(drawn["HF"]) == 2
    above, below = family_figure(rows).axes
    assert below.get_xlabel() == "spacing (bohr)"
    energies = {line.get_label(): line.get_ydata() for line in above.lines}
    assert list(energies["network"]) == [-1.199, -1.0995, -1.0]
    assert len(energies["FCI"]) == 2 and "CCSD" not in energies
    assert any(line.get_ydata() == pytest.approx([1.0, 0.5]) for line in below.lines[:-1])


def campaign(folder, along="spacing_bohr", materials="[b, a]"):
    (folder / "materials").mkdir()
    (folder / "methods").mkdir()
    for name, spacing in (("a", 1.8), ("b", 3.6)):
        text = f"structure: {{kind: chain, species: H, n_atoms: 4, spacing_bohr: {spacing}, "
        (folder / f"materials/{name}.yaml").write_text(text + "periodic: false}\n")
    (folder / "methods/f.yaml").write_text("space: fock\n")
    text = "runs: {a: [f], b: [f]}\n"
    text += f"families: {{c: {{along: {along}, materials: {materials}}}}}\n"
    (folder / "campaign.yaml").write_text(text)
    return load(root=folder)


def test_a_family_reads_its_coordinate_from_the_materials(tmp_path):
    (family,) = campaign(tmp_path).families()
    points = [{"material": "a", "x": 1.8}, {"material": "b", "x": 3.6}]
    assert (family["name"], family["points"]) == ("c", points)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"along": "spacing"}, "spacing_bohr"),
        ({"materials": "[a, x]"}, "none of the materials"),
        ({"materials": "[a]"}, "two at least"),
    ],
)
def test_families_that_make_no_curve_are_refused(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        campaign(tmp_path, **options).check()


@pytest.mark.parametrize(("names", "message"), [(["hf", "hf"], "twice"), (["cisd"], "unknown")])
def test_unknown_methods_are_named(names, message):
    with pytest.raises(ConfigError, match=message):
        parse(FockReferencesConfig, {"methods": names}, where="references")
    assert parse(FamilyConfig, {"along": "x", "materials": []}, where="f").materials == []

"""Integrals against exact energies, two routes to one supercell, files and errors."""

import dataclasses

import numpy as np
import pytest
from pyscf import fci
from pyscf.tools import fcidump as pyscf_fcidump

from engine.config import MeanFieldConfig
from engine.errors import ConfigError, DataError
from engine.io.fcidump import read_fcidump, write_fcidump
from engine.io.integrals import (
    check_integrals,
    determinant_energy,
    read_integrals,
    write_integrals,
)
from engine.system.geometry import Geometry
from tests.fock.systems import (
    chain,
    from_structure,
    hydrogen,
    molecule,
)

WATER = (
    ("O", "H", "H"),
    [[0, 0, 0], [0.2774, 0.8929, 0.2544], [0.6068, -0.2383, -0.7169]],
)


def exact(integrals, constant=None):
    """Returns the FCI energy by PySCF."""
    constant = integrals.constant if constant is None else constant
    n = integrals.n_orbitals
    counts = (integrals.n_up, integrals.n_down)
    return fci.direct_spin1.kernel(
        integrals.one_body, integrals.two_body, n, counts, ecore=constant, conv_tol=1e-11
    )[0]


@pytest.mark.parametrize(
    ("n", "energy", "madelung"), [(6, -2.93812270, -0.45014022), (10, -4.76468194, -0.73192724)]
)
def test_rings_of_hydrogen_have_their_exact_energies(n, energy, madelung):
    """The unfolded primitive cell of two atoms; STO-6G, R = 1.8 bohr, Madelung term apart."""
    found = hydrogen(2, 1.8, periodic=True, cells=(n // 2, 1, 1))
    assert exact(found, found.nuclear) == pytest.approx(energy, abs=1e-6)
    assert found.madelung == pytest.approx(madelung, abs=1e-7)
    assert determinant_energy(found) == pytest.approx(found.mean_field, abs=1e-8)


@pytest.mark.parametrize("twist", [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0)])
def test_the_unfolded_mesh_is_the_supercell(twist):
    """Three cells of two atoms at folded k-points, and one cell of six atoms."""
    folded = hydrogen(2, 1.8, periodic=True, cells=(3, 1, 1), twist=twist)
    whole = hydrogen(6, 1.8, periodic=True, twist=twist)
    assert not folded.is_complex
    assert exact(folded) == pytest.approx(exact(whole), abs=2e-6)


def test_a_skewed_supercell_is_the_same_as_a_straight_one():
    cell = Geometry(("H", "H"), chain(2, 1.8).positions, np.diag([3.6, 9.0, 9.0]))
    S = np.array([[2, 1, 0], [0, 1, 0], [0, 0, 1]])
    options = MeanFieldConfig(basis="sto-6g")
    found = from_structure(cell, S, (0, 0, 0), options)
    assert determinant_energy(found) == pytest.approx(found.mean_field, abs=1e-8)


def test_twisted_integrals_are_complex_and_reproduce_the_mean_field():
    options = {"cells": (3, 1, 1), "twist": (0.25, 0, 0), "is_complex": True}
    found = hydrogen(2, 1.8, periodic=True, orbitals="oao", **options)
    check_integrals(found, "test")
    assert found.is_complex and np.abs(found.two_body.imag).max() > 1e-3
    assert determinant_energy(found) == pytest.approx(found.mean_field, abs=1e-8)


def test_real_integrals_of_a_general_twist_are_refused():
    with pytest.raises(ConfigError, match="imaginary"):
        hydrogen(2, 1.8, periodic=True, cells=(2, 1, 1), twist=(0.25, 0, 0))


@pytest.mark.parametrize(
    "orbitals", ["canonical", "natural", "natural-cisd", "oao", "boys", "pipek-mezey"]
)
def test_the_exact_energy_is_the_same_in_all_orbitals(orbitals):
    found = molecule(*WATER, orbitals=orbitals)
    assert exact(found) == pytest.approx(-75.01553019, abs=1e-6)
    assert determinant_energy(found) == pytest.approx(found.mean_field, abs=1e-8)


@pytest.mark.parametrize("orbitals", ["oao", "natural", "natural-cisd"])
def test_ring_orbitals(orbitals):
    options = {"periodic": True, "cells": (3, 1, 1)}
    other = hydrogen(2, 1.8, orbitals=orbitals, **options)
    assert exact(other) == pytest.approx(exact(hydrogen(2, 1.8, **options)), abs=1e-8)


def test_natural_orbitals_have_the_occupations_of_the_MP2_density():
    """The energy of the pairs follows from them: PySCF's MP2 density has the same eigenvectors."""
    from pyscf import gto, mp, scf

    mol = gto.M(atom=list(zip(*WATER, strict=True)), basis="sto-3g", verbose=0)
    mf = scf.RHF(mol).run(conv_tol=1e-12)
    density = mp.MP2(mf).run().make_rdm1(ao_repr=True)
    overlap = mol.intor("int1e_ovlp")
    root = np.linalg.cholesky(overlap)
    occupations = np.linalg.eigvalsh(root.T @ density @ root)[::-1]
    found = molecule(*WATER, orbitals="natural")
    canonical = molecule(*WATER)
    from engine.mean_field.orbital_basis import Space, natural

    space = Space(
        canonical.one_body,
        canonical.kinetic,
        canonical.two_body,
        canonical.one_body,
        canonical.up,
        canonical.down,
    )
    C = natural(space, 5)
    assert np.abs(C.T @ canonical.one_body @ C) == pytest.approx(np.abs(found.one_body), abs=1e-6)
    assert occupations.sum() == pytest.approx(10, abs=1e-8) and occupations[4] < 1.999


def test_cisd_orbitals_are_those_of_PySCF_from_the_molecule_itself():
    """In its natural orbitals the CISD density is diagonal, with PySCF's occupations."""
    from pyscf import ci, gto, scf

    from engine.mean_field.correlated import cisd_density

    mol = gto.M(atom=list(zip(*WATER, strict=True)), basis="sto-3g", verbose=0)
    mf = scf.RHF(mol).run(conv_tol=1e-12)
    wanted = np.linalg.eigvalsh(ci.CISD(mf).run(conv_tol=1e-10).make_rdm1())[::-1]
    found = molecule(*WATER, orbitals="natural-cisd")
    density = cisd_density(found.one_body, found.two_body, found.up)
    assert density == pytest.approx(np.diag(wanted), abs=1e-5) and wanted[4] < 1.99


def test_cisd_orbitals_of_complex_integrals_are_refused():
    options = {"periodic": True, "cells": (2, 1, 1), "twist": (0.25, 0, 0), "is_complex": True}
    with pytest.raises(ConfigError, match="complex"):
        hydrogen(2, 1.8, orbitals="natural-cisd", **options)


def test_a_frozen_core_is_the_active_space_of_PySCF():
    from pyscf import gto, mcscf, scf

    mol = gto.M(atom=list(zip(*WATER, strict=True)), basis="sto-3g", verbose=0)
    wanted = mcscf.CASCI(scf.RHF(mol).run(conv_tol=1e-12), 5, 8).run().e_tot
    found = molecule(*WATER, frozen=1, active=5)
    assert (found.n_orbitals, found.n_up) == (5, 4)
    assert exact(found) == pytest.approx(wanted, abs=1e-7)
    assert determinant_energy(found) == pytest.approx(found.mean_field, abs=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frozen": 6}, "at most 5"),
        ({"frozen": 1, "orbitals": "oao"}, "occupied or empty"),
        ({"active": 9}, "between 5 and 7"),
        ({"active": 6, "orbitals": "boys"}, "no order"),
    ],
)
def test_spaces_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        molecule(*WATER, **options)


def test_localised_orbitals_of_a_crystal_are_refused():
    with pytest.raises(ConfigError, match="periodic"):
        hydrogen(2, 1.8, periodic=True, cells=(2, 1, 1), twist=(0.5, 0, 0), orbitals="boys")


def test_files_come_back_as_they_were(tmp_path):
    found = hydrogen(2, 1.8, periodic=True, cells=(3, 1, 1), twist=(0.25, 0, 0), is_complex=True)
    write_integrals(tmp_path / "i.h5", found, "print")
    back = read_integrals(tmp_path / "i.h5")
    assert back.fingerprint == "print"
    for field in dataclasses.fields(found):
        if field.name != "fingerprint":
            assert np.all(getattr(back, field.name) == getattr(found, field.name)), field.name


def test_integrals_that_are_not_hermitian_are_refused(tmp_path):
    found = hydrogen(4, 1.8)
    bad = found.two_body.copy()
    bad[0, 1, 2, 3] += 0.1
    write_integrals(tmp_path / "i.h5", dataclasses.replace(found, two_body=bad), "x")
    with pytest.raises(DataError, match="not Hermitian"):
        read_integrals(tmp_path / "i.h5")
    short = dataclasses.replace(found, up=found.up[:2])
    write_integrals(tmp_path / "i.h5", short, "x")
    with pytest.raises(DataError, match="sizes"):
        read_integrals(tmp_path / "i.h5")


def test_fcidump_is_read_by_PySCF_and_back(tmp_path):
    found = hydrogen(2, 1.8, periodic=True, cells=(3, 1, 1))
    write_fcidump(tmp_path / "FCIDUMP", found)
    other = pyscf_fcidump.read(str(tmp_path / "FCIDUMP"), verbose=False)
    energy = fci.direct_spin1.kernel(other["H1"], other["H2"], 6, 6, ecore=other["ECORE"])[0]
    assert energy == pytest.approx(exact(found), abs=1e-9)
    back = read_fcidump(tmp_path / "FCIDUMP")
    assert back.one_body == pytest.approx(found.one_body, abs=1e-11)
    assert back.two_body == pytest.approx(found.two_body, abs=1e-11)
    assert (back.n_up, back.n_down, back.constant) == (3, 3, pytest.approx(found.constant))


def test_complex_fcidump_comes_back(tmp_path):
    found = hydrogen(2, 1.8, periodic=True, cells=(2, 1, 1), twist=(0.25, 0, 0), is_complex=True)
    write_fcidump(tmp_path / "FCIDUMP", found)
    back = read_fcidump(tmp_path / "FCIDUMP")
    assert np.abs(back.one_body - found.one_body).max() < 1e-11
    assert np.abs(back.two_body - found.two_body).max() < 1e-11


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("&FCI NORB=2,NELEC=2\n 1.0 1 1 0 0\n", "end of the header"),
        ("&FCI NORB=2,NELEC=2\n&END\n 1.0 3 1 0 0\n", "above NORB"),
        ("&FCI NORB=2,NELEC=2\n&END\n 1.0 one 1 0 0\n", "unreadable"),
        ("&FCI NELEC=2\n&END\n 1.0 1 1 0 0\n", "NORB is missing"),
        ("&FCI NORB=2,NELEC=10\n&END\n 1.0 1 1 0 0\n", "NELEC=10 and MS2=0 in NORB=2"),
        ("&FCI NORB=2,NELEC=3\n&END\n 1.0 1 1 0 0\n", "NELEC=3 and MS2=0"),
        ("&FCI NORB=2,NELEC=2\n&END\n nan 1 1 0 0\n", "not Hermitian"),
    ],
)
def test_files_that_are_no_fcidump_say_why(tmp_path, text, message):
    (tmp_path / "FCIDUMP").write_text(text)
    with pytest.raises(DataError, match=message):
        read_fcidump(tmp_path / "FCIDUMP")

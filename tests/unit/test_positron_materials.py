"""Positrons in a material: counts, files, and what is refused before anything runs."""

import numpy as np
import pytest

from engine import config
from engine.errors import ConfigError
from engine.io.system import read_system, write_system
from engine.library import read_material
from engine.stage.structure import structure
from engine.system.geometry import Geometry
from engine.system.particles import species_rows

NOTHING = {"kind": "atoms", "species": [], "positions_bohr": []}
HYDROGEN = {"kind": "atoms", "species": ["H"], "positions_bohr": [[0, 0, 0]]}


def material(tmp_path, **content):
    path = tmp_path / "m.yaml"
    path.write_text(repr(content))
    return read_material(path)


def refuse(tmp_path, *texts, **content):
    with pytest.raises(ConfigError) as caught:
        material(tmp_path, **content)
    assert all(text in str(caught.value) for text in texts), caught.value


@pytest.mark.parametrize("positrons, spins", [(1, (1, 0)), (2, (1, 1)), (3, (2, 1))])
def test_positrons_pair_their_spins(positrons, spins):
    rows = species_rows(2, 1, positrons)
    found = [row.count for row in rows if row.charge > 0]
    assert tuple(found) == tuple(n for n in spins if n)
    assert [row.name for row in rows[:2]] == ["up", "down"]


def test_positrons_are_in_the_system_file(tmp_path):
    nothing = Geometry((), np.zeros((0, 3)))
    write_system(tmp_path / "s.h5", nothing, np.eye(3), nothing, 1, 1, "f", positrons=1)
    system = read_system(tmp_path / "s.h5").system
    assert [(s.name, s.count, s.charge) for s in system.species] == [
        ("up", 1, -1.0),
        ("down", 1, -1.0),
        ("positron_up", 1, 1.0),
    ]
    assert system.self_bound and not system.cell.periodic


def test_charge_counts_every_particle(tmp_path):
    sections = {"material": "psh", "structure": HYDROGEN, "positrons": 1, "folder": "."}
    structure(sections, system=tmp_path / "s.h5", structure=tmp_path / "s.extxyz")
    assert read_system(tmp_path / "s.h5").system.counts == (1, 1, 1)
    assert material(tmp_path, structure=HYDROGEN, positrons=1).n_electrons == 2
    ion = {"structure": NOTHING, "positrons": 1, "mean_field": {"method": "oscillator"}}
    assert material(tmp_path, charge=-1, **ion).n_electrons == 2


def test_nothing_to_compute(tmp_path):
    refuse(tmp_path, "there are no atoms", "or positrons", structure=NOTHING)
    bare = {"structure": NOTHING, "mean_field": {"method": "oscillator"}}
    refuse(tmp_path, "charge 1 leaves 0 electrons", positrons=1, charge=1, **bare)
    refuse(tmp_path, "found -1", "at least 0", structure=HYDROGEN, positrons=-1)


def test_the_mean_field_fits_the_matter(tmp_path):
    refuse(tmp_path, "rhf without nuclei", "oscillator", structure=NOTHING, positrons=1, spin=1)
    refuse(
        tmp_path,
        "oscillator with nuclei",
        structure=HYDROGEN,
        spin=1,
        mean_field={"method": "oscillator"},
    )


def test_contact_density_needs_positrons():
    options = config.EvaluateConfig(observables=["contact-density"])
    options.check_material(False, 1, "here")
    with pytest.raises(ConfigError, match="without positrons"):
        options.check_material(False, 0, "here")


def test_contacts_with_nuclei_need_nuclei():
    options = config.EvaluateConfig(observables=["nuclear-contact"])
    options.check_material(True, 0, "here")
    with pytest.raises(ConfigError, match="'nuclear-contact' without nuclei"):
        options.check_material(True, 0, "here", nuclei=False)


def test_observables_that_do_not_exist_in_a_cell():
    for name, periodic in (("dipole", True), ("structure-factor", False)):
        options = config.EvaluateConfig(observables=[name])
        options.check_material(not periodic, 0, "here")
        with pytest.raises(ConfigError, match=f"observable '{name}' of a"):
            options.check_material(periodic, 0, "here")


@pytest.mark.parametrize(
    "listed, what", [(["spin"], "did you mean"), (["dipole", "dipole"], "twice")]
)
def test_a_bad_list_of_observables(listed, what):
    with pytest.raises(ConfigError, match=what):
        config.parse(config.EvaluateConfig, {"observables": listed}, where="here")


@pytest.mark.parametrize(
    "most, cells, message",
    [(2, 1, "2 particles of one spin in 1 orbitals of basis 'sto-3g'"), (3, 2, "in 2 orbitals")],
)
def test_more_particles_of_one_spin_than_orbitals(most, cells, message):
    from engine.mean_field.basis_sets import check_orbitals

    options = config.MeanFieldConfig(basis="sto-3g")
    check_orbitals(options, ("H",), cells, cells, "here")
    with pytest.raises(ConfigError, match=message):
        check_orbitals(options, ("H",), cells, most, "here")
    check_orbitals(config.MeanFieldConfig(method="oscillator"), (), 1, 9, "here")


def test_the_mean_field_refuses_more_positrons_than_orbitals(tmp_path):
    """Three positrons, two of one spin, in the single orbital of hydrogen in STO-3G."""
    from engine.mean_field import pyscf_solver

    options = config.MeanFieldConfig(method="rhf", basis="sto-3g")
    atom = Geometry(("H",), np.zeros((1, 3)))
    with pytest.raises(ConfigError, match="2 particles of one spin in 1 orbitals"):
        pyscf_solver.solve(atom, np.eye(3, dtype=int), 1, 1, 2, np.zeros(3), options, positrons=3)
    content = {"structure": HYDROGEN, "positrons": 3, "charge": 2}
    assert material(tmp_path, **content).most_of_one_spin == 2


def test_a_positron_in_a_crystal_needs_a_background(tmp_path):
    crystal = HYDROGEN | {"lattice_bohr": [[5, 0, 0], [0, 5, 0], [0, 0, 5]]}
    content = {"structure": crystal, "positrons": 1, "charge": 1, "spin": 1}
    content["mean_field"] = {"method": "uhf"}
    refuse(tmp_path, "charge 1 and no background", "neutralising_background: true", **content)
    held = material(tmp_path, neutralising_background=True, **content)
    assert held.electrons == 1 and held.counts == (1, 0)


def test_binding_needs_electrons(tmp_path):
    """A positron beside bare nuclei binds to nothing, whatever the difference asked for."""
    refuse(tmp_path, "charge 2 leaves 0 electrons", structure=HYDROGEN, positrons=1, charge=2)

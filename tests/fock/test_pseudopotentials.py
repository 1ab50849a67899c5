"""Crystals with pseudopotentials, from their YAML to the exact energy, and what is refused."""

from pathlib import Path

import pytest

from engine import config
from engine.campaign import Campaign, load
from engine.config import MeanFieldConfig
from engine.errors import ConfigError
from engine.io.integrals import determinant_energy, read_integrals
from engine.mean_field.basis_sets import check_options
from engine.mean_field.correlated import correlated_energies, full_ci
from engine.stage.fock_integrals import fock_integrals
from engine.stage.mean_field import mean_field
from engine.stage.structure import structure

ROOT = Path(__file__).resolve().parents[2]


def integrals_of(material, folder):
    """Runs the stages up to the integrals on a shipped material; returns them."""
    campaign = Campaign(ROOT, ROOT / "campaign.yaml", 0, {material: ("fock",)})
    campaign.check()
    names = ("system", "mean_field", "integrals")
    files = {name: folder / f"{name}.h5" for name in names}
    sections = {s: campaign.sections(s, material, "fock", 0) for s in (*names[1:], "structure")}
    structure(sections["structure"], system=files["system"], structure=folder / "s.extxyz")
    mean_field(sections["mean_field"], system=files["system"], mean_field=files["mean_field"])
    fock_integrals(sections["integrals"], **files, fcidump=folder / "FCIDUMP")
    return read_integrals(files["integrals"]), campaign


@pytest.mark.parametrize(
    ("material", "nuclear", "restricted", "exact", "madelung"),
    [
        ("silicon-gth", -8.39792529, -5.30979935, -5.41575941, -1.78693023),
        pytest.param(
            *("graphene-gth", 30.94419734, -13.49617416, -13.58834435, 2.71880539),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_exact_energy_through_the_stages(
    tmp_path, material, nuclear, restricted, exact, madelung
):
    """Eight electrons in eight orbitals; the Madelung term is a constant apart."""
    found, campaign = integrals_of(material, tmp_path)
    assert (found.n_orbitals, found.n_up, found.n_down) == (8, 4, 4)
    assert found.nuclear == pytest.approx(nuclear, abs=1e-6)
    assert found.madelung == pytest.approx(madelung, abs=1e-6)
    assert determinant_energy(found) - found.madelung == pytest.approx(restricted, abs=1e-6)
    energy = full_ci(found)
    assert energy - found.madelung == pytest.approx(exact, abs=1e-6)
    literature = campaign.material(material).config.literature
    assert energy == pytest.approx(literature.value, abs=1e-6)
    others = correlated_energies(found, ("hf", "ccsd"))
    assert others["hf"] == pytest.approx(found.mean_field, abs=1e-7)
    if material == "silicon-gth":
        assert others["ccsd"] - found.madelung == pytest.approx(-5.41618709, abs=1e-6)


SILICON = {
    "structure": {
        "kind": "prototype",
        "prototype": "diamond",
        "species": ["Si"],
        "a_angstrom": 5.431,
    },
    "pseudopotentials": {"Si": "gth-pade-q4"},
    "mean_field": {"basis": "gth-szv", "integrals": "fft"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pseudopotentials": {"Si": "gth-pade"}}, "ends with the valence"),
        ({"pseudopotentials": {"Si": 4}}, "ends with the valence"),
    ],
)
def test_sections_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        config.parse(config.MaterialConfig, SILICON | change, where="material")


@pytest.mark.parametrize(
    ("pseudopotentials", "basis", "message"),
    [
        ({"Si": "gth-pade-q7"}, "gth-szv", "no pseudopotential|valence electrons"),
        ({"Si": "gth-pade-q4"}, "sto-3g", "has a pseudopotential"),
        ({}, "gth-szv", "belongs to a pseudopotential"),
    ],
)
def test_bases_and_pseudopotentials_belong_together(pseudopotentials, basis, message):
    options = MeanFieldConfig(basis=basis, integrals="fft")
    with pytest.raises(ConfigError, match=message):
        check_options(options, ["Si"], pseudopotentials=pseudopotentials)


def written(folder, material, method):
    for kind, text in (("materials", material), ("methods", method)):
        (folder / kind).mkdir()
        (folder / kind / "a.yaml").write_text(text)
    (folder / "campaign.yaml").write_text("runs: {a: [a]}\n")
    return load(root=folder)


@pytest.mark.parametrize(
    ("structure", "element", "message"),
    [
        ("{kind: prototype, prototype: diamond, species: [Si], a_angstrom: 5.4}", "C", "elements"),
        ("{kind: atoms, species: [Si], positions_bohr: [[0, 0, 0]]}", "Si", "in a molecule"),
    ],
)
def test_elements_that_cannot_have_one_are_refused(tmp_path, structure, element, message):
    lines = f"structure: {structure}\npseudopotentials: {{{element}: gth-pade-q4}}\n"
    lines += "mean_field: {basis: gth-szv, integrals: fft}\n"
    with pytest.raises(ConfigError, match=message):
        written(tmp_path, lines, "space: fock\n").check()


def test_density_fitting_is_refused(tmp_path):
    lines = "structure: {kind: prototype, prototype: diamond, species: [Si], a_angstrom: 5.4}\n"
    lines += "pseudopotentials: {Si: gth-pade-q4}\nmean_field: {basis: gth-szv}\n"
    with pytest.raises(ConfigError, match="integrals: fft"):
        written(tmp_path, lines, "space: fock\n").check()


def test_real_space_refuses_pseudopotentials(tmp_path):
    lines = "structure: {kind: prototype, prototype: diamond, species: [Si], a_angstrom: 5.4}\n"
    lines += "pseudopotentials: {Si: gth-pade-q4}\nmean_field: {basis: gth-szv, integrals: fft}\n"
    with pytest.raises(ConfigError, match="second quantisation"):
        written(tmp_path, lines, "vmc: {steps: 1}\n").check()

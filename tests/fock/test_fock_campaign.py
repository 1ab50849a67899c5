"""Methods in second quantisation inside a campaign."""

from pathlib import Path

import pytest

from engine.campaign import load
from engine.config.fock import FockMethodConfig
from engine.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
CHAIN = """
structure: {kind: chain, species: H, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}
supercell: [3, 1, 1]
mean_field: {basis: sto-6g}
"""


def campaign(folder, material, method="space: fock\n"):
    for name, text in (("materials/m.yaml", material), ("methods/f.yaml", method)):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (folder / "methods/r.yaml").write_text("vmc: {steps: 1}\n")
    (folder / "campaign.yaml").write_text("runs: {m: [f, r]}\n")
    found = load(root=folder)
    found.check()
    return found


def test_the_shipped_campaign_has_methods_of_both_spaces():
    found = load("campaign.yaml", root=ROOT)
    assert found.space("h2o-sto3g", "fock") == "fock"
    assert found.space("h2", "ferminet") == "real"
    assert isinstance(found.method("h2o-sto3g", "fock"), FockMethodConfig)
    assert found.method("h2o-sto3g", "fock").selection.core == 441


@pytest.mark.parametrize(
    ("twists", "number"),
    [
        ("{}", "real"),
        ("{grid: [2, 1, 1]}", "real"),
        ("{points: [[0.25, 0, 0]]}", "complex"),
    ],
)
def test_twists_of_a_half_are_real_here(tmp_path, twists, number):
    found = campaign(tmp_path, f"{CHAIN}twists: {twists}\n")
    assert found.number("m", "f") == number
    assert found.number("m", "r") == ("real" if twists == "{}" else "complex")


def test_real_orbitals_at_other_twists_are_refused(tmp_path):
    method = "space: fock\nansatz: {number: real}\n"
    with pytest.raises(ConfigError, match="0 and 1/2"):
        campaign(tmp_path, f"{CHAIN}twists: {{points: [[0.25, 0, 0]]}}\n", method)


def test_stages_depend_on_their_own_sections(tmp_path):
    found = campaign(tmp_path, CHAIN)
    names = {s: set(found.sections(s, "m", "f", 0)) for s in ("pretrain", "vmc", "evaluate")}
    common = {"material", "method", "twist", "seed", "number", "precision", "ansatz", "space"}
    common |= {"electrons"}
    assert names["pretrain"] == common | {"selection", "pretrain"}
    assert names["vmc"] == common | {"selection", "optimizer", "vmc"}
    assert names["evaluate"] == common | {"selection", "sampler", "evaluate", "n_cells"}
    assert "space" not in found.sections("vmc", "m", "r", 0)
    integrals = found.sections("integrals", "m", "f")
    assert integrals["integrals"] == {"active": None, "frozen": 0, "orbitals": "canonical"}
    assert integrals["mean_field"]["basis"] == "sto-6g"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("space: fock\nhamiltonian: {}\n", "unknown key 'hamiltonian'"),
        ("space: fok\n", "'fok'"),
        ("space: fock\nselection: {score: en}\n", "epstein-nesbet"),
        ("space: fock\nselection: {start: 600}\n", "at most core"),
        ("space: fock\npretrain: {steps: 5}\n", "steps"),
    ],
)
def test_mistakes_are_named(tmp_path, method, message):
    with pytest.raises(ConfigError, match=message):
        campaign(tmp_path, CHAIN, method)

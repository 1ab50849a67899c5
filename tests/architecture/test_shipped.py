"""Everything that ships resolves: materials, methods and campaigns."""

from pathlib import Path

import pytest

from engine.campaign import Campaign, load

ROOT = Path(__file__).resolve().parents[2]
MATERIALS = sorted(p.stem for p in (ROOT / "materials").glob("*.yaml"))
METHODS = sorted(p.stem for p in (ROOT / "methods").glob("*.yaml"))


@pytest.mark.parametrize("material", MATERIALS)
def test_every_material_resolves_with_every_method(material):
    bare = ROOT / "campaign.yaml", 0, {material: ("fock",)}
    facts = Campaign(ROOT, *bare).material(material).config
    own = facts.mean_field.method in ("plane-waves", "oscillator") or facts.positrons
    own = own or facts.twists.spins
    no_nuclei = facts.mean_field.method == "oscillator"
    unfit = {"slater", "transferable", "transferable-demo"} if no_nuclei else set()
    unfit |= {"fock"} if own else set()
    unfit |= set(METHODS) - {"fock"} if facts.pseudopotentials else set()
    unfit |= set() if getattr(facts.structure, "sites", None) else {"crystal"}
    unfit |= set() if facts.is_electron_gas else {"gas"}
    methods = [m for m in METHODS if m not in unfit]
    campaign = Campaign(ROOT, ROOT / "campaign.yaml", 0, {material: tuple(methods)})
    campaign.check()
    for method in methods:
        for twist in campaign.twists(material):
            for stage in ("pretrain", "vmc", "evaluate"):
                assert (
                    campaign.sections(stage, material, method, twist.index)["material"] == material
                )


@pytest.mark.parametrize("name", sorted(p.name for p in ROOT.glob("*.yaml")))
def test_every_campaign_resolves(name):
    load(name, root=ROOT).check()


def test_the_campaign_runs_every_shipped_material():
    assert sorted(load("campaign.yaml", root=ROOT).runs) == MATERIALS


def test_the_demo_is_the_published_chain_with_and_without_twists_beside_the_molecule():
    demo = load("demo.yaml", root=ROOT)
    chain = ("transferable-demo",)
    assert demo.runs == {"h2": ("ferminet-demo",), "h4-chain": chain, "h4-chain-gamma": chain}
    assert [t.weight for t in demo.twists("h4-chain")] == [0.25, 0.5, 0.25]
    assert [t.frac for t in demo.twists("h4-chain-gamma")] == [(0, 0, 0)]


def test_which_runs_have_corrections_by_the_structure_factor():
    campaign = load("campaign.yaml", root=ROOT)

    def allowed(material, method):
        return campaign.sections("twist_average", material, method).get("size_corrections", True)

    assert allowed("lih-222", "transferable") and allowed("electron-gas-14", "gas")
    for run in (
        ("h4-chain", "ferminet"),
        ("graphene", "ferminet"),
        ("lih-cell-positron", "ferminet"),
        ("electron-gas-14", "slater"),
        ("wigner-rs5", "crystal"),
    ):
        assert not allowed(*run), run

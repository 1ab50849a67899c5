"""Groups of a campaign: who shares a network, what their jobs depend on, what is refused."""

import pytest

from engine.campaign import load
from engine.errors import ConfigError

CHAIN = """
structure: {{kind: chain, species: H, n_atoms: 2, spacing_bohr: {spacing}, vacuum_bohr: 20}}
supercell: [{cells}, 1, 1]
twists: {{grid: {grid}}}
mean_field: {{basis: sto-3g}}
"""
NET = """
ansatz: {name: transferable, number: complex}
optimizer: {name: spring}
pretrain: {steps: 0}
vmc: {steps: 10, min_steps: null}
"""
CAMPAIGN = """
runs:
  short: [net, other]
  long: [net]
joint:
  chains: {method: net, materials: [short, long]}
"""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "materials/short.yaml", CHAIN.format(cells=1, grid=[4, 1, 1], spacing=1.8))
    write(tmp_path, "materials/long.yaml", CHAIN.format(cells=2, grid=[2, 1, 1], spacing=2.0))
    write(tmp_path, "methods/net.yaml", NET)
    write(tmp_path, "methods/other.yaml", "ansatz: {name: ferminet}\n")
    write(tmp_path, "campaign.yaml", CAMPAIGN)
    return tmp_path


def write(folder, path, text):
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(text)


def edit(folder, path, old, new):
    text = (folder / path).read_text()
    assert old in text
    (folder / path).write_text(text.replace(old, new, 1))


def checked(folder):
    campaign = load(root=folder)
    campaign.check()
    return campaign


def test_every_twist_of_every_material_is_a_member(folder):
    campaign = checked(folder)
    content = campaign.joint_sections("chains")
    members = [(m["material"], m["twist"]["index"]) for m in content["members"]]
    assert members == [("short", 0), ("short", 1), ("short", 2), ("long", 0), ("long", 1)]
    assert content["vmc"]["steps"] == 5 * 10
    for material, twist in members:
        member = campaign.sections("vmc", material, "net", twist)
        assert member["joint"] == {"group": "chains", "member": members.index((material, twist))}
        assert member["vmc"]["steps"] == 0
    assert "joint" not in campaign.sections("vmc", "short", "other", 0)
    assert campaign.sections("vmc", "short", "other", 0)["vmc"]["steps"] == 2000


def test_steps_of_the_group_and_of_the_members_after_it(folder):
    edit(folder, "campaign.yaml", "long]", "long], steps: 7, refine_steps: 3")
    campaign = checked(folder)
    assert campaign.joint_sections("chains")["vmc"]["steps"] == 7
    assert campaign.sections("vmc", "long", "net", 1)["vmc"]["steps"] == 3


@pytest.mark.parametrize(
    ("path", "old", "new", "again"),
    [
        ("methods/net.yaml", "steps: 10", "steps: 11", True),
        ("methods/net.yaml", "name: spring", "name: spring, learning_rate: 0.2", True),
        ("methods/net.yaml", "vmc:", "evaluate: {max_steps: 300}\nvmc:", False),
        ("campaign.yaml", "materials: [short, long]", "materials: [short]", True),
        ("campaign.yaml", "short, long]", "short, long], description: chains", False),
        ("campaign.yaml", "short, long]", "short, long], refine_steps: 3", False),
        ("campaign.yaml", "short, long]", "short, long], steps: 30", True),
    ],
)
def test_what_repeats_the_common_training(folder, path, old, new, again):
    before = checked(folder).joint_sections("chains")
    edit(folder, path, old, new)
    assert (checked(folder).joint_sections("chains") != before) == again


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        ("campaign.yaml", "method: net", "method: other", "does not run with method 'other'"),
        ("methods/net.yaml", "transferable", "ferminet", "belong to one twist"),
        ("methods/net.yaml", "min_steps: null", "transfer_steps: 5", "vmc.transfer_steps"),
        ("methods/net.yaml", ", number: complex", "", "set ansatz.number: complex"),
        ("materials/long.yaml", "species: H", "species: He", "set of elements of 'long' is He"),
        ("materials/long.yaml", "sto-3g", "cc-pvdz", "basis of 'long' is cc-pvdz"),
        ("campaign.yaml", "[short, long]}", "[short, short]}", "each one once"),
        ("campaign.yaml", "long]}", "long], steps: 4}", "4 steps for 5 members"),
        (
            "materials/long.yaml",
            "structure:",
            "overrides: {net: {vmc: {accuracy_ha_per_cell: 1.0e-4}}}\nstructure:",
            "vmc.accuracy_ha_per_cell of 'long' is 0.0001",
        ),
        ("campaign.yaml", "[short, long]}", "[short, lang]}", "did you mean 'long'"),
        (
            "campaign.yaml",
            "long]}",
            "long]}\n  more: {method: net, materials: [long]}",
            "also in group 'chains'",
        ),
    ],
)
def test_members_whose_parameters_cannot_be_the_same_are_refused(folder, path, old, new, message):
    edit(folder, path, old, new)
    with pytest.raises(ConfigError, match=message):
        checked(folder)


FROM = """
runs:
  long: [net]
joint:
  longs: {method: net, materials: [long], transfer_from: SOURCE, steps: 20}
"""


def test_a_group_starts_from_the_first_twist_of_another_network(folder):
    write(folder, "campaign.yaml", FROM.replace("SOURCE", "short"))
    campaign = checked(folder)
    assert [campaign.source("long", "net", k) for k in (0, 1)] == [("short", 0)] * 2
    assert campaign.source("short", "net", 1) is None
    assert campaign.materials() == ["long", "short"]
    fit = campaign.sections("pretrain", "long", "net", 1)
    assert fit["pretrain"]["steps"] == 0 and fit["transfer_from"] == "short"
    assert campaign.joint_sections("longs")["vmc"]["steps"] == 20
    assert campaign.sections("vmc", "long", "net", 1)["vmc"]["steps"] == 0


GROUPS = """
runs:
  short: [net]
  long: [net]
joint:
  shorts: {method: net, materials: [short], steps: 20}
  longs: {method: net, materials: [long], transfer_from: short, steps: 20}
"""


def test_a_group_starts_from_a_group_and_not_in_a_circle(folder):
    write(folder, "campaign.yaml", GROUPS)
    campaign = checked(folder)
    assert campaign.source("long", "net", 1) == ("short", 0)
    assert campaign.source("short", "net", 1) is None
    edit(folder, "campaign.yaml", "[short], steps", "[short], transfer_from: long, steps")
    with pytest.raises(ConfigError, match="group 'longs'.*'short' starts from itself, by way of"):
        checked(folder)


def test_another_start_of_a_group_repeats_the_start_of_its_members(folder):
    """Their common training follows: it reads what they begin with."""
    sections = []
    for start in ("short", "null"):
        write(folder, "campaign.yaml", GROUPS.replace("from: short", f"from: {start}"))
        campaign = checked(folder)
        members = [campaign.sections("pretrain", "long", "net", k) for k in (0, 1)]
        others = [campaign.sections("pretrain", "short", "net", k) for k in (0, 1, 2)]
        sections.append((members, others))
    (before, same), (after, still) = sections
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert same == still


@pytest.mark.parametrize(
    ("path", "old", "new", "message"),
    [
        ("campaign.yaml", "from: short", "from: shirt", "(?s)'transfer_from'.*mean 'short'"),
        ("campaign.yaml", "from: short", "from: long", "group 'longs'.*'long' starts from itself"),
        ("materials/short.yaml", "species: H", "species: He", "set of elements of 'long' is H"),
        ("materials/short.yaml", "sto-3g", "cc-pvdz", "basis of the mean field of 'long'"),
        (
            "materials/short.yaml",
            "structure:",
            "overrides: {net: {vmc: {transfer_steps: 4, transfer_from: long}}}\nstructure:",
            "'long' starts from itself, by way of short",
        ),
    ],
)
def test_networks_that_a_group_cannot_start_from(folder, path, old, new, message):
    write(folder, "campaign.yaml", FROM.replace("SOURCE", "short"))
    edit(folder, path, old, new)
    with pytest.raises(ConfigError, match=message):
        checked(folder)

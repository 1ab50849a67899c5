"""Campaigns: resolution to the input of jobs, and refusal of bad input."""

import pytest

from engine.campaign import load
from engine.config import fingerprint
from engine.errors import ConfigError
from tests.unit.campaigns import CHAIN, H2, checked, small, write


@pytest.fixture
def folder(tmp_path):
    return small(tmp_path)


# --- resolution


def test_runs_keep_the_order_of_the_file(folder):
    assert list(checked(folder).runs.items()) == [
        ("h2", ("net", "slater")),
        ("chain", ("net", "slater")),
    ]


def test_later_twists_start_from_the_first_one_where_asked(folder):
    write(folder, "methods/net.yaml", "vmc: {steps: 300, min_steps: 200, transfer_steps: 150}\n")
    moved = checked(folder)
    first = ("chain", 0)
    assert [moved.source("chain", "net", k) for k in (0, 1, 2)] == [None, first, first]
    vmc = [moved.sections("vmc", "chain", "net", k)["vmc"] for k in (0, 1)]
    assert [(v["steps"], v["min_steps"]) for v in vmc] == [(300, 200), (150, None)]
    fits = [moved.sections("pretrain", "chain", "net", k)["pretrain"]["steps"] for k in (0, 1)]
    assert fits[0] > 0 and fits[1] == 0
    write(folder, "methods/net.yaml", "vmc: {steps: 300, min_steps: 200}\n")
    alone = checked(folder)
    assert alone.source("chain", "net", 1) is None
    assert alone.sections("vmc", "chain", "net", 0) == moved.sections("vmc", "chain", "net", 0)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("vmc: {steps: 300, min_steps: 400}", "min_steps 400 is above steps 300"),
        ("vmc: {steps: 300, min_steps: 200, checkpoint_steps: 500}", "at saved states alone"),
        ("vmc: {steps: 300, transfer_from: h2}", "transfer_from h2 without transfer_steps"),
        ("vmc: {steps: 300, transfer_steps: 400}", "transfer_steps 400 is above steps 300"),
        (
            "ansatz: {name: slater}\npretrain: {steps: 0}\nvmc: {steps: 0, transfer_steps: 9}",
            "transfer_steps 9 is above steps 0",
        ),
    ],
)
def test_steps_that_contradict_each_other_are_refused(folder, section, message):
    write(folder, "methods/net.yaml", f"{section}\n")
    with pytest.raises(ConfigError, match=message):
        checked(folder)


MOVED = "{net: {vmc: {steps: 300, transfer_steps: 100, transfer_from: SOURCE}}}"


RUNS = "runs: {h2: [net], wide: [net]}\n"


def moved(folder, source="chain", change=("1.8", "2.0"), campaign=RUNS):
    """Adds another chain whose network starts from that of `source`."""
    text = CHAIN.replace(*change)
    write(folder, "materials/wide.yaml", f"{text}\noverrides: {MOVED.replace('SOURCE', source)}\n")
    write(folder, "campaign.yaml", campaign)
    return checked(folder)


def test_another_geometry_starts_from_a_network_trained_at_the_same_twist(folder):
    campaign = moved(folder)
    assert [campaign.source("wide", "net", k) for k in (0, 2)] == [("chain", 0), ("chain", 2)]
    assert campaign.source("chain", "net", 2) is None
    assert campaign.materials() == ["h2", "wide", "chain"]
    fits = [campaign.sections("pretrain", name, "net", 2) for name in ("chain", "wide")]
    assert fits[0]["pretrain"]["steps"] > 0 and "transfer_from" not in fits[0]
    assert fits[1]["pretrain"]["steps"] == 0 and fits[1]["transfer_from"] == "chain"
    assert campaign.sections("vmc", "wide", "net", 0)["vmc"]["steps"] == 100


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("chian", ("1.8", "2.0"), "(?s)unknown material 'chian'.*did you mean 'chain'"),
        ("wide", ("1.8", "2.0"), "'wide' starts from itself"),
        ("h2", ("1.8", "2.0"), "kind of cell of 'wide' is periodic"),
        ("chain", ("grid: [4, 1, 1]", "grid: [2, 1, 1]"), "list of twists of 'wide'"),
        ("chain", ("supercell: [2, 1, 1]", "supercell: [3, 1, 1]"), "number of primitive cells"),
    ],
)
def test_networks_of_other_particles_are_refused_as_a_start(folder, source, change, message):
    with pytest.raises(ConfigError, match=message):
        moved(folder, source, change)


TRANSFERABLE = "ansatz: {name: transferable}\noptimizer: {name: spring}\nvmc: {steps: 300}\n"


def test_a_run_starts_from_the_network_of_a_group(folder):
    write(folder, "methods/net.yaml", TRANSFERABLE)
    campaign = moved(
        folder,
        campaign="joint: {both: {method: net, materials: [chain]}}\n"
        "runs: {chain: [net], wide: [net]}\n",
    )
    assert campaign.source("wide", "net", 2) == ("chain", 2)
    assert campaign.sections("vmc", "chain", "net", 2)["joint"]["group"] == "both"


def test_a_transferable_network_starts_from_another_cell(folder):
    """At the same twist, where the other cell has it, else at its first."""
    write(folder, "methods/net.yaml", TRANSFERABLE)
    campaign = moved(folder, change=("supercell: [2, 1, 1]", "supercell: [4, 1, 1]"))
    assert [campaign.source("wide", "net", k) for k in (0, 2)] == [("chain", 0), ("chain", 2)]
    with pytest.raises(ConfigError, match=r"(?s)'wide' is real.*set ansatz\.number: complex"):
        moved(folder, change=("grid: [4, 1, 1]", "grid: [2, 1, 1]"))
    both = TRANSFERABLE.replace("transferable}", "transferable, number: complex}")
    write(folder, "methods/net.yaml", both)
    campaign = moved(folder, change=("grid: [4, 1, 1]", "grid: [2, 1, 1]"))
    assert [t.frac[0] for t in campaign.twists("wide")] == [0, 0.5]
    assert [campaign.source("wide", "net", k) for k in (0, 1)] == [("chain", 0), ("chain", 2)]
    campaign = moved(folder, change=("grid: [4, 1, 1]", "grid: [3, 1, 1]"))
    assert [campaign.source("wide", "net", k) for k in (0, 1)] == [("chain", 0), ("chain", 0)]


def test_twists_of_the_other_cell_that_nothing_starts_from_may_have_any_spin(folder):
    write(folder, "methods/net.yaml", TRANSFERABLE)
    polarised = CHAIN.replace("twists: {", UHF + "twists: {spins: [4, 0, 0], ")
    write(folder, "materials/chain.yaml", polarised)
    campaign = moved(folder, change=("grid: [4, 1, 1]", "grid: [2, 1, 1], shift: [0.5, 0, 0]"))
    assert campaign.source("wide", "net", 0) == ("chain", 1)


def test_a_transferable_network_of_other_elements_is_refused_as_a_start(folder):
    write(folder, "methods/net.yaml", TRANSFERABLE)
    with pytest.raises(ConfigError, match="set of elements of 'wide' is He"):
        moved(folder, change=("species: H", "species: He"))


UHF = "mean_field: {method: uhf}\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("twists:", f"positrons: 1\nspin: 1\n{UHF}twists:"), "number of positrons of 'wide' is 1"),
        (
            ("twists:", f"spin: 4\n{UHF}twists:"),
            "kinds of particles at twist 0 of 'wide' is .* of 1 spin$",
        ),
        (
            ("twists: {", UHF + "twists: {spins: [0, 0, 4], "),
            "at twist 2 of 'wide' is .* of 1 spin$",
        ),
        (
            ("grid: [4, 1, 1]", "grid: [1, 1, 1]"),
            "number of the orbitals .* is real[^$]*complex in",
        ),
    ],
)
def test_networks_with_other_parameters_are_refused_as_a_start(folder, change, message):
    write(folder, "methods/net.yaml", TRANSFERABLE)
    with pytest.raises(ConfigError, match=f"(?m){message}"):
        moved(folder, change=change)


def test_orbitals_of_another_basis_are_refused_as_a_start(folder):
    write(folder, "methods/net.yaml", TRANSFERABLE)
    with pytest.raises(ConfigError, match="basis of the mean field of 'wide' is cc-pvtz"):
        moved(folder, change=("twists:", "mean_field: {basis: cc-pvtz}\ntwists:"))


def test_two_networks_do_not_wait_for_each_other(folder):
    moved(folder)
    text = (folder / "materials/wide.yaml").read_text()
    text = text.replace("transfer_from: chain", "transfer_from: wide")
    write(folder, "materials/chain.yaml", text)
    write(folder, "campaign.yaml", "runs: {wide: [net]}\n")
    with pytest.raises(ConfigError, match="'wide' starts from itself, by way of chain"):
        checked(folder)


OPTIMIZER = "optimizer: {learning_rate: 0.03, norm_constraint: 1.0e-2, damping: 1.0e-4}\n"


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("{damping: 1.0e-2}", ("kfac", 0.03, 1e-2, 1e-2)),
        ("{name: kfac}", ("kfac", 0.03, 1e-2, 1e-4)),
        ("{name: spring}", ("spring", 0.1, 1e-2, 1e-4)),
        ("{name: adam, learning_rate: 0.01}", ("adam", 0.01, 1.0, 1e-4)),
    ],
)
def test_another_optimizer_takes_over_no_rate(folder, override, wanted):
    write(folder, "methods/net.yaml", OPTIMIZER)
    write(folder, "materials/h2.yaml", f"{H2}overrides: {{net: {{optimizer: {override}}}}}\n")
    found = checked(folder).method("h2", "net").optimizer
    assert (found.name, found.learning_rate, found.norm_constraint, found.damping) == wanted
    assert checked(folder).method("chain", "net").optimizer.learning_rate == 0.03


def test_a_circle_that_begins_later_is_told(folder):
    moved(folder)
    text = (folder / "materials/wide.yaml").read_text()
    for name, source in (("a", "b"), ("b", "c"), ("c", "b")):
        write(folder, f"materials/{name}.yaml", text.replace("from: chain", f"from: {source}"))
    write(folder, "campaign.yaml", "runs: {a: [net]}\n")
    with pytest.raises(ConfigError, match="(?m)material 'c'.*'b' starts from itself, by way of c$"):
        checked(folder)
    write(folder, "materials/b.yaml", text.replace("from: chain", "from: chian"))
    with pytest.raises(ConfigError, match="(?s)material 'b'.*did you mean 'chain'"):
        checked(folder)


def test_networks_start_from_one_another_in_a_row(folder):
    moved(folder)
    text = (folder / "materials/wide.yaml").read_text()
    write(
        folder, "materials/wider.yaml", text.replace("transfer_from: chain", "transfer_from: wide")
    )
    write(folder, "campaign.yaml", "runs: {wider: [net]}\n")
    campaign = checked(folder)
    assert [campaign.source(name, "net", 1) for name in ("wider", "wide", "chain")] == [
        ("wide", 1),
        ("chain", 1),
        None,
    ]
    assert campaign.materials() == ["wider", "wide", "chain"]


def test_twists_are_folded_with_their_weights(folder):
    campaign = checked(folder)
    assert [t.frac for t in campaign.twists("chain")] == [(0, 0, 0), (0.25, 0, 0), (0.5, 0, 0)]
    assert [t.weight for t in campaign.twists("chain")] == [0.25, 0.5, 0.25]
    assert [t.frac for t in campaign.twists("h2")] == [(0, 0, 0)]


@pytest.mark.parametrize(
    ("material", "method", "number"),
    [
        ("h2", "net", "real"),
        ("h2", "slater", "real"),
        ("chain", "net", "complex"),
        ("chain", "slater", "complex"),
    ],
)
def test_complex_where_a_twist_needs_it(folder, material, method, number):
    assert checked(folder).number(material, method) == number


def test_gamma_is_real_for_networks_and_complex_for_bloch_orbitals(folder):
    write(folder, "materials/chain.yaml", CHAIN.replace("[4, 1, 1]", "[1, 1, 1]"))
    assert checked(folder).number("chain", "net") == "real"
    assert checked(folder).number("chain", "slater") == "complex"


@pytest.mark.parametrize(
    ("grid", "number"), [("[2, 1, 1]", "real"), ("[3, 1, 1]", "complex"), ("[1, 1, 1]", "real")]
)
def test_twists_of_one_half_are_real_for_networks_on_atomic_functions(folder, grid, number):
    write(folder, "materials/chain.yaml", CHAIN.replace("[4, 1, 1]", grid))
    two = checked(folder)
    assert two.number("chain", "net") == ("real" if grid == "[1, 1, 1]" else "complex")
    assert "antiperiodic" not in two.sections("vmc", "chain", "net", 0)
    write(folder, "methods/net.yaml", TRANSFERABLE)
    campaign = checked(folder)
    assert campaign.number("chain", "net") == number
    signs = number == "real" and grid != "[1, 1, 1]"
    for twist in range(len(campaign.twists("chain"))):
        found = campaign.sections("vmc", "chain", "net", twist)
        assert (found["number"], found.get("antiperiodic", False)) == (number, signs)


def test_all_twists_of_a_material_are_of_one_kind(folder):
    campaign = checked(folder)
    assert {campaign.sections("vmc", "chain", "net", k)["number"] for k in range(3)} == {"complex"}


def test_sections_of_the_stages(folder):
    campaign = checked(folder)
    assert set(campaign.sections("structure", "h2")) == {
        "material",
        "structure",
        "supercell",
        "charge",
        "spin",
        "folder",
    }
    assert set(campaign.sections("mean_field", "h2", twist=0)) == {
        "material",
        "mean_field",
        "twist",
        "charge",
        "spin",
    }
    common = {"material", "method", "twist", "seed", "number", "precision", "ansatz", "sampler"}
    assert set(campaign.sections("pretrain", "h2", "net", 0)) == common | {"pretrain"}
    assert set(campaign.sections("vmc", "h2", "net", 0)) == common | {
        "hamiltonian",
        "optimizer",
        "vmc",
    }
    assert set(campaign.sections("evaluate", "h2", "net", 0)) == common | {
        "hamiltonian",
        "evaluate",
        "n_cells",
    }
    write(folder, "methods/net.yaml", "vmc: {steps: 10, runaway_ha_per_particle: 5}\n")
    assert checked(folder).sections("evaluate", "h2", "net", 0)["runaway_ha_per_particle"] == 5
    average = campaign.sections("twist_average", "chain", "net")
    assert (average["n_atoms"], average["n_cells"], average["seed"]) == (2, 2, 5)
    assert average["twists"][1] == {
        "frac": [0.25, 0.0, 0.0],
        "index": 1,
        "spin": 0,
        "weight": 0.5,
    }
    assert campaign.sections("vmc", "chain", "net", 1)["twist"] == {
        "frac": [0.25, 0.0, 0.0],
        "index": 1,
    }


def test_sections_are_plain_and_do_not_depend_on_the_order_of_keys(folder):
    before = checked(folder)
    write(folder, "methods/net.yaml", "vmc:\n  steps: 10  # ten\nansatz: {name: ferminet}\n")
    after = checked(folder)
    for stage in ("pretrain", "vmc", "evaluate"):
        assert repr(before.sections(stage, "h2", "net", 0)) == repr(
            after.sections(stage, "h2", "net", 0)
        )
    assert fingerprint(before.sections("vmc", "h2", "net", 0)) == fingerprint(
        after.sections("vmc", "h2", "net", 0)
    )


def test_overrides_are_merged_over_the_method_for_that_material_alone(folder):
    write(
        folder,
        "materials/h2.yaml",
        H2 + "overrides: {net: {vmc: {steps: 77}, precision: float64}}\n",
    )
    campaign = checked(folder)
    assert campaign.method("h2", "net").vmc.steps == 77
    assert campaign.method("h2", "net").precision == "float64"
    assert campaign.method("h2", "net").ansatz.name == "ferminet"
    assert campaign.method("chain", "net").vmc.steps == 10


def test_a_twist_along_vacuum_that_is_kept_is_allowed(folder):
    twisted = CHAIN.replace("[4, 1, 1]", "[2, 1, 2]")
    for vacuum in ("", "mean_field: {vacuum_bohr: 25}\n"):
        write(folder, "materials/chain.yaml", twisted + vacuum)
        assert len(checked(folder).twists("chain")) == 4


def test_a_structure_file_is_an_input(folder):
    write(folder, "materials/h2.xyz", "2\n\nH 0 0 0\nH 0.74 0 0\n")
    write(folder, "materials/h2.yaml", "structure: {kind: file, path: h2.xyz}\n")
    assert checked(folder).material("h2").structure_file == [str(folder / "materials/h2.xyz")]


# --- bad input: file, key, expectation


def test_a_missing_campaign_file_is_named(folder):
    with pytest.raises(ConfigError, match="no.yaml"):
        load("no.yaml", root=folder)


def test_a_bad_material_outside_the_campaign_does_no_harm(folder):
    write(folder, "materials/broken.yaml", "structure: 3\n")
    checked(folder)

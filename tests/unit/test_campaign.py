"""Campaigns: resolution to the input of jobs, and refusal of bad input."""

import re

import pytest

from engine.campaign import load
from engine.config import fingerprint
from engine.errors import ConfigError

H2 = """
structure: {kind: atoms, species: [H, H], positions_bohr: [[0, 0, 0], [1.4, 0, 0]]}
"""
CHAIN = """
structure: {kind: chain, species: H, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}
supercell: [2, 1, 1]
twists: {grid: [4, 1, 1]}
literature: {value: -0.57, unit: ha_per_atom, source: somewhere}
"""
SLATER = """
ansatz: {name: slater}
pretrain: {steps: 0}
vmc: {steps: 0}
"""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "materials/h2.yaml", H2)
    write(tmp_path, "materials/chain.yaml", CHAIN)
    write(tmp_path, "methods/net.yaml", "ansatz: {name: ferminet}\nvmc: {steps: 10}\n")
    write(tmp_path, "methods/slater.yaml", SLATER)
    write(
        tmp_path, "campaign.yaml", "seed: 5\nruns:\n  h2: [net, slater]\n  chain: [net, slater]\n"
    )
    return tmp_path


def write(folder, path, text):
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(text)


def checked(folder):
    campaign = load(root=folder)
    campaign.check()
    return campaign


# --- resolution


def test_runs_keep_the_order_of_the_file(folder):
    assert list(checked(folder).runs.items()) == [
        ("h2", ("net", "slater")),
        ("chain", ("net", "slater")),
    ]


def test_later_twists_start_from_the_first_one_where_asked(folder):
    write(folder, "methods/net.yaml", "vmc: {steps: 300, min_steps: 200, transfer_steps: 150}\n")
    moved = checked(folder)
    assert [moved.transferred("chain", "net", k) for k in (0, 1, 2)] == [False, True, True]
    vmc = [moved.sections("vmc", "chain", "net", k)["vmc"] for k in (0, 1)]
    assert [(v["steps"], v["min_steps"]) for v in vmc] == [(300, 200), (150, None)]
    fits = [moved.sections("pretrain", "chain", "net", k)["pretrain"]["steps"] for k in (0, 1)]
    assert fits[0] > 0 and fits[1] == 0
    write(folder, "methods/net.yaml", "vmc: {steps: 300, min_steps: 200}\n")
    alone = checked(folder)
    assert not alone.transferred("chain", "net", 1)
    assert alone.sections("vmc", "chain", "net", 0) == moved.sections("vmc", "chain", "net", 0)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("vmc: {steps: 300, min_steps: 400}", "min_steps 400 is above steps 300"),
        ("vmc: {steps: 300, min_steps: 200, checkpoint_steps: 500}", "at saved states alone"),
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
    assert average["twists"][1] == {"frac": [0.25, 0.0, 0.0], "index": 1, "weight": 0.5}
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


def with_structure(text):
    return f"structure: {{kind: atoms, species: [H, H], {text}}}\n"


POSITIONS = "positions_bohr: [[0, 0, 0], [1.4, 0, 0]]"
LATTICE = "lattice_bohr: [[9, 0, 0], [0, 9, 0], [0, 0, 9]]"

BAD = {
    "unknown key": (
        "materials/h2.yaml",
        H2 + "mean_feild: {}",
        ["h2.yaml", "mean_feild", "'mean_field'"],
    ),
    "unknown nested key": (
        "methods/net.yaml",
        "vmc: {stepps: 3}",
        ["net.yaml", "stepps", "'steps'"],
    ),
    "wrong type": (
        "methods/net.yaml",
        "vmc: {steps: many}",
        ["net.yaml", "steps", "'many'", "an integer"],
    ),
    "missing unit": (
        "materials/h2.yaml",
        with_structure("positions: [[0, 0, 0], [1, 0, 0]]"),
        ["h2.yaml", "positions", "positions_bohr", "positions_angstrom"],
    ),
    "singular supercell": (
        "materials/h2.yaml",
        with_structure(f"{POSITIONS}, {LATTICE}") + "supercell: [[1, 0, 0], [1, 0, 0], [0, 0, 1]]",
        ["h2.yaml", "supercell"],
    ),
    "non-integer supercell": (
        "materials/h2.yaml",
        with_structure(f"{POSITIONS}, {LATTICE}") + "supercell: [1.5, 1, 1]",
        ["h2.yaml", "supercell", "1.5", "integer"],
    ),
    "odd electron count": ("materials/h2.yaml", H2 + "charge: 1", ["h2.yaml", "spin", "1"]),
    "atoms on top of each other": (
        "materials/h2.yaml",
        with_structure("positions_bohr: [[0, 0, 0], [0, 0, 0.01]]"),
        ["h2.yaml", "structure", "0.0100 bohr"],
    ),
    "unknown element": (
        "materials/h2.yaml",
        "structure: {kind: atoms, species: [Hh], positions_bohr: [[0, 0, 0]]}",
        ["h2.yaml", "Hh", "element"],
    ),
    "missing structure file": (
        "materials/h2.yaml",
        "structure: {kind: file, path: no.cif}",
        ["h2.yaml", "no.cif"],
    ),
    "unreadable structure file": (
        "materials/h2.yaml",
        "structure: {kind: file, path: h2.yaml, format: cif}",
        ["h2.yaml", "cannot read the structure file"],
    ),
    "twist outside range": (
        "materials/chain.yaml",
        CHAIN.replace("{grid: [4, 1, 1]}", "{points: [[0.7, 0, 0]]}"),
        ["chain.yaml", "points", "0.7", "(-1/2, 1/2]"],
    ),
    "unknown ansatz": (
        "methods/net.yaml",
        "ansatz: {name: fermionet}",
        ["net.yaml", "fermionet", "'ferminet'"],
    ),
    "target error of zero": (
        "methods/net.yaml",
        "evaluate: {target_error_ha_per_cell: 0}",
        ["net.yaml", "target_error_ha_per_cell", "above 0"],
    ),
    "negative target error": (
        "methods/net.yaml",
        "evaluate: {target_error_ha_per_cell: -1e-3}",
        ["net.yaml", "target_error_ha_per_cell", "above 0"],
    ),
    "target error that is not a number": (
        "methods/net.yaml",
        "evaluate: {target_error_ha_per_cell: nan}",
        ["net.yaml", "target_error_ha_per_cell", "found nan", "a finite number"],
    ),
    "infinite rate": (
        "methods/net.yaml",
        "optimizer: {learning_rate: .inf}",
        ["net.yaml", "learning_rate", "found inf", "a finite number"],
    ),
    "infinite position": (
        "materials/h2.yaml",
        with_structure("positions_bohr: [[0, 0, 0], [1.4, 0, infinity]]"),
        ["h2.yaml", "positions_bohr", "[1][2]", "found infinity", "a finite number"],
    ),
    "twist that is not a number": (
        "materials/chain.yaml",
        CHAIN.replace("{grid: [4, 1, 1]}", "{points: [[.nan, 0, 0]]}"),
        ["chain.yaml", "points", "found nan", "a finite number"],
    ),
    "truth value for a number": (
        "methods/net.yaml",
        "optimizer: {learning_rate: true}",
        ["net.yaml", "learning_rate", "True (bool)", "a number"],
    ),
    "acceptance of one": (
        "methods/net.yaml",
        "sampler: {acceptance: 1}",
        ["net.yaml", "acceptance", "a number above 0 and below 1"],
    ),
    "curvature that never decays": (
        "methods/net.yaml",
        "optimizer: {curvature_decay: 1.0}",
        ["net.yaml", "curvature_decay", "a number at least 0 and below 1"],
    ),
    "more than all walkers": (
        "methods/net.yaml",
        "pretrain: {reference_fraction: 1.1}",
        ["net.yaml", "reference_fraction", "a number at least 0 and at most 1"],
    ),
    "least number of steps above the limit": (
        "methods/net.yaml",
        "evaluate: {min_steps: 30, max_steps: 20}",
        ["net.yaml", "min_steps", "30", "at most max_steps, 20"],
    ),
    "a determinant that is pretrained": (
        "methods/slater.yaml",
        "ansatz: {name: slater}\nvmc: {steps: 0}",
        ["slater.yaml", "'pretrain'", "'steps'", "nothing to train", "to 0"],
    ),
    "a determinant that is optimised": (
        "methods/slater.yaml",
        "ansatz: {name: slater}\npretrain: {steps: 0}\nvmc: {steps: 10}",
        ["slater.yaml", "'vmc'", "'steps'", "nothing to train", "to 0"],
    ),
    "a determinant that an override optimises": (
        "materials/h2.yaml",
        H2 + "overrides: {slater: {vmc: {steps: 3}}}",
        ["h2.yaml", "overrides", "slater", "'vmc'", "nothing to train"],
    ),
    "closed shells with spin": (
        "materials/h2.yaml",
        H2 + "spin: 2",
        ["h2.yaml", "'mean_field'", "'method'", "rhf", "spin 2", "method: uhf"],
    ),
    "fitting where nothing is fitted": (
        "materials/chain.yaml",
        CHAIN + "mean_field: {integrals: fft, auxiliary_basis: weigend}",
        ["chain.yaml", "'mean_field'", "'auxiliary_basis'", "FFT fits nothing"],
    ),
    "twist along shortened vacuum": (
        "materials/chain.yaml",
        CHAIN.replace("[4, 1, 1]", "[2, 1, 2]") + "mean_field: {vacuum_bohr: 15}",
        ["chain.yaml", "'mean_field'", "'vacuum_bohr'", "lattice vector 3", "vacuum"],
    ),
    "supercell along shortened vacuum": (
        "materials/chain.yaml",
        CHAIN.replace("[2, 1, 1]", "[1, 2, 1]") + "mean_field: {vacuum_bohr: 15}",
        ["chain.yaml", "'mean_field'", "'vacuum_bohr'", "lattice vector 2", "vacuum"],
    ),
    "literature per atom where there are none": (
        "materials/h2.yaml",
        "structure: {kind: electron-gas, rs: 1, electrons: 2, polarisation: 0, lattice: sc}\n"
        "mean_field: {method: plane-waves}\n"
        "literature: {value: -0.5, unit: ha_per_atom, source: somewhere}",
        ["h2.yaml", "'literature'", "'unit'", "ha_per_electron"],
    ),
    "name of a rule": ("materials/sizes.yaml", H2, ["sizes.yaml", "target"]),
    "correction that no column has": (
        "campaign.yaml",
        "runs: {h2: [slater], chain: [slater]}\n"
        "contrasts: {gain: {terms: {chain: 1, h2: -1}, corrections: [potential]}}",
        ["campaign.yaml", "'gain'", "chain/slater", "structure-factor"],
    ),
    "duplicate material": (
        "campaign.yaml",
        "runs:\n  h2: [net]\n  h2: [slater]",
        ["campaign.yaml, line 3", "'h2'", "twice", "line 2"],
    ),
    "duplicate file": ("materials/h2.yml", H2, ["h2.yml", "duplicate", "h2.yaml"]),
    "bad file name": ("materials/H_2.yaml", H2, ["H_2.yaml", "small letters"]),
    "reserved name": ("materials/report.yaml", H2, ["report.yaml", "target"]),
    "name of a folder": ("materials/zone.yaml", H2, ["zone.yaml", "target"]),
    "unknown material": ("campaign.yaml", "runs: {h3: [net]}", ["campaign.yaml", "h3", "'h2'"]),
    "unknown method": ("campaign.yaml", "runs: {h2: [nett]}", ["campaign.yaml", "nett", "'net'"]),
    "method listed twice": ("campaign.yaml", "runs: {h2: [net, net]}", ["campaign.yaml", "twice"]),
    "no list of methods": ("campaign.yaml", "runs: {h2: net}", ["campaign.yaml", "'h2'", "a list"]),
    "no runs": ("campaign.yaml", "runs: {}", ["campaign.yaml", "no runs"]),
    "unknown method in overrides": (
        "materials/h2.yaml",
        H2 + "overrides: {nett: {}}",
        ["h2.yaml", "overrides", "nett", "'net'"],
    ),
    "bad override": (
        "materials/h2.yaml",
        H2 + "overrides: {net: {vmc: {stepps: 3}}}",
        ["h2.yaml", "overrides", "net", "stepps", "'steps'"],
    ),
    "override that is no section": (
        "materials/h2.yaml",
        H2 + "overrides: {net: 3}",
        ["h2.yaml", "overrides"],
    ),
    "syntax error": (
        "materials/h2.yaml",
        "structure:\n  kind: atoms\n bad",
        ["h2.yaml, line 3", "YAML"],
    ),
    "duplicate key": (
        "methods/net.yaml",
        "vmc: {steps: 1}\nansatz: {}\nvmc: {steps: 2}",
        ["net.yaml, line 3", "'vmc'", "line 1"],
    ),
    "empty file": ("methods/net.yaml", "# nothing\n", ["net.yaml", "no keys"]),
    "real orbitals at a twist": (
        "methods/net.yaml",
        "ansatz: {number: real}",
        ["net.yaml", "chain", "complex"],
    ),
    "seed below zero": (
        "campaign.yaml",
        "seed: -1\nruns: {h2: [net]}",
        ["campaign.yaml", "seed", "at least 0"],
    ),
}


@pytest.mark.parametrize("case", BAD, ids=lambda name: name.replace(" ", "-"))
def test_bad_input_is_refused_with_file_key_and_expectation(folder, case):
    path, text, pieces = BAD[case]
    write(folder, path, text)
    with pytest.raises(ConfigError) as refused:
        checked(folder)
    message = str(refused.value)
    for piece in pieces:
        assert piece in message, message
    assert re.search(r"expected: ", message), message


def test_a_missing_campaign_file_is_named(folder):
    with pytest.raises(ConfigError, match="no.yaml"):
        load("no.yaml", root=folder)


def test_a_bad_material_outside_the_campaign_does_no_harm(folder):
    write(folder, "materials/broken.yaml", "structure: 3\n")
    checked(folder)

"""Bad input of a campaign: refused with file, key, expectation and remedy before anything runs."""

import re

import pytest

from engine.errors import ConfigError
from tests.unit.campaigns import CHAIN, H2, checked, small, write


@pytest.fixture
def folder(tmp_path):
    return small(tmp_path)


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
    "an optimizer that the network does not take": (
        "methods/net.yaml",
        "ansatz: {name: transferable}",
        ["net.yaml", "'optimizer'", "kfac", "spring or adam"],
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
    "spins of twists of a closed shell": (
        "materials/chain.yaml",
        CHAIN.replace("}\nlit", ", spins: [2, 0, 0]}\nlit"),
        ["chain.yaml", "'twists'", "'spins'", "[2, 0, 0]", "method: uhf"],
    ),
    "transfer between spins": (
        "materials/chain.yaml",
        CHAIN.replace("}\nlit", ", spins: [2, 0, 0]}\nlit")
        + "mean_field: {method: uhf}\noverrides: {net: {vmc: {steps: 10, transfer_steps: 5}}}",
        ["'chain'", "'transfer_steps'", "spins [2, 0, 0]", "one spin at all twists"],
    ),
    "impossible spin of a twist": (
        "materials/chain.yaml",
        CHAIN.replace("}\nlit", ", spins: [1, 0, 0]}\nlit") + "mean_field: {method: uhf}",
        ["chain.yaml", "'twists'", "'spins'", "spin 1 is impossible with 4 electrons"],
    ),
    "magnetic moments of a closed shell": (
        "materials/h2.yaml",
        H2 + "mean_field: {magnetic_moments: [1, -1]}",
        ["h2.yaml", "'magnetic_moments'", "method rhf", "method: uhf"],
    ),
    "magnetic moments of other atoms": (
        "materials/h2.yaml",
        H2 + "mean_field: {method: uhf, magnetic_moments: [1]}",
        ["h2.yaml", "key 'magnetic_moments'", "1 magnetic", "2, one per atom", "H H"],
    ),
    "more moment than electrons": (
        "materials/h2.yaml",
        H2 + "mean_field: {method: uhf, magnetic_moments: [2, 0]}",
        ["h2.yaml", "key 'magnetic_moments'", "moment 2 of an atom H", "at most 1"],
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

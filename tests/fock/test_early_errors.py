"""What cannot be computed is refused while the campaign is read, before any job."""

import subprocess
import sys
from pathlib import Path

import pytest
from pyscf import gto

from engine.campaign import load
from engine.errors import ConfigError
from engine.mean_field.basis_sets import basis_size
from engine.system import block2

ROOT = Path(__file__).resolve().parents[2]
WATER = "structure: {kind: molecule, name: H2O}\nmean_field: {basis: sto-3g}\n"
OXYGEN = "structure: {kind: molecule, name: O2}\nspin: 2\nmean_field: {method: rohf}\n"
CRYSTAL = """
structure: {kind: chain, species: H, n_atoms: 2, spacing_bohr: 1.8, vacuum_bohr: 20}
supercell: [3, 1, 1]
mean_field: {basis: sto-6g}
"""


def checked(folder, material, method, n_basis):
    """Writes a campaign of one run and checks it."""
    for kind, text in (("materials", material), ("methods", f"space: fock\n{method}\n")):
        (folder / kind).mkdir(exist_ok=True)
        (folder / kind / "a.yaml").write_text(text)
    (folder / "campaign.yaml").write_text("runs: {a: [a]}\n")
    campaign = load(root=folder)
    campaign.check()
    campaign.check_size("a", n_basis)


@pytest.mark.parametrize(
    ("material", "method", "n_basis", "message"),
    [
        (WATER, "selection: {core: 442}", 7, "at most 441, all there are of 5 [+] 5"),
        (WATER, "selection: {core: 26}\nintegrals: {frozen: 1, active: 5}", 7, "at most 25"),
        (WATER, "integrals: {frozen: 6}", 7, "at most 5"),
        (WATER, "integrals: {active: 8}", 7, "between 5 and 7"),
        (WATER, "integrals: {orbitals: oao, frozen: 1}", 7, "no order"),
        (WATER, "integrals: {orbitals: boys, active: 6}", 7, "no order"),
        (WATER, "selection: {core: 4}", 201, "at most 200"),
        (CRYSTAL, "selection: {core: 4}", 67, "201 orbitals"),
        (CRYSTAL, "integrals: {orbitals: boys}", 2, "periodic"),
        (OXYGEN, "integrals: {orbitals: natural}", 10, "equal numbers"),
        (OXYGEN, "integrals: {orbitals: natural-cisd}", 10, "equal numbers"),
        (OXYGEN, "ansatz: {spin_flip: true}", 10, "equal numbers"),
        (
            CRYSTAL + "twists: {points: [[0.25, 0, 0]]}\n",
            "integrals: {orbitals: natural-cisd}",
            2,
            "CISD natural orbitals of complex integrals",
        ),
        (CRYSTAL, "ansatz: {translations: true}", 2, "canonical orbitals of a crystal"),
        (
            WATER,
            "ansatz: {translations: true}\nintegrals: {orbitals: oao}",
            7,
            "oao orbitals of a molecule",
        ),
        ("structure: {kind: molecule, name: HF}\n", "selection: {core: 1}", 4, "in 4 orbitals"),
    ],
)
def test_spaces_that_do_not_exist(tmp_path, material, method, n_basis, message):
    with pytest.raises(ConfigError, match=message):
        checked(tmp_path, material, method, n_basis)


def test_a_program_that_is_not_there_is_missed_before_any_job(tmp_path, monkeypatch):
    monkeypatch.setattr(block2.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"campaign\.yaml.*'references'.*block2"):
        checked(tmp_path, WATER, "selection: {core: 4}\nreferences: {methods: [dmrg]}", 7)


@pytest.mark.parametrize(
    ("material", "method", "n_basis"),
    [
        (WATER, "selection: {core: 441}", 7),
        (WATER, "selection: {core: 25}\nintegrals: {frozen: 1, active: 5}", 7),
        (CRYSTAL, "selection: {core: 400}\nintegrals: {orbitals: oao}", 2),
        (
            CRYSTAL,
            "selection: {core: 400}\nintegrals: {orbitals: oao}\nansatz: {translations: true}",
            2,
        ),
        (OXYGEN, "", 10),
    ],
)
def test_spaces_that_do(tmp_path, material, method, n_basis):
    checked(tmp_path, material, method, n_basis)


@pytest.mark.parametrize(
    ("basis", "symbols"),
    [("sto-3g", "O H H"), ("cc-pvdz", "Li H"), ("def2-tzvp", "C O"), ("6-31g*", "Si")],
)
def test_the_size_of_a_basis_is_that_of_PySCF(basis, symbols):
    atoms = symbols.split()
    molecule = gto.Mole(atom=[(s, (0, 0, 3.0 * i)) for i, s in enumerate(atoms)], basis=basis)
    molecule.spin = None
    molecule.build(dump_input=False, parse_arg=False)
    assert basis_size(basis, atoms) == molecule.nao_nr()


def test_size_of_a_valence_basis():
    assert basis_size("gth-szv", ["Si", "Si"]) == 8


def test_the_workflow_refuses_a_core_above_the_space_before_any_job(tmp_path):
    (tmp_path / "materials").mkdir()
    (tmp_path / "methods").mkdir()
    (tmp_path / "materials/a.yaml").write_text(WATER)
    (tmp_path / "methods/a.yaml").write_text("space: fock\nselection: {core: 442}\n")
    (tmp_path / "campaign.yaml").write_text("runs: {a: [a]}\n")
    snakefile = ("-s", str(ROOT / "Snakefile"))
    command = [sys.executable, "-m", "snakemake", *snakefile, "-n", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "at most 441" in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()

"""Who may import whom, read from the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "engine").rglob("*.py"))

FOUNDATION = {
    "engine",
    "errors",
    "units",
    "compiling",
    "keys",
    "log",
    "config",
    "devices",
    "rows",
    "trigonometry",
}
ALLOWED = {
    "foundation": FOUNDATION,
    "types": FOUNDATION | {"system"},
    "system": FOUNDATION | {"system"},
    "io": FOUNDATION | {"types", "system", "io"},
    "library": FOUNDATION | {"system", "io"},
    "cluster": FOUNDATION | {"cluster"},
    "models": FOUNDATION | {"system", "io", "library"},
    "families": FOUNDATION,
    "joint": FOUNDATION | {"system", "io", "library"},
    "matching": FOUNDATION | {"system", "library", "models", "joint"},
    "number": FOUNDATION | {"system", "library"},
    "sections": FOUNDATION | {"system", "library", "number"},
    "campaign": FOUNDATION
    | {"system", "io", "library", "models", "families", "joint", "matching", "number", "sections"},
    **{
        name: FOUNDATION | {"types", "system", "io", name}
        for name in (
            "mean_field",
            "wavefunction",
            "hamiltonian",
            "sampler",
            "optimizer",
            "estimator",
        )
    },
    "fock": FOUNDATION | {"types", "system", "io", "fock"},
    "learned": FOUNDATION | {"types", "system", "io", "learned"},
    "__main__": FOUNDATION | {"campaign", "stage"},
    "stage": FOUNDATION
    | {
        "types",
        "system",
        "io",
        "mean_field",
        "wavefunction",
        "hamiltonian",
        "sampler",
        "optimizer",
        "estimator",
        "fock",
        "learned",
        "campaign",
        "stage",
    },
}
"""What a part of the engine may import: strictly downward, siblings never each other."""

EXCEPTIONS = {("engine/system/prototypes.py", "engine.io.structure.read_structure")}
"""A structure may come from a file: the one look upward."""

FENCES = {
    "pyscf": {
        "engine/mean_field/pyscf_solver.py",
        "engine/mean_field/basis_sets.py",
        "engine/mean_field/pyscf_grid.py",
        "engine/mean_field/pyscf_integrals.py",
        "engine/mean_field/pyscf_labels.py",
        "engine/mean_field/pyscf_predicted.py",
        "engine/mean_field/correlated.py",
    },
    "pyblock2": {"engine/mean_field/dmrg.py"},
    "ase": {"engine/system/prototypes.py", "engine/io/structure.py"},
    "kfac_jax": {"engine/optimizer/"},
    "folx": {
        "engine/hamiltonian/determinant_rule.py",
        "engine/hamiltonian/kinetic.py",
        "engine/hamiltonian/row_rules.py",
    },
    "spglib": {"engine/system/twists.py"},
    "h5py": {"engine/io/"},
    "yaml": {"engine/io/document.py"},
    "snakemake": set(),
    "matplotlib": set(),
    "jinja2": set(),
}
"""Third-party packages and the only places of the engine that may use them."""


def imported(path):
    """Returns the dotted names a file imports, wherever the statement stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(parts):
    """Returns the part of the engine that a module path belongs to."""
    if len(parts) == 1 or parts[1] in ("__init__", "__version__"):
        return "engine"
    return parts[1]


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_strictly_downward(path):
    own = part(path.relative_to(ROOT).with_suffix("").parts)
    allowed = ALLOWED["foundation" if own in FOUNDATION else own]
    for name in imported(path):
        if name.split(".")[0] == "engine" and (relative(path), name) not in EXCEPTIONS:
            assert part(name.split(".")) in allowed, f"{relative(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_third_party_packages_stay_behind_their_fences(path):
    for name in imported(path):
        places = FENCES.get(name.split(".")[0])
        if places is not None:
            assert any(relative(path).startswith(place) for place in places), (
                f"{relative(path)} imports {name}"
            )


def test_the_workflow_rules_import_the_campaign_the_cluster_and_the_check_of_the_mean_field():
    lines = [
        line.split("#")[0].strip()
        for path in [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]
        for line in path.read_text().splitlines()
        if "engine" in line and "import" in line
    ]
    assert sorted(lines) == [
        "from engine.campaign import load",
        "from engine.cluster.resources import Size, model_resources, resources",
        "from engine.cluster.site import WHERE, read_site",
        "from engine.cluster.slurm import check_site, settle",
        "from engine.errors import PsilatticeError",
        "from engine.mean_field.basis_sets import basis_size, check_options, check_orbitals",
    ]


@pytest.mark.parametrize(
    "module",
    [
        "engine.campaign",
        "engine.cluster.resources",
        "engine.cluster.slurm",
        "engine.config",
        "engine.stage.aggregate",
        "engine.stage.show",
    ],
)
def test_parsing_and_tables_need_no_jax_and_no_pyscf(module):
    check = (
        f"import sys, {module}\n"
        "heavy = {'jax', 'jaxlib', 'pyscf', 'kfac_jax', 'flax', 'matplotlib'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_the_gpu_side_needs_no_pyscf_and_no_ase():
    check = (
        "import sys\n"
        "import engine.stage.pretrain, engine.stage.vmc, engine.stage.evaluate\n"
        "import engine.stage.fock_train, engine.stage.fock_evaluate\n"
        "print(*sorted({'pyscf', 'ase', 'spglib', 'snakemake'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""

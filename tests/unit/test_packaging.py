"""pyproject.toml, requirements.lock and environment.yml say the same."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(lines):
    """Returns name -> version of `name==version` lines."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        [pin] = requirement.specifier
        assert pin.operator == "==", line
        found[canonicalize_name(requirement.name)] = Version(pin.version)
    return found


def lock():
    text = (ROOT / "requirements.lock").read_text().splitlines()
    return pins(line for line in text if line and not line.startswith("#"))


def direct(*groups):
    """Returns name -> requirement of the direct dependencies."""
    lines = [line for group in groups for line in group]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def imported(path):
    """Returns the top-level names a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {
        alias.name.split(".")[0] for n in nodes if isinstance(n, ast.Import) for alias in n.names
    }
    return plain | {n.module.split(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}


def test_every_direct_dependency_is_locked_within_its_range():
    locked = lock()
    for name, requirement in direct(PROJECT["dependencies"], EXTRAS["dev"]).items():
        assert name in locked, f"{name} is not in requirements.lock"
        assert requirement.specifier.contains(locked[name], prereleases=True), name


def test_the_gpu_extra_is_an_extra_of_a_locked_package():
    [requirement] = direct(EXTRAS["gpu"]).values()
    assert requirement.name == "jax" and requirement.extras == {"cuda13"}


def test_conda_has_the_same_pins():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    [pip] = [entry["pip"] for entry in dependencies if isinstance(entry, dict)]
    assert pins(pip) == {
        name: lock()[name] for name in direct(PROJECT["dependencies"], EXTRAS["dev"])
    }
    assert "python=3.11" in dependencies
    assert Version("3.11") in Requirement(f"python{PROJECT['requires-python']}").specifier


def test_jax_and_jaxlib_are_locked_together():
    assert lock()["jax"] == lock()["jaxlib"]


def test_everything_imported_is_a_direct_dependency():
    distributions = {"yaml": "pyyaml", "PIL": "pillow", "kfac_jax": "kfac-jax", "jinja2": "jinja2"}
    distributions["pyblock2"] = "block2"
    known = {*direct(PROJECT["dependencies"], EXTRAS["dmrg"]), "jaxlib"}
    local = {"engine", "plots", "page", *(p.stem for p in (ROOT / "workflow/scripts").glob("*.py"))}
    for path in [*(ROOT / "engine").rglob("*.py"), *(ROOT / "workflow/scripts").rglob("*.py")]:
        for name in imported(path):
            if name not in local and name not in sys.stdlib_module_names:
                assert distributions.get(name, canonicalize_name(name)) in known, f"{path}: {name}"


def test_no_file_names_a_package_host():
    for name in ("requirements.lock", "environment.yml", "Makefile", "pyproject.toml"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|--(extra-)?index-url|find-links", text), name

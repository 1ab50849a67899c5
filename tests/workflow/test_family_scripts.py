"""The scripts of the rules about families, on made-up tables and evaluations."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engine.io import hdf5, table
from engine.io.observables import Observable, pack

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow/scripts"
METHODS = {"slater": "scf", "crystal": "localised", "gas": "scf"}


class Named(SimpleNamespace):
    """Inputs of a rule: by name, and by `get` as Snakemake's are."""

    def get(self, name, default):
        return getattr(self, name, default)


@pytest.fixture
def execute(monkeypatch, tmp_path):
    """Runs a script as Snakemake does; (name, input, output, params, wildcards) -> None."""
    monkeypatch.setattr("_start.start", lambda snakemake: None)

    def run(name, given, made, params, wildcards=()):
        snakemake = SimpleNamespace(
            input=Named(**given),
            output=Named(**{k: str(tmp_path / v) for k, v in made.items()}),
            params=Named(**params),
            wildcards=Named(**dict(wildcards)),
        )
        runpy.run_path(str(SCRIPTS / f"{name}.py"), {"snakemake": snakemake})

    return run


def energies(folder, rows):
    path = folder / "energies.csv"
    full = [
        {
            "n_atoms": 2,
            "n_electrons": 2.0,
            "n_cells": 1,
            "error_ha_per_cell": 1e-4,
            "target_reached": True,
        }
        | row
        for row in rows
    ]
    table.write(path, full)
    return path


def family(analysis, points, **keys):
    empty = {"corrections": [], "powers": [1.0], "literature": None, "literature_source": ""}
    empty |= {"order": 3}
    return empty | {"name": "f", "analysis": analysis, "points": points, "description": ""} | keys


def test_sizes(execute, tmp_path):
    rows = [
        {"material": f"c{n}", "method": "net", "n_cells": n, "energy_ha_per_cell": -1 - 0.1 / n}
        for n in (2, 3, 4)
    ]
    path = energies(tmp_path, rows)
    points = [{"material": row["material"], "x": None} for row in rows]
    found = family("size", points, along="")
    execute("sizes", {"energies": path}, {"sizes": "sizes.csv"}, {"families": [found]})
    lines = table.read(tmp_path / "sizes.csv")
    assert lines[0]["limit_ha_per_particle"] == pytest.approx(-0.5)
    draw(execute, tmp_path, found, tmp_path / "sizes.csv", path)


def draw(execute, folder, found, source, path, runs=(), results=()):
    given = {"table": source, "energies": path} | ({"results": list(results)} if results else {})
    made = {"svg": "figure.svg", "png": "figure.png"}
    execute("family_figure", given, made, {"family": found, "runs": runs}, {"family": "f"})
    assert (folder / "figure.png").exists() and (folder / "figure.svg").exists()


def test_equations_of_state(execute, tmp_path):
    points = [
        {"material": f"a{i}", "x": x, "volume_bohr3": 1.7 * x**3}
        for i, x in enumerate((3.8, 4.0, 4.2, 4.4))
    ]
    rows = [
        {
            "material": p["material"],
            "method": "net",
            "energy_ha_per_cell": -8 + 0.1 * (p["x"] - 4.05) ** 2,
        }
        for p in points
    ]
    path = energies(tmp_path, rows)
    found = family("equation-of-state", points, along="a_angstrom")
    made = {"equations": "equations_of_state.csv"}
    execute("equations_of_state", {"energies": path}, made, {"families": [found]})
    (line,) = table.read(tmp_path / "equations_of_state.csv")
    assert line["lattice_constant_angstrom"] == pytest.approx(4.05, abs=0.01)
    draw(execute, tmp_path, found, tmp_path / "equations_of_state.csv", path)


def evaluation(path, order):
    """Writes what a family of phases reads of an evaluation."""
    axes = {"box": (np.vstack([np.zeros(3), np.eye(3)]), "bohr")}
    observed = {
        "order_parameter": Observable(order, 0.01),
        "pair_density": Observable(np.ones((1, 4, 4, 4)), np.ones((1, 4, 4, 4)), "", axes),
    }
    hdf5.write(path, "energy", pack(observed)[0], fingerprint="f")
    return path


def test_phases(execute, tmp_path):
    points = [
        {"material": f"g{x}", "x": float(x), "methods": METHODS, "determinants": list(METHODS)[:2]}
        for x in (5, 50)
    ]
    names = [(p["material"], m) for p in points for m in METHODS]
    fields = {"slater": -0.5, "crystal": -0.45, "gas": -0.5}
    rows = [
        {
            "material": material,
            "method": method,
            "n_atoms": 0,
            "n_electrons": 8.0,
            "energy_ha_per_cell": -0.6,
            "mean_field_ha_per_cell": fields[method],
        }
        for material, method in names
    ]
    path = energies(tmp_path, rows)
    runs = [[material, method, 1.0] for material, method in names]
    results = [evaluation(tmp_path / f"{i}.h5", 0.1 * (i + 1)) for i in range(len(names))]
    found = family("phases", points, along="rs")
    given = {"energies": path, "results": results}
    execute("phases", given, {"phases": "phases.csv"}, {"families": [found], "runs": runs})
    lines = table.read(tmp_path / "phases.csv")
    assert [line["order_parameter"] for line in lines] == pytest.approx(np.arange(1, 7) / 10)
    assert lines[0]["to_localised_ha_per_electron"] == pytest.approx(-0.15 / 8)
    assert lines[0]["to_plane_waves_ha_per_electron"] == pytest.approx(-0.1 / 8)
    draw(execute, tmp_path, found, tmp_path / "phases.csv", path, runs, results)

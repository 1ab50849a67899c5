"""Figures of families, drawn from made-up tables."""

import numpy as np
import pytest
from plots import families, style

from engine.io.observables import Observable

SITES = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2.0


def crystal(sharpness, n=16):
    """A pair density with peaks at the sites of a 2 x 2 x 2 crystal."""
    x = np.arange(n) / n
    wave = sum(np.cos(4 * np.pi * axis) for axis in np.meshgrid(x, x, x, indexing="ij"))
    box = np.vstack([np.zeros(3), SITES])
    value = np.exp(sharpness * wave)[None]
    return Observable(value, 0 * value, "1/bohr^3", {"box": (box, "bohr")})


def phase_rows():
    return [
        {
            "family": "w",
            "x": x,
            "method": method,
            "n_electrons": 8.0,
            "to_plane_waves_ha_per_electron": -shift / x,
            "error_ha_per_electron": 1e-3 / x,
            "plane_waves_ha_per_electron": -0.7 / x,
            "localised_ha_per_electron": (0.05 - 0.002 * x) / x - 0.7 / x,
            "order_parameter": order * min(x, 100) / 100,
            "order_parameter_error": 0.01,
        }
        for method, shift, order in (("slater", 0, 0.1), ("crystal", 0.02, 0.8), ("net", 0.1, 0.7))
        for x in (5.0, 50.0, 200.0)
    ]


def test_phases(tmp_path, monkeypatch):
    names = {5.0: "a", 50.0: "b", 200.0: "c"}
    methods = {"slater": "scf", "crystal": "localised", "net": "scf"}
    family = {
        "name": "w",
        "along": "rs",
        "description": "",
        "points": [
            {"material": m, "x": x, "methods": methods, "determinants": ["slater", "crystal"]}
            for x, m in names.items()
        ],
    }
    results = {(m, k): ([f"{m}-{k}"], [1.0]) for m in names.values() for k in methods}
    sharp = {"a-net": 0.05, "b-net": 0.5, "c-net": 1.0}
    monkeypatch.setattr(families, "pair_density", lambda paths, w: crystal(sharp[paths[0]]))
    figure = families.phases(family, phase_rows(), [], results)
    titles = [ax.get_title() for ax in figure.axes]
    assert [t for t in titles if t.startswith("rs = ")] == ["rs = 5", "rs = 50", "rs = 200"]
    above = figure.axes[0]
    lines = [list(line.get_ydata()) for line in above.lines]
    assert [pytest.approx(-0.1)] * 3 in lines
    style.save(figure, svg=tmp_path / "w.svg", png=tmp_path / "w.png")
    assert (tmp_path / "w.png").stat().st_size > 10_000


def test_the_map_has_the_electron_in_its_middle_and_its_neighbours_around_it():
    value, first, second = families.plane(crystal(1.0))
    assert value[0, 0] == value.max() and value[8, 8] == pytest.approx(value.max())
    np.testing.assert_allclose((first, second), SITES[:2])


def test_sizes_show_the_fit_and_its_limit(tmp_path):
    n = [4, 6, 8]
    rows = [
        {
            "method": "net",
            "n_particles": k,
            "energy_ha_per_particle": -0.5 + 0.1 / k,
            "error_ha_per_particle": 1e-3,
            "limit_ha_per_particle": -0.5,
            "limit_error_ha_per_particle": 2e-3,
        }
        for k in n
    ]
    family = {"name": "c", "powers": [1], "literature": -0.51, "literature_source": "paper"}
    figure = families.sizes(family, rows, [], {})
    style.save(figure, svg=tmp_path / "c.svg", png=tmp_path / "c.png")
    line = max(figure.axes[0].lines, key=lambda found: len(found.get_xdata()))
    np.testing.assert_allclose(line.get_ydata(), -0.5 + 0.1 * line.get_xdata(), atol=1e-6)


@pytest.mark.parametrize("order", [2, 3])
def test_an_equation_of_state_shows_its_minimum(tmp_path, order):
    a = np.array([3.8, 4.0, 4.2, 4.4])
    points = [{"material": f"l{i}", "x": x, "volume_bohr3": 1.7 * x**3} for i, x in enumerate(a)]
    energy = -8 + 0.1 * (a - 4.05) ** 2
    rows = [
        {"material": p["material"], "method": "net", "energy_ha_per_cell": e}
        | {"error_ha_per_cell": 1e-4}
        for p, e in zip(points, energy, strict=True)
    ]
    table = {"method": "net", "minimum_ha_per_cell": -8.0}
    table |= {"lattice_constant_angstrom": 4.05, "lattice_constant_error_angstrom": 0.01}
    family = {"name": "e", "along": "a_angstrom", "corrections": [], "points": points}
    family["order"] = order
    family |= {"literature": 4.06, "literature_source": "experiment"}
    figure = families.equations_of_state(family, [table], rows, {})
    style.save(figure, svg=tmp_path / "e.svg", png=tmp_path / "e.png")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "a (angstrom)"
    curve = max(ax.lines, key=lambda found: len(found.get_xdata()))
    assert curve.get_xdata()[np.argmin(curve.get_ydata())] == pytest.approx(4.05, abs=0.03)

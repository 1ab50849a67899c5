"""Every observable can be drawn, whatever is in the list."""

import sys
from pathlib import Path

import numpy as np
import pytest

from engine.io.observables import Observable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from plots.observables import PANELS, observables_figure  # noqa: E402

X = np.linspace(0, 1, 5)
BOX = np.vstack([np.zeros(3), 4 * np.eye(3)])
NAMES = ("up", "down", "positron_up", "charge", "spin")


def curve(name):
    waves = "momentum_distribution" in name or "factor" in name
    axis = "momentum" if "momentum" in name or "profile" in name else "radius"
    axis = "wavevector" if waves else axis
    x = np.outer(X, [1, 0, 0]) if axis == "wavevector" else X
    return Observable(X, 0.1 * X, "", {axis: (x, "")})


def density(spin):
    value = np.ones((5, 4, 4, 4))
    value[4] = spin
    return Observable(value, 0.1 * np.ones(value.shape), "", {"box": (BOX, "bohr")}, NAMES)


@pytest.mark.parametrize("spin, maps", [(0.0, 3), (1.0, 4)])
def test_all_at_once(tmp_path, spin, maps):
    found = {name: curve(name) for name in PANELS}
    found |= {"density": density(spin), "annihilation_rate": Observable(2.0, 0.01)}
    found["pair_density"] = density(0.0)._replace(value=np.ones((1, 4, 4, 4)), label=())
    found["dipole"] = Observable(np.ones(3), np.ones(3), "", {}, ("x", "y", "z"))
    figure = observables_figure(found, "a material, a method")
    titles = [ax.get_title() for ax in figure.axes]
    assert sum("1/bohr" in title for title in titles) == maps
    assert "spin (1/bohr$^3$)" in titles or not spin
    words = "\n".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert "annihilation rate (1/ns):" in words and "x 1.00000" in words
    figure.savefig(tmp_path / "figure.png")


def test_radial_densities_are_drawn_about_every_element():
    value = np.arange(2.0 * 3 * 5).reshape(2, 3, 5)
    axes = {"nucleus": (np.array([3.0, 1, 1]), ""), "radius": (X, "bohr")}
    found = Observable(value, 0.1 * value, "1/bohr^3", axes, ("up", "charge"))
    (ax,) = observables_figure({"radial_density": found}, "").axes
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(lines["up, Li"], value[0, 0])
    np.testing.assert_array_equal(lines["up, H"], value[0, 1:].mean(axis=0))
    assert not any("charge" in name for name in lines)

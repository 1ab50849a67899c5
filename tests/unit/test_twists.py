"""Twists: grids, folding, weights; counts that can be checked by hand or in print."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from engine.config import ChainStructure, PrototypeStructure, TwistConfig
from engine.errors import ConfigError
from engine.system.geometry import Geometry
from engine.system.prototypes import build
from engine.system.supercell import expand
from engine.system.twists import enumerate_twists, enumerate_zone


def structure(section):
    return build(section, where="m.yaml", folder=Path("."))


def rocksalt():
    return structure(PrototypeStructure("prototype", "rocksalt", ["Li", "H"], a_angstrom=4.061))


def graphene():
    return structure(
        PrototypeStructure("prototype", "graphene", ["C"], a_bohr=4.65, vacuum_bohr=100.0)
    )


def chain(cells):
    section = ChainStructure("chain", "H", 2, spacing_bohr=1.8, vacuum_bohr=100.0)
    return expand(structure(section), np.diag([cells, 1, 1]))


def cubic():
    return Geometry(("H",), np.zeros((1, 3)), 4.0 * np.eye(3))


def electron_gas():
    return Geometry((), np.zeros((0, 3)), 4.0 * np.eye(3))


def run(geometry, **options):
    return enumerate_twists(TwistConfig(**options), geometry, where="m.yaml")


def table(twists, points):
    """{fractions: number of grid points}."""
    return {tuple(round(x, 6) for x in t.frac): round(t.weight * points, 9) for t in twists}


def test_default_is_gamma():
    (twist,) = run(cubic())
    assert (twist.index, twist.frac, twist.weight) == (0, (0.0, 0.0, 0.0), 1.0)


def test_hydrogen_chain_grid_of_four():
    twists = run(chain(2), grid=[4, 1, 1])
    assert [t.frac for t in twists] == [(0, 0, 0), (0.25, 0, 0), (0.5, 0, 0)]
    assert [t.weight for t in twists] == [0.25, 0.5, 0.25]
    assert [t.index for t in twists] == [0, 1, 2]


def test_without_symmetry_every_grid_point_stays():
    twists = run(chain(2), grid=[4, 1, 1], symmetry="none")
    assert sorted(t.frac[0] for t in twists) == [-0.25, 0.0, 0.25, 0.5]
    assert [t.weight for t in twists] == [0.25] * 4
    assert twists[0].frac == (0, 0, 0)


def test_rocksalt_zone_is_gamma_l_and_x():
    """Of 8 points 4 are L (3 edges of the reciprocal cell and its body diagonal), 3 are X."""
    assert table(run(rocksalt(), grid=[2, 2, 2]), 8) == {
        (0, 0, 0): 1,
        (0.5, 0, 0): 4,
        (0.5, 0.5, 0): 3,
    }


def test_the_zone_has_a_grid_of_its_own():
    options = TwistConfig(grid=[2, 2, 2], zone=[4, 4, 4])
    zone = enumerate_zone(options, rocksalt(), where="m.yaml")
    assert len(zone) == 8  # of a face-centred lattice
    assert zone[0].frac == (0, 0, 0) and zone[0].weight == 1 / 64
    assert sum(t.weight for t in zone) == pytest.approx(1)
    assert enumerate_zone(TwistConfig(grid=[2, 2, 2]), rocksalt(), where="m.yaml") == []


@pytest.mark.parametrize(
    ("zone", "geometry", "message"),
    [
        ([4, 1], rocksalt(), "three integers"),
        ([1, 1, 1], rocksalt(), "finer than the grid"),
        ([4, 0, 1], rocksalt(), "at least 1"),
        ([4, 4, 1], rocksalt(), "finer than the grid"),
        ([4, 4, 4], None, "a crystal"),
        ([4, 4, 4], electron_gas(), "a crystal"),
    ],
)
def test_a_zone_needs_a_crystal_and_a_grid(zone, geometry, message):
    with pytest.raises(ConfigError, match=message) as caught:
        enumerate_zone(TwistConfig(grid=[2, 2, 2], zone=zone), geometry, where="m.yaml")
    assert "m.yaml, key 'twists', key 'zone'" in str(caught.value)


def test_time_reversal_alone_keeps_the_eight_points():
    """All points of the 2 x 2 x 2 grid are their own negatives."""
    assert table(run(rocksalt(), grid=[2, 2, 2], symmetry="time-reversal"), 8) == dict.fromkeys(
        itertools.product((0, 0.5), repeat=3), 1
    )


@pytest.mark.parametrize(
    "geometry, grid, count",
    [
        (expand(rocksalt(), np.diag([2, 2, 2])), [5, 5, 5], 10),
        (expand(graphene(), np.diag([2, 2, 1])), [12, 12, 1], 19),
    ],
)
def test_counts_of_gerard_et_al(geometry, grid, count):
    """Numbers of inequivalent twists in arXiv:2405.07599 for LiH and graphene."""
    assert len(run(geometry, grid=grid)) == count


def test_graphene_weights_of_gerard_et_al():
    """3 x 3 grid: Gamma 1/9, 6/9, and the two K points 2/9."""
    assert table(run(graphene(), grid=[3, 3, 1]), 9) == {
        (0, 0, 0): 1,
        (0.333333, 0, 0): 6,
        (0.333333, 0.333333, 0): 2,
    }


def test_shift_is_in_units_of_the_spacing():
    twists = run(chain(2), grid=[4, 1, 1], shift=[0.5, 0, 0])
    np.testing.assert_allclose([t.frac for t in twists], [[0.125, 0, 0], [0.375, 0, 0]], atol=1e-15)
    np.testing.assert_allclose([t.weight for t in twists], 0.5)


def band(geometry, frac):
    """Tight binding: cosines over all lattice vectors up to 15 bohr, by their length."""
    n = np.array(list(itertools.product(range(-7, 8), repeat=3)))
    length = np.linalg.norm(n @ geometry.lattice, axis=1)
    hopping = np.exp(-length / 3) * (length < 15.1)
    return float(hopping @ np.cos(2 * np.pi * n @ np.asarray(frac)))


SKEWED = Geometry(("H",), np.zeros((1, 3)), 4.0 * np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1.0]]))
HEXAGONAL_60 = Geometry(
    ("H",), np.zeros((1, 3)), np.array([[4, 0, 0], [2, 12**0.5, 0], [0, 0, 6.0]])
)


@pytest.mark.parametrize(
    "geometry, grid",
    [
        (rocksalt(), [3, 3, 3]),
        (SKEWED, [4, 4, 2]),
        (HEXAGONAL_60, [4, 4, 2]),
        (cubic(), [4, 2, 1]),
        (expand(cubic(), np.array([[2, 1, 0], [0, 3, 0], [0, 0, 1]])), [3, 4, 1]),
    ],
)
def test_folding_keeps_the_average_of_a_band(geometry, grid):
    """Rotations act on twists as theta @ W; the transposed action fails in skewed cells.

    Compared with the plain average over all points, which knows no symmetry.
    """
    options = {"grid": grid, "shift": [0.0, 0.0, 0.5]}
    full = run(geometry, symmetry="none", **options)
    folded = run(geometry, symmetry="full", **options)
    averages = [sum(t.weight * band(geometry, t.frac) for t in twists) for twists in (full, folded)]
    assert averages[0] == pytest.approx(averages[1], abs=1e-9)
    assert sum(t.weight for t in folded) == pytest.approx(1.0, abs=1e-14)
    assert len(folded) < len(full)


@pytest.mark.parametrize(
    "geometry, grid, count", [(SKEWED, [4, 4, 4], 10), (cubic(), [4, 4, 4], 10)]
)
def test_cubic_lattice_in_either_basis(geometry, grid, count):
    """4 x 4 x 4 in a simple cubic zone: multisets of three of {0, 1/4, 1/2}, 10 of them."""
    assert len(run(geometry, grid=grid)) == count


def test_explicit_points_keep_their_names_and_merge_their_equivalents():
    points = [[-0.25, 0, 0], [0.0, 0, 0], [0.25, 0, 0]]
    twists = run(chain(2), points=points, weights=[1, 1, 2])
    assert [(t.frac, t.weight) for t in twists] == [((0, 0, 0), 0.25), ((-0.25, 0, 0), 0.75)]
    assert len(run(chain(2), points=points, symmetry="none")) == 3


def test_explicit_points_are_equally_weighted_by_default():
    assert [t.weight for t in run(cubic(), points=[[0.1, 0, 0], [0, 0.2, 0]])] == [0.5, 0.5]


def test_spins_belong_to_the_twists_that_are_left():
    twists = enumerate_twists(TwistConfig([4, 1, 1], spins=[2, 0, 0]), chain(2), where="m.yaml")
    assert [(t.frac[0], t.spin) for t in twists] == [(0.0, 2), (0.25, 0), (0.5, 0)]
    with pytest.raises(ConfigError, match=r"(?s)key 'spins': 2 spins.*3, .*\[0.25, 0.0, 0.0\]"):
        enumerate_twists(TwistConfig([4, 1, 1], spins=[2, 0]), chain(2), where="m.yaml")


@pytest.mark.parametrize("geometry", [None, Geometry(("H",), np.zeros((1, 3)))])
def test_a_molecule_has_gamma_only(geometry):
    assert [t.frac for t in run(geometry)] == [(0, 0, 0)]
    with pytest.raises(ConfigError, match="a molecule cannot have twists"):
        run(geometry, grid=[2, 1, 1])
    with pytest.raises(ConfigError, match="a molecule cannot have twists"):
        run(geometry, points=[[0.5, 0, 0]])


@pytest.mark.parametrize(
    "options, key, what, expected",
    [
        ({"grid": [2, 2]}, "grid", "found [2, 2]", "three integers of at least 1"),
        ({"grid": [2, 0, 2]}, "grid", "found [2, 0, 2]", "three integers of at least 1"),
        ({"shift": [0.5]}, "shift", "found [0.5]", "three numbers"),
        ({"points": [[0, 0, 0], [0.7, 0, 0]]}, "points'[1]", "twist [0.7, 0, 0]", "(-1/2, 1/2]"),
        ({"points": [[-0.5, 0, 0]]}, "points'[0]", "outside its range", "(-1/2, 1/2]"),
        ({"points": [[0, 0]]}, "points'[0]", "twist [0, 0]", "three fractions"),
        ({"points": []}, "points", "the list is empty", "at least one twist"),
        (
            {"points": [[0, 0, 0]], "weights": [1, 2]},
            "weights",
            "2 weights for 1 points",
            "one per point",
        ),
        (
            {"points": [[0, 0, 0]], "weights": [-1.0]},
            "weights",
            "found [-1.0]",
            "no negative weight",
        ),
        ({"points": [[0, 0, 0]], "weights": [0.0]}, "weights", "found [0.0]", "a positive sum"),
        ({"weights": [1.0]}, "weights", "weights without points", "'points' beside it"),
        (
            {"points": [[0, 0, 0]], "grid": [2, 1, 1]},
            "twists",
            "together with a grid",
            "either 'grid'",
        ),
    ],
)
def test_bad_sections_are_refused(options, key, what, expected):
    with pytest.raises(ConfigError) as caught:
        run(cubic(), **options)
    text = str(caught.value)
    assert text.startswith("m.yaml, key 'twists'") and f"key '{key}" in text
    assert what in text and expected in text

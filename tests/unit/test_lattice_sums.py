"""Which images and plane waves a mean-field orbital is summed over, in strained cells."""

import numpy as np
import pytest

from engine.io.mean_field import Shell
from engine.mean_field.lattice_sums import cheapest
from engine.system.images import distance_to_cell

FCC = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
LENGTH = 7.1
"""Lattice constant, bohr: strains of eight per cent stay within one interval of rounding."""


def shells():
    return (
        Shell(0, 0, np.array([16.1, 2.9, 0.8]), np.array([[0.15], [0.5], [0.4]])),
        Shell(0, 0, np.array([0.64, 0.15, 0.05]), np.array([[-0.1], [0.4], [0.7]])),
        Shell(1, 1, np.array([0.3]), np.array([[1.0]])),
    )


@pytest.mark.parametrize("factor", [0.97, 1.05])
def test_strained_crystals_share_their_lists(factor):
    one, other = (cheapest(shells(), 1, a * FCC) for a in (LENGTH, factor * LENGTH))
    assert one.images == other.images and one.waves == other.waves
    assert [s.exponents.size for s in one.sharp] == [s.exponents.size for s in other.sharp]


@pytest.mark.parametrize("factor", [0.97, 1.05])
def test_what_is_left_out_of_a_strained_crystal_is_negligible(factor):
    lattice = factor * LENGTH * FCC
    split = cheapest(shells(), 1, lattice)
    near = np.stack(np.meshgrid(*[np.arange(-5, 6)] * 3), axis=-1).reshape(-1, 3)
    left_out = np.array(sorted({tuple(n) for n in near.tolist()} - set(split.images)))
    distance = distance_to_cell(lattice, left_out).min()
    for shell in split.sharp:
        value = np.abs(shell.coefficients).T @ np.exp(-shell.exponents * distance**2)
        assert value.max() * distance**shell.angular < 3e-8

"""Mean-field energies by two routes, and against numbers in print."""

import logging

import numpy as np
import pytest

from engine.config import MeanFieldConfig
from engine.mean_field.pyscf_solver import solve
from engine.system.geometry import Geometry
from engine.system.supercell import expand

ONE = np.eye(3, dtype=int)
H2 = Geometry(
    ("H", "H"),
    np.array([[0.2, 0.0, 0.1], [1.6, 0.3, 0.1]]),
    np.array([[5.0, 0.0, 0.0], [1.0, 4.5, 0.0], [0.5, 0.7, 5.5]]),
)
CHAIN = Geometry(("H", "H"), np.array([[0.0, 10, 10], [1.8, 10, 10]]), np.diag([3.6, 20.0, 20.0]))
STO = MeanFieldConfig(basis="sto-3g", integrals="gdf")


@pytest.mark.parametrize("S", [np.diag([1, 2, 1]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])])
def test_folded_kpoints_give_the_energy_of_the_supercell(S):
    """The primitive cell at folded k-points is the supercell at its twist, also for a skewed S."""
    twist = np.array([0.25, 0.5, -0.25])
    folded = solve(H2, S, 2, 2, 0, twist, STO)
    whole = solve(expand(H2, S), ONE, 2, 2, 0, twist, STO)
    assert folded.n_cells == 2
    assert folded.simulation_energy == pytest.approx(whole.total, abs=2e-5)
    assert np.sort(folded.energy[0].ravel()) == pytest.approx(
        np.sort(whole.energy[0].ravel()), abs=1e-4
    )
    assert folded.gap == pytest.approx(whole.gap, abs=1e-4)


def test_kohn_sham_and_hartree_fock_agree_where_they_must():
    """RKS with exact exchange alone is RHF."""
    hf = solve(H2, ONE, 1, 1, 0, np.array([0.25, 0.5, 0.0]), STO)
    ks = solve(
        H2,
        ONE,
        1,
        1,
        0,
        np.array([0.25, 0.5, 0.0]),
        MeanFieldConfig(basis="sto-3g", integrals="gdf", method="rks", functional="hf"),
    )
    assert ks.total == pytest.approx(hf.total, abs=1e-7)


def test_equivalent_twists_have_equal_energy():
    """E(theta) = E(-theta) = E(theta + 1)."""
    S = np.diag([2, 1, 1])
    energies = [
        solve(H2, S, 2, 2, 0, np.array(t), STO).total
        for t in ([0.25, 0.5, 0.0], [-0.25, -0.5, 0.0], [1.25, 0.5, 0.0])
    ]
    assert energies == pytest.approx([energies[0]] * 3, abs=1e-7)


@pytest.mark.parametrize(
    ("symbols", "spin", "method", "energy"),
    [
        (("He",), 0, "rhf", -2.8551604793),
        (("H",), 1, "uhf", -0.4992784034),
        (("Li",), 1, "rohf", None),
    ],
)
def test_atoms(symbols, spin, method, energy):
    """cc-pVDZ energies of He and H (EMSL/NIST tables); Li: ROHF lies above UHF."""
    atom = Geometry(symbols, np.zeros((1, 3)))
    n = int(atom.charges.sum())
    found = solve(
        atom,
        ONE,
        (n + spin) // 2,
        (n - spin) // 2,
        0,
        np.zeros(3),
        MeanFieldConfig(basis="cc-pvdz", method=method),
    )
    if energy is None:
        uhf = solve(atom, ONE, 2, 1, 0, np.zeros(3), MeanFieldConfig(basis="cc-pvdz", method="uhf"))
        assert 0 <= found.total - uhf.total < 1e-3
        assert found.occupation.sum(axis=(1, 2)).tolist() == [2, 1]
    else:
        assert found.total == pytest.approx(energy, abs=1e-8)


def test_degenerate_chain_at_gamma_converges_to_whole_orbitals():
    """Four atoms at Gamma: two electrons for the four degenerate levels at the zone boundary."""
    S = np.diag([2, 1, 1])
    found = solve(CHAIN, S, 2, 2, 0, np.zeros(3), MeanFieldConfig(basis="cc-pvdz"))
    assert found.converged and found.total == pytest.approx(-0.96951241, abs=2e-6)
    assert sorted(found.occupation[0].sum(axis=1)) == [1, 1]


def test_opposite_moments_take_a_bond_apart():
    """Far from each other two hydrogen atoms have the energy of two atoms; RHF has much more."""
    far = Geometry(("H", "H"), np.array([[0.0, 0, 0], [9.0, 0, 0]]))
    atom = Geometry(("H",), np.zeros((1, 3)))
    options = MeanFieldConfig(basis="cc-pvdz", method="uhf", magnetic_moments=[1.0, -1.0])
    found = solve(far, ONE, 1, 1, 0, np.zeros(3), options)
    alone = solve(atom, ONE, 1, 0, 0, np.zeros(3), MeanFieldConfig(basis="cc-pvdz", method="uhf"))
    closed = solve(far, ONE, 1, 1, 0, np.zeros(3), MeanFieldConfig(basis="cc-pvdz"))
    assert found.total == pytest.approx(2 * alone.total, abs=1e-5)
    assert closed.total > found.total + 0.1


@pytest.mark.parametrize("cells, twist, gain", [(2, 0.0, 0.0360), (2, 0.25, 0.0)])
def test_opposite_moments_fill_a_degenerate_level_with_one_electron_of_each_spin(
    cells, twist, gain
):
    """Hydrogen chain, 1.8 bohr: below RHF at a half-filled level, equal at closed shells."""
    chain = Geometry(("H", "H"), np.array([[0.9, 10, 10], [2.7, 10, 10]]), np.diag([3.6, 20, 20]))
    S, theta = np.diag([cells, 1, 1]), np.array([twist, 0, 0])
    options = {"basis": "cc-pvdz", "integrals": "gdf"}
    closed, broken = (
        solve(chain, S, cells, cells, 0, theta, MeanFieldConfig(**options, **more))
        for more in ({}, {"method": "uhf", "magnetic_moments": [1.0, -1.0]})
    )
    assert closed.total - broken.total == pytest.approx(gain, abs=1e-4)


def test_polarised_crystal_with_an_odd_electron_per_cell():
    """One H per cell, all spins up: Hund's pair of k-points, by both open-shell methods."""
    cell = Geometry(("H",), np.zeros((1, 3)), np.diag([4.0, 4.0, 4.0]))
    S = np.diag([2, 1, 1])
    uhf = solve(
        cell, S, 2, 0, 0, np.zeros(3), MeanFieldConfig(basis="6-31g", method="uhf", integrals="gdf")
    )
    rohf = solve(
        cell,
        S,
        2,
        0,
        0,
        np.zeros(3),
        MeanFieldConfig(basis="6-31g", method="rohf", integrals="gdf"),
    )
    assert uhf.total == pytest.approx(
        rohf.total, abs=1e-6
    )  # no minority electrons: the same problem
    assert uhf.occupation.sum(axis=(1, 2)).tolist() == [2, 0]


def test_second_order_solver_finds_the_same_state():
    S = np.diag([2, 1, 1])
    first = solve(H2, S, 2, 2, 0, np.array([0.25, 0, 0]), STO)
    second = solve(
        H2,
        S,
        2,
        2,
        0,
        np.array([0.25, 0, 0]),
        MeanFieldConfig(basis="sto-3g", integrals="gdf", newton=True),
    )
    assert second.total == pytest.approx(first.total, abs=1e-7)


def test_failed_diis_is_rescued_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        found = solve(
            H2,
            ONE,
            1,
            1,
            0,
            np.zeros(3),
            MeanFieldConfig(basis="6-31g", integrals="gdf", max_cycles=3),
        )
    assert found.converged and "second-order" in caplog.text

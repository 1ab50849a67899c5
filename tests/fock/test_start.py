"""Where the core starts: without a network, in orbitals of a mean field and in localised ones."""

import jax.numpy as jnp
import numpy as np

from engine.config.fock import SelectionConfig
from engine.fock import slater_condon as sc
from engine.fock.determinants import FockSpace, aufbau, unpack, valid
from engine.fock.selection import make_selection
from engine.fock.subspace import make_subspace
from engine.mean_field.correlated import full_ci
from tests.fock.systems import hydrogen

SPACE = FockSpace(6, 3, 3)
CORE = 64


def started(integrals):
    """Returns the core (64, 2, w) and the lowest energy on it by diagonalisation, hartree."""
    H = sc.hamiltonian(integrals)
    options = SelectionConfig(core=CORE, survivor_factor=0.01)
    core = make_selection(None, options, SPACE, is_complex=False).start(H).core
    sub = make_subspace(SPACE)(H, core, core[:0])
    matrix = np.stack([sub.apply_core(row) for row in jnp.eye(CORE)])
    return core, np.linalg.eigvalsh(matrix)[0]


def test_stretched_bonds_start_from_alternating_spins_in_localised_orbitals():
    """R = 3.6 bohr: a wall between all spins up and all down has the lowest diagonal element."""
    integrals = hydrogen(6, 3.6, orbitals="oao")
    core, energy = started(integrals)
    assert int(valid(core).sum()) == CORE
    found = np.asarray(unpack(core, 6)).astype(int).tolist()
    up, down = [1, 0] * 3, [0, 1] * 3
    assert [up, down] in found and [down, up] in found
    assert 0 < energy - full_ci(integrals) < 0.04  # 0.68 from doubly occupied neighbours


def test_a_mean_field_starts_from_its_determinant():
    integrals = hydrogen(6, 1.8)
    core, energy = started(integrals)
    assert jnp.array_equal(core[0], aufbau(SPACE))
    assert 0 < energy - full_ci(integrals) < 2.5e-3

"""Trained networks against full configuration interaction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.config.fock import FockAnsatzConfig, FockOptimizerConfig, SelectionConfig
from engine.fock import slater_condon as sc
from engine.fock.backflow import make_backflow, reference_orbitals
from engine.fock.determinants import FockSpace, valid
from engine.fock.natural import make_fock_optimizer
from engine.fock.selection import make_selection
from tests.fock.systems import hydrogen, molecule
from tests.fock.test_integrals import WATER, exact
from tests.fock.test_slater_condon import matrix

pytestmark = pytest.mark.slow  # programs of many shapes: minutes of compilation

MHA = 1e-3


def train(integrals, selection, steps, width=32, **optimizer):
    """Returns (projected energy, last functional, determinants at the end) of a network."""
    space = FockSpace(integrals.n_orbitals, integrals.n_up, integrals.n_down)
    H = sc.hamiltonian(integrals)
    options = {"is_complex": integrals.is_complex}
    ansatz = FockAnsatzConfig(width=width)
    model = make_backflow(ansatz, space, dtype=jnp.float64, **options)
    reference = jnp.asarray(reference_orbitals(integrals))
    params = model.wavefunction.init(jax.random.key(0), space, reference)
    select = make_selection(model.wavefunction, selection, space, **options)
    optimizer = FockOptimizerConfig(**optimizer)
    optimum = make_fock_optimizer(model, optimizer, **options)
    state, lists, info = optimum.init(params), select.start(H), {}
    for step in range(steps):
        if step % selection.period == 0:
            lists = select.renew(params, H, reference, lists, step) if step else lists
            subspace = select.subspace(H, lists, step, optimizer.functional)
        params, state, info = optimum.step(params, state, subspace, reference)
    last = select.trained(lists, steps - 1, optimizer.functional).core
    return float(info["energy_ha"]), float(info["functional_ha"]), last


def test_a_chain_of_six_reaches_the_exact_energy():
    """All 200 of 400 determinants that are even: within 0.02 mHa of FCI and not below it."""
    integrals = hydrogen(6, 1.8)
    energy, functional, core = train(integrals, SelectionConfig(core=400), 120)
    assert energy == functional and int(valid(core).sum()) == 200
    assert 0 < energy - exact(integrals) < 0.02 * MHA


@pytest.mark.slow
def test_water_reaches_the_exact_energy():
    """All 441 determinants of STO-3G, in holes: ten electrons in seven orbitals."""
    integrals = molecule(*WATER)
    energy, _, _ = train(integrals, SelectionConfig(core=441), 150)
    assert 0 < energy - exact(integrals) < 0.01 * MHA


def test_survivors_bring_the_functional_below_the_projected_energy():
    """A core of 60 of the 400 determinants: a bound above FCI, and the functional in between."""
    integrals = hydrogen(6, 1.8)
    options = SelectionConfig(core=60, survivor_factor=3.0, period=10)
    energy, functional, core = train(integrals, options, 80, functional="symmetric")
    fci = exact(integrals)
    assert energy > fci and functional < energy
    assert abs(functional - fci) < energy - fci
    assert energy < integrals.mean_field
    assert int(valid(core).sum()) == 60


def test_core_and_survivors_together_have_the_lower_bound():
    """`full`: 60 determinants and 60 survivors have less than a third of the error of the 60."""
    integrals = hydrogen(6, 1.8)
    options = SelectionConfig(core=60, survivor_factor=1.0, period=10)
    way = {"krylov": 8, "learning_rate": 1.0, "momentum": 0.0, "norm_constraint": 1.0}
    bound, functional, both = train(integrals, options, 30, functional="full", **way)
    alone, _, _ = train(integrals, options, 30, functional="symmetric", **way)
    fci = exact(integrals)
    assert bound == functional and int(valid(both).sum()) == 120
    assert 0 < bound - fci < (alone - fci) / 3


@pytest.mark.slow
def test_a_ring_with_complex_integrals_reaches_the_exact_energy():
    """Four atoms at twist 1/4: the lowest eigenvalue of the whole complex matrix."""
    options = {"cells": (2, 1, 1), "twist": (0.25, 0, 0), "is_complex": True}
    integrals = hydrogen(2, 1.8, periodic=True, orbitals="oao", **options)
    space = FockSpace(4, 2, 2)
    full, _ = matrix(space, sc.hamiltonian(integrals))
    lowest = np.linalg.eigvalsh(full)[0]
    energy, _, _ = train(integrals, SelectionConfig(core=36), 150, width=16)
    assert -1e-9 < energy - lowest < 0.05 * MHA

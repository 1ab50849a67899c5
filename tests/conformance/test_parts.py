"""A wavefunction in parts is the whole: values, gradients and Laplacians, with unequal masses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from engine.hamiltonian.kinetic import forward
from engine.system.system import Species, electrons
from engine.types import NOTHING, Psi
from engine.wavefunction import make_wavefunction
from engine.wavefunction.network import FEW
from tests.conformance.models import (
    FAST_COMPILATION,
    SMALL,
    TWISTED,
    Case,
    make_reference,
    make_system,
)

MUONIC = (Species("up", 3), Species("muon", 2, mass=7.0))
CASES = {
    "open": Case(MUONIC),
    "open-complex": Case(electrons(3, 2), complex_orbitals=True),
    "one-nucleus": Case(electrons(4, 1), nuclei=1),
    "periodic-twist": TWISTED(electrons(3, 2)),
    "periodic-real": Case(electrons(4, 2), periodic=True),
    "standing": Case(electrons(3, 2), periodic=True, twist=(0.5, 0.0, 0.5)),
    "many-nuclei": TWISTED(electrons(2, 2), nuclei=4),
    "one-electron": TWISTED(electrons(1, 0), nuclei=4),
    "electron-gas": TWISTED(electrons(3, 2), nuclei=0),
    "positron": Case((*electrons(3, 2), Species("e+", 1, charge=1))),
}


RUNS = [("ferminet", name) for name in ("open", "many-nuclei", "electron-gas")]
RUNS += [("ferminet", "periodic-twist"), ("ferminet", "one-electron")]
RUNS += [("psiformer", "periodic-twist"), ("residual", "open")]
RUNS += [("transferable", name) for name in ("open", "positron", "standing")]
LONG = [("ferminet", name) for name in ("open-complex", "one-nucleus", "periodic-real")]
LONG += [("psiformer", "open")]
RUNS += [pytest.param(*run, marks=pytest.mark.slow) for run in LONG]


@pytest.mark.parametrize(("ansatz", "name"), RUNS)
def test_parts_are_the_whole(ansatz, name):
    """`residual` is a FermiNet whose first layer is as wide as what it reads."""
    case, options = CASES[name], {"name": ansatz, "layers": 2}
    system = make_system(case)
    assert system.n_particles > FEW or case.nuclei >= FEW
    if ansatz == "residual":
        read = len(system.counts) + (7 if case.periodic else 4) * case.nuclei
        options = {"name": "ferminet", "layers": 2, "width": read}
    reference = make_reference(system, complex_orbitals=case.complex_orbitals)
    reference = dataclasses.replace(reference, antiperiodic=name == "standing")
    wavefunction = make_wavefunction(
        type(SMALL)(**{**SMALL.__dict__, **options}),
        system,
        reference,
        complex_orbitals=case.complex_orbitals,
        dtype=jnp.float64,
        reference_orbitals=None,
    )
    params = wavefunction.init(jax.random.key(3), system, reference)
    alone = wavefunction.parts.single(params, jnp.zeros(3), 0, system, reference)
    assert (alone.features is None) == (ansatz == "ferminet" and case.nuclei == 0)
    assert (alone.factors is None) == (ansatz == "transferable" or case.nuclei == 0)
    assert bool(alone.rows) == (ansatz == "transferable")
    whole = wavefunction._replace(parts=None)
    walker = jnp.asarray(np.random.default_rng(2).normal(size=(system.n_particles, 3)) * 1.5)

    def derivatives(walker):
        return [
            forward(Psi(one, params, system, reference), walker, system.particle_masses)
            for one in (wavefunction, whole)
        ]

    program = jax.jit(derivatives).lower(walker).compile(FAST_COMPILATION)
    found, wanted = program(walker)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_few_particles_and_self_bound_ones_are_taken_whole():
    for case in (
        Case(electrons(2, 2), nuclei=4),
        Case(electrons(2, 2), periodic=True),
        Case((*electrons(3, 2), Species("e+", 1, charge=1)), nuclei=0),
    ):
        system = make_system(case)
        wavefunction = make_wavefunction(
            SMALL,
            system,
            reference := make_reference(system),
            complex_orbitals=False,
            dtype=jnp.float64,
            reference_orbitals=None,
        )
        params = wavefunction.init(jax.random.key(3), system, reference)
        assert wavefunction.parts.single(params, jnp.zeros(3), 0, system, reference) == NOTHING

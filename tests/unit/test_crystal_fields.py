"""What is kept between SCF iterations: the same numbers, computed once."""

import numpy as np
import pytest
from pyscf.pbc.dft import numint

from engine.config import MeanFieldConfig
from engine.mean_field import pyscf_grid
from engine.mean_field.pyscf_crystal import crystal_field, crystal_physics, remember
from engine.system.geometry import Geometry


def field():
    """Returns a chain of H2 on three k-points."""
    lattice = np.diag([4.5, 9.0, 9.0])
    atoms = np.array([[0.0, 0.0, 0.0], [1.5, 0.2, 0.0]])
    geometry = Geometry(("H", "H"), atoms, lattice)
    options = MeanFieldConfig(method="rks", functional="pbe", basis="sto-3g", convergence_ha=1e-9)
    return crystal_field(geometry, (3, 1, 1), options)[0]


def counted(monkeypatch):
    calls, real = [], numint.eval_ao_kpts

    def evaluate(*arguments, **named):
        calls.append(named.get("deriv", 0))
        return real(*arguments, **named)

    monkeypatch.setattr(numint, "eval_ao_kpts", evaluate)
    monkeypatch.setattr(numint.KNumInt, "eval_ao", staticmethod(evaluate))
    return calls


def test_energies_are_those_of_the_base_class_and_values_are_made_once(monkeypatch):
    calls = counted(monkeypatch)
    plain = field()
    plain._numint = numint.KNumInt(plain.kpts)
    wanted = plain.kernel()
    often, iterations = len(calls), plain.cycles
    calls.clear()
    kept = field()
    assert kept.kernel() == pytest.approx(wanted, abs=1e-11)
    assert kept.cycles == iterations
    assert often >= iterations * len(calls) > 0


def test_what_does_not_fit_is_evaluated_every_time(monkeypatch):
    wanted = field().kernel()
    monkeypatch.setattr(pyscf_grid, "KEPT_BYTES", 0)
    calls = counted(monkeypatch)
    assert field().kernel() == pytest.approx(wanted, abs=1e-11)
    assert len(calls) > 2


def test_the_potential_of_the_start_is_built_once():
    """The checks of a prediction have built it; the first iteration asks for it again."""
    begun, plain = field(), field()
    hamiltonian = np.asarray(begun.get_hcore())
    physics = crystal_physics(begun, hamiltonian)
    remember(begun, physics)
    assert begun.get_veff(begun.cell, physics.density.copy()) is physics.potential
    other = begun.get_init_guess()
    np.testing.assert_allclose(begun.get_veff(dm=other), plain.get_veff(dm=other), atol=1e-12)
    assert begun.kernel(physics.density) == pytest.approx(plain.kernel(), abs=1e-9)

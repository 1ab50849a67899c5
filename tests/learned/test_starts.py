"""What a wrong start of the iterations can do, and what is done against it."""

import dataclasses
import logging

import numpy as np
import pytest

from engine.config import MeanFieldConfig
from engine.config.learned import UseConfig
from engine.errors import NotConvergedError
from engine.mean_field import pyscf_labels, pyscf_predicted, pyscf_solver
from engine.stage.learned_mean_field import doubtful
from engine.system.geometry import Geometry

OPTIONS = MeanFieldConfig(method="rhf", basis="6-31g", convergence_ha=1e-10)


def rectangle(a, b):
    return Geometry(("H",) * 4, np.array([[0.0, 0, 0], [a, 0, 0], [0, b, 0], [a, b, 0]]))


def swapped(a, b):
    """Returns the converged Fock matrix of the rectangle that is long the other way."""
    return pyscf_labels.label(rectangle(b, a), 0, OPTIONS, "minao").fock


def at(geometry, fock):
    return pyscf_predicted.physics(geometry, 0, OPTIONS, fock, with_forces=False)


def test_another_configuration_is_refused_though_its_residual_is_small():
    """Two hydrogen molecules, nearly a square: the wrong pair of them is 21 mHa too high."""
    here = rectangle(2.4, 2.45)
    field = pyscf_labels.molecular_field(here, 0, OPTIONS)
    guess = pyscf_predicted.guess_hamiltonian(here, 0, OPTIONS, "minao")
    plain, wrong = at(here, guess), at(here, swapped(2.4, 2.45))
    assert wrong.residual < plain.residual / 4
    right = pyscf_predicted.cycles(here, 0, OPTIONS, "minao")[1]
    assert pyscf_predicted.cycles(here, 0, OPTIONS, wrong.orbitals.density)[1] > right + 0.02
    reason = doubtful(wrong, plain, field.get_ovlp(), UseConfig())
    assert "fills other orbitals than the ordinary guess does: 0.00 of one" in reason
    good = at(here, pyscf_labels.label(here, 0, OPTIONS, "minao").fock)
    assert doubtful(good, plain, field.get_ovlp(), UseConfig()) == ""


def test_shares_of_orbitals_are_those_of_a_rotation():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(5, 5))
    overlap = half @ half.T + np.eye(5)
    values, vectors = np.linalg.eigh(overlap)
    orbitals = vectors / np.sqrt(values)
    turned = orbitals.copy()
    turned[:, 1] = 0.6 * orbitals[:, 1] + 0.8 * orbitals[:, 3]
    one, other = (2 * c[:, :2] @ c[:, :2].T for c in (orbitals, turned))
    assert pyscf_predicted.shared(overlap, one, other) == pytest.approx(0.36)
    assert pyscf_predicted.shared(overlap, one, one) == pytest.approx(1)


def test_iterations_that_fail_from_a_start_begin_again_without(monkeypatch, caplog):
    field = pyscf_labels.molecular_field(rectangle(1.4, 4.0), 0, OPTIONS)
    wanted = field.copy().kernel()
    plain, starts = pyscf_solver._converge, []

    def failing(field, options, start):
        starts.append(start)
        if start is None:
            return plain(field, options, start)
        field.mo_coeff, field.mo_occ = np.eye(8), np.zeros(8)  # what a failure leaves behind
        raise NotConvergedError("none", where="mean_field")

    monkeypatch.setattr(pyscf_solver, "_converge", failing)
    with caplog.at_level(logging.WARNING):
        found = pyscf_solver.converge(field, OPTIONS, np.eye(8))
    assert [start is None for start in starts] == [False, True]
    assert found.e_tot == pytest.approx(wanted, abs=1e-9) and "ordinary guess" in caplog.text


def test_the_second_order_method_starts_from_the_density_it_is_given():
    newton = dataclasses.replace(OPTIONS, newton=True)
    here = rectangle(1.4, 4.0)
    label = pyscf_labels.label(here, 0, OPTIONS, "minao")
    energies = []
    field = pyscf_labels.molecular_field(here, 0, newton)
    field.callback = lambda env: energies.append(env["e_tot"])
    found = pyscf_solver.converge(field, newton, label.density)
    assert found.converged and found.e_tot == pytest.approx(label.energy, abs=1e-9)
    assert energies and abs(energies[0] - label.energy) < 1e-8

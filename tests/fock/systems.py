"""Hamiltonians of small systems for the tests of the Fock space."""

import functools

import numpy as np

from engine.config import MeanFieldConfig
from engine.mean_field.integrals import make_integrals
from engine.mean_field.primitive import sampling
from engine.mean_field.pyscf_solver import field_of, molecule_of, solve
from engine.system.geometry import Geometry

ANGSTROM = 1 / 0.529177210903
ZERO = (0.0, 0.0, 0.0)


def chain(n_atoms, spacing, periodic=True):
    """Returns n hydrogen atoms along x; periodic with 20 bohr of vacuum, or open."""
    positions = np.zeros((n_atoms, 3))
    positions[:, 0] = spacing * np.arange(n_atoms)
    lattice = np.diag([n_atoms * spacing, 20.0, 20.0]) if periodic else None
    return Geometry(("H",) * n_atoms, positions + (0, 10, 10), lattice)


@functools.cache
def _chain(n_atoms, spacing, periodic, cells, twist, basis, options):
    geometry = chain(n_atoms, spacing, periodic)
    return from_structure(
        geometry, np.diag(cells), twist, MeanFieldConfig(basis=basis), **dict(options)
    )


def hydrogen(n_atoms, spacing, *, periodic=False, cells=(1, 1, 1), twist=ZERO, **options):
    """Returns the integrals of a hydrogen chain in STO-6G."""
    return _chain(n_atoms, spacing, periodic, cells, twist, "sto-6g", tuple(options.items()))


def from_structure(geometry, S, twist, options, spin=0, **keywords):
    """Returns integrals by the route of a campaign: mean field, then integrals from it."""
    n = int(geometry.charges.sum()) * round(np.linalg.det(S))
    up, down = (n + spin) // 2, (n - spin) // 2
    mean_field = solve(geometry, S, up, down, 0, np.array(twist), options)
    points = sampling(geometry, S, twist, None) if geometry.periodic else None
    molecule = molecule_of(geometry, points, spin, 0, options)
    field = field_of(molecule, points, up, down, options)
    return make_integrals(field, mean_field, S, **keywords)


def molecule(symbols, positions_angstrom, basis="sto-3g", spin=0, **keywords):
    """Returns the integrals of a molecule."""
    geometry = Geometry(tuple(symbols), np.array(positions_angstrom) * ANGSTROM)
    method = "rohf" if spin else "rhf"
    options = MeanFieldConfig(basis=basis, method=method)
    return from_structure(geometry, np.eye(3, dtype=int), ZERO, options, spin, **keywords)

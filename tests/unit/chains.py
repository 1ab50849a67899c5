"""A chain of hydrogen atoms with made-up mean-field orbitals, and a small `transferable` on it."""

import jax.numpy as jnp
import numpy as np

from engine.config import AnsatzConfig
from engine.system.cell import Cell
from engine.system.system import System, electrons
from engine.types import AtomicOrbitals, Basis, Reference
from engine.wavefunction import make_wavefunction

ANSATZ = AnsatzConfig(name="transferable", determinants=2, layers=2, width=8, pair_width=4)


def chain(atoms, twist):
    """A periodic chain of hydrogen atoms, and made-up orbitals in an s and a p shell."""
    lattice = jnp.diag(jnp.asarray([1.8 * atoms, 20.0, 20.0]))
    places = jnp.asarray([[1.8 * k + 0.4, 10.0, 10.0] for k in range(atoms)])
    system = System(
        Cell(lattice, True),
        places,
        jnp.ones(atoms),
        jnp.asarray([twist, 0.0, 0.0]),
        ("H",) * atoms,
        electrons(atoms // 2, atoms // 2),
    )
    exponents = (jnp.asarray([1.8, 0.5, 0.15]), jnp.asarray([0.7]))
    tables = (jnp.asarray([[0.2], [0.5], [0.4]]), jnp.asarray([[0.5]]))
    owners = tuple(np.repeat(range(atoms), 2).tolist())
    basis = Basis(exponents * atoms, tables * atoms, owners, (0, 1) * atoms)
    rng = np.random.default_rng(atoms)
    coefficients = [random_complex(rng, count, basis.size) for count in system.counts]
    orbitals = AtomicOrbitals(tuple(jnp.asarray(c) for c in coefficients), basis)
    kpoints = tuple(jnp.zeros((n, 3)) for n in system.counts)
    return system, Reference((), kpoints, basis, ((0, 0, 0),), atomic=orbitals)


def random_complex(rng, n, size):
    """Returns (n, size) normal complex numbers."""
    return rng.normal(size=(n, size)) + 1j * rng.normal(size=(n, size))


def network(system, reference):
    """Returns the complex wavefunction of `ANSATZ`."""
    return make_wavefunction(
        ANSATZ,
        system,
        reference,
        complex_orbitals=True,
        dtype=jnp.float64,
        reference_orbitals=None,
    )

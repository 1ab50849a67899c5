"""Where particles start that nothing but their own attraction holds, such as positronium.

The orbitals of every species are those of a harmonic oscillator about the centre of mass,

    phi_abc(r) = x^a y^b z^c exp(-(r - R)^2 / (2 w^2)),

in the order of a + b + c. They give the network its nodes and its size to start from, and no
energy worth the name: the file says zero, which is that of free particles at rest.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.io.mean_field import MeanField
from engine.system.system import System
from engine.types import Basis, Reference

METHOD = "oscillator"
WIDTH_BOHR = 2.0


def solve() -> MeanField:
    """Returns a mean-field file without basis functions."""
    return MeanField(
        kpoints=np.zeros((1, 3)),
        coeff=np.zeros((2, 1, 0, 0), complex),
        energy=np.zeros((2, 1, 0)),
        occupation=np.zeros((2, 1, 0)),
        shells=(),
        waves=np.zeros((0, 3), int),
        symbols=(),
        positions=np.zeros((0, 3)),
        lattice=None,
        twist=np.zeros(3),
        total=0.0,
        nuclear=0.0,
        gap=np.inf,
        converged=True,
        n_cells=1,
        method=METHOD,
        basis="harmonic oscillator",
    )


def make_reference(system: System, dtype) -> Reference:
    """Returns a reference that says nothing but how many orbitals each species has."""
    return Reference(
        coefficients=tuple(jnp.zeros((n, 0), dtype) for n in system.counts),
        kpoints=tuple(jnp.zeros((n, 3), dtype) for n in system.counts),
        basis=Basis((), (), (), ()),
        images=((0, 0, 0),),
    )


def evaluate(system: System, walker: Array) -> tuple[Array, ...]:
    """Returns, per species, its orbitals at all particles of a walker, (n, n_s)."""
    d = (walker - system.centre_of_mass(walker)) / WIDTH_BOHR
    decay = jnp.exp(-0.5 * jnp.sum(d**2, axis=-1, keepdims=True))
    return tuple(decay * _polynomials(d, n) for n in system.counts)


def _polynomials(d: Array, count: int) -> Array:
    """Returns (n, count) monomials of lowest degree."""
    degrees = sorted(itertools.product(range(count), repeat=3), key=lambda p: (sum(p), p[::-1]))
    columns = [jnp.ones_like(d[:, 0])]
    for powers in degrees[1:count]:
        factors = [d[:, axis] for axis, power in enumerate(powers) for _ in range(power)]
        columns.append(jnp.prod(jnp.stack(factors), axis=0))
    return jnp.stack(columns, axis=-1)

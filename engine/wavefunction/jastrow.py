"""The pair factor exp(J) that gives psi the exact cusps between particles.

    J = - sum_{i<j} c_ij a^2 / (a + d_ij),    dJ/dd = c_ij at d = 0,

with c = q_i q_j mu_ij for distinguishable particles, half of it for identical fermions (T. Kato,
Commun. Pure Appl. Math. 10, 151 (1957); R. T. Pack and W. Byers Brown, J. Chem. Phys. 45, 556
(1966)): 1/2 and 1/4 for electrons. The lengths a > 0 are learned, one per kind of pair. d is the
tri distance in a periodic cell, |r| in an open one.

In an electron gas J approaches -1 / (omega_p d) at large d in the random-phase approximation (D.
Bohm and D. Pines, Phys. Rev. 92, 609 (1953)): c a^2 = 1 / omega_p gives the unit that a is in,
omega_p = sqrt(3 / rs^3).
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.system import System
from engine.wavefunction.features import length, separation


def pair_kinds(
    system: System, *, shared: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows, columns, kind and cusp of every pair i < j, each (n (n - 1) / 2,).

    Kinds are numbered from zero: pairs of species of which there are particles, without gaps.
    `shared` ones do not depend on how many particles there are; see `shared_kinds`.
    """
    rows, columns = np.triu_indices(system.n_particles, 1)
    species = np.repeat(np.arange(len(system.counts)), system.counts)
    label = species[rows] * len(system.counts) + species[columns]
    _, kind = np.unique(label, return_inverse=True)
    if shared:
        kind = shared_kinds(system)[species[rows], species[columns]]
    charge, mass = system.particle_charges, system.particle_masses
    reduced = mass[rows] * mass[columns] / (mass[rows] + mass[columns])
    same = np.where(species[rows] == species[columns], 0.5, 1.0)
    return rows, columns, kind, charge[rows] * charge[columns] * reduced * same


def shared_kinds(system: System) -> np.ndarray:
    """Returns (S, S) kinds of pairs of species by their charges and whether they are the same.

    Spin up and spin down are alike.
    """
    charge = [s.charge for s in system.species]
    names = [
        [(s == t, *sorted((charge[s], charge[t]))) for t in range(len(charge))]
        for s in range(len(charge))
    ]
    known = sorted({name for row in names for name in row})
    return np.array([[known.index(name) for name in row] for row in names])


class PairFactor(nn.Module):
    """The logarithm J of the pair factor.

    Attributes:
        dtype: Of the parameters.
        shared: Whether there are as many lengths whatever the numbers of particles.
    """

    dtype: jnp.dtype
    shared: bool = False

    @nn.compact
    def __call__(self, walker: Array, system: System) -> Array:
        """Maps a walker (n, 3) to the scalar J; zero for a single particle."""
        rows, columns, kind, cusp = pair_kinds(system, shared=self.shared)
        if not len(rows):
            return jnp.zeros((), walker.dtype)
        unit = nn.initializers.constant(np.log(np.e - 1))
        kinds = 1 + int((shared_kinds(system) if self.shared else kind).max())
        lengths = self.param("length", unit, (kinds,), self.dtype)
        return jnp.sum(_log_factor(walker[rows] - walker[columns], lengths, kind, cusp, system))

    def of_pair(self, displacement: Array, index: Array, system: System) -> Array:
        """Returns the logarithm of pair `index` of `pair_kinds` at a displacement (3,), bohr."""
        _, _, kind, cusp = pair_kinds(system, shared=self.shared)
        lengths = self.variables["params"]["length"]
        kind, cusp = jnp.asarray(kind)[index], jnp.asarray(cusp)[index]
        return _log_factor(displacement, lengths, kind, cusp, system)


def _log_factor(displacement: Array, lengths: Array, kind, cusp, system: System) -> Array:
    """Returns (...) the logarithms of pairs at displacements (..., 3)."""
    a = jax.nn.softplus(lengths)[kind]
    if not isinstance(system.frequency, float):
        a = a * jax.lax.rsqrt(abs(cusp) * system.frequency).astype(a.dtype)
    _, squared = separation(displacement, system.cell)
    return -jnp.asarray(cusp, displacement.dtype) * a * a / (a + length(squared))

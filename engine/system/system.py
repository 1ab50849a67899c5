"""`Species` and `System`: the whole physical statement, without numerics."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.cell import Cell


@dataclasses.dataclass(frozen=True)
class Species:
    """Identical fermions of one spin: spin-up electrons, spin-down electrons, positrons...

    Attributes:
        name: "up", "down", "positron".
        count: How many particles.
        charge: In units of e; electrons have -1.
        mass: In electron masses.
    """

    name: str
    count: int
    charge: float = -1.0
    mass: float = 1.0


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class System:
    """What exists: particles, nuclei, cell and boundary phase. Arrays are traced.

    All twists and strains of a material differ only in the arrays, so they share one
    compiled program.

    Attributes:
        cell: Simulation cell.
        positions: (A, 3) nuclei of the simulation cell, bohr.
        charges: (A,) nuclear charges, e.
        twist: (3,) boundary phase in fractions of the reciprocal vectors: moving one
            particle by lattice vector j multiplies psi by exp(2 pi i twist_j).
        symbols: Chemical symbols of the nuclei.
        species: The quantum particles, in the order in which a walker stores them.
    """

    cell: Cell
    positions: Array
    charges: Array
    twist: Array
    symbols: tuple[str, ...] = dataclasses.field(metadata={"static": True})
    species: tuple[Species, ...] = dataclasses.field(metadata={"static": True})

    @property
    def counts(self) -> tuple[int, ...]:
        """Number of particles of each species."""
        return tuple(s.count for s in self.species)

    @property
    def n_particles(self) -> int:
        """Total number of quantum particles."""
        return sum(self.counts)

    @property
    def members(self) -> np.ndarray:
        """(n,) index of the species of each particle of a walker."""
        return np.repeat(np.arange(len(self.species)), self.counts)

    @property
    def spin_flip(self) -> tuple[int, ...]:
        """(S,) index of the species of opposite spin; its own where there is none."""
        names = [s.name for s in self.species]
        other = {"up": "down", "down": "up"}
        wanted = [other.get(name, name) for name in names]
        return tuple(names.index(w) if w in names else own for own, w in enumerate(wanted))

    @property
    def particle_charges(self) -> np.ndarray:
        """(n,) charge of each particle of a walker."""
        return np.repeat([s.charge for s in self.species], self.counts)

    @property
    def kinds(self) -> dict[str, float]:
        """Charges that differ, by the name of the first species that has each."""
        named = {s.charge: s.name for s in reversed(self.species)}
        return {named[c]: c for c in dict.fromkeys(s.charge for s in self.species)}

    @property
    def particle_masses(self) -> np.ndarray:
        """(n,) mass of each particle of a walker."""
        return np.repeat([s.mass for s in self.species], self.counts)

    @property
    def twist_vector(self) -> Array:
        """(3,) twist in Cartesian coordinates, 1/bohr."""
        return self.twist @ self.cell.reciprocal

    @property
    def spacing(self) -> Array | float:
        """rs of a cell without nuclei, bohr: the length its particles live on. Else 1."""
        if self.symbols or not self.cell.periodic or not self.n_particles:
            return 1.0
        return jnp.cbrt(3 * self.cell.volume / (4 * jnp.pi * self.n_particles))

    @property
    def frequency(self) -> Array | float:
        """omega_p = sqrt(3 / rs^3) of a cell without nuclei, hartree: the unit of its energies.

        Else 1.
        """
        spacing = self.spacing
        return spacing if isinstance(spacing, float) else jnp.sqrt(3 / spacing**3)

    @property
    def self_bound(self) -> bool:
        """Whether nothing but their own attraction holds the particles: positronium."""
        charges = {s.charge > 0 for s in self.species}
        return not self.cell.periodic and not self.symbols and len(charges) == 2

    def settle(self, walkers: Array) -> Array:
        """Returns walkers (..., n, 3) at an equivalent place: in the cell, or about the origin.

        Self-bound particles have their centre of mass there; it is free to move otherwise.
        """
        if self.self_bound:
            return walkers - self.centre_of_mass(walkers)
        return self.cell.wrap(walkers)

    def centre_of_mass(self, walkers: Array) -> Array:
        """Returns (..., 1, 3), bohr."""
        weights = jnp.asarray(self.particle_masses / self.particle_masses.sum(), walkers.dtype)
        return jnp.sum(weights[:, None] * walkers, axis=-2, keepdims=True)

    def with_twist(self, twist) -> System:
        """Returns the same system at another twist (fractions of the reciprocal vectors)."""
        return dataclasses.replace(self, twist=jnp.asarray(twist, self.positions.dtype))

    def with_spin(self, spin: int) -> System:
        """Returns the same system with another N_up - N_down."""
        mine = [s for s in self.species if s.name in ("up", "down")]
        total = sum(s.count for s in mine)
        others = tuple(s for s in self.species if s not in mine)
        species = electrons((total + spin) // 2, (total - spin) // 2) + others
        return dataclasses.replace(self, species=species)


def electrons(n_up: int, n_down: int) -> tuple[Species, ...]:
    """Returns the electron species; a species without particles is left out."""
    both = (Species("up", n_up), Species("down", n_down))
    return tuple(s for s in both if s.count)

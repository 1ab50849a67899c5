"""Features of particles among particles and nuclei, for networks that fit any number of them.

Every sum over nuclei or electrons is over functions that decay with distance, and weights belong
to elements and shells: nothing depends on how many there are. With a particle's own features h_i,
those of a particle and a nucleus e_iI and of pairs, the head of `transferable.py` reads h, e and
the crowd at a nucleus, sum_j e_jI * h_j.

Features of nuclei and electrons: N. Gao and S. Guennemann, ICML (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.rows import row_sums
from engine.system.system import System
from engine.types import NOTHING, Alone, Reference
from engine.wavefunction import atomic, features
from engine.wavefunction.atomic import Element, Exponentials
from engine.wavefunction.ferminet import FermiNet
from engine.wavefunction.images import Images, place
from engine.wavefunction.layers import Dense, means_of_species, residual

PAIR_RANGE = 3.0
"""Width of the Gaussian that pair features are multiplied by, bohr; in a gas in units of rs."""

UNIT = np.sqrt(4 * np.pi / np.array([1, 3, 3, 3]))
"""Makes of r^l Y_lm with l = 0 and 1 the functions 1, x, y, z."""


class Seen(NamedTuple):
    """What the head reads.

    Attributes:
        h: (n, width) features of each particle.
        sites: Per element, (n, A_Z, f) of particle and nucleus, V e in the head's formula.
        crowd: Per element, (S, A_Z, S f) sums over the other particles, own species first.
        functions: Per element, the groups of `atomic.Functions`, each (n, parts, A_Z, t, 2 l + 1).
        log_scale: (n,) logarithm of what they are to be multiplied by.
    """

    h: Array
    sites: Sequence[Array] = ()
    crowd: Sequence[Array] = ()
    functions: Sequence[Sequence[Array]] = ()
    log_scale: Array | None = None


class Frame(NamedTuple):
    """What of a system is known when the network is made.

    Attributes:
        elements: Its elements.
        images: Over which sums over the lattice go.
        waves: 2 where images have phases, 1 where signs, 0 where neither.
    """

    elements: tuple[Element, ...]
    images: Images
    waves: int


class Surroundings(FermiNet):
    """Features of particles among particles: layers of FermiNet over sums that decay."""

    def setup(self):
        super().setup()
        self.first = Dense(self.width, self.dtype)

    def pairs(self, displacement: Array, itself: Array, system: System) -> Array:
        """Returns the (..., F) features of pairs for all layers, side by side; far ones vanish."""
        _, squared = features.separation(displacement, system.cell)
        reach = jnp.asarray(PAIR_RANGE * system.spacing, displacement.dtype)
        near = jnp.exp(-0.5 * squared / (reach * reach))
        return super().pairs(displacement, itself, system) * near[..., None]

    def alone(self, r: Array, species: int, system: System) -> Alone:
        """Returns nothing: the first layer reads of a particle what kind it is."""
        del r, species, system
        return NOTHING

    def __call__(
        self, walker: Array, near: Array | None, system: System, alone: Alone = NOTHING
    ) -> Seen:
        """Maps a walker (n, 3) and the means of pair features (n, S, F) to what the head reads."""
        del alone
        return Seen(self.through(kind_indicator(system).astype(walker.dtype), near, system))

    def through(self, h: Array, near: Array | None, system: System) -> Array:
        """Returns the (n, width) features that the layers make of (n, f)."""
        h = jnp.tanh(self.first(h))
        if near is None:
            for one in self.one:
                h = residual(h, jnp.tanh(one(h)))
            return h
        sums = near * jnp.asarray(system.counts, near.dtype)[:, None]
        for one, mean, read in zip(self.one, self.mean, self._layers(sums), strict=True):
            local = one(jnp.concatenate([h, _own_first(read, system)], axis=-1))
            everywhere = spread(mean(_ordered(means_of_species(h, system), system)), system)
            h = residual(h, jnp.tanh(local + everywhere))
        return h


class NuclearSurroundings(Surroundings):
    """Features of particles among particles and nuclei.

    Attributes:
        frame: Of the system.
    """

    frame: Frame = None

    def setup(self):
        super().setup()
        elements = self.frame.elements
        self.exponentials = Exponentials(elements, self.dtype)
        self.embed = {e.symbol: Dense(self.pair_width, self.dtype, bias=False) for e in elements}
        self.site = {e.symbol: Dense(self.pair_width, self.dtype, bias=False) for e in elements}
        self.functions = {
            e.symbol: atomic.Functions(e, self.frame.images, self.dtype) for e in elements
        }
        self.shared = Dense(self.pair_width, self.dtype)

    def single(self, r: Array, system: System, reference: Reference) -> Alone:
        """Returns what depends on one particle alone, at r (3,).

        Features are the logarithm of the functions' factor and the sum over nuclei of e; rows are,
        per element, e, V e, and the groups of functions.
        """
        frame = self.frame
        where = place(r, system, frame.images, waves=frame.waves)
        values, log_scale = self.exponentials(where, system)
        total, rows = 0, []
        for e, x in zip(self.frame.elements, values, strict=True):
            here = where.of(e.atoms)
            sums = atomic.moments(x, here, e.angular)
            seen = self._seen(e, sums[:, 0], jnp.exp(log_scale))
            total = total + seen.sum(axis=0)
            rows += [seen, self.site[e.symbol](seen)]
            charge = system.charges[e.atoms[0]]
            rows += self.functions[e.symbol](sums, here, charge, reference.atomic.basis)
        return Alone(jnp.concatenate([log_scale[None], total]), rows=tuple(rows))

    def _seen(self, e: Element, sums: Array, scale: Array) -> Array:
        """Returns (A_Z, f) features made of sums over images (A_Z, EXPONENTS, lm): s and p."""
        seen = sums[..., :4] * jnp.asarray(UNIT, sums.dtype) * scale
        seen = jnp.concatenate([seen[..., 0], seen[..., 1:].reshape(len(seen), -1)], axis=-1)
        return jnp.tanh(self.embed[e.symbol](seen))

    def __call__(self, walker: Array, near: Array | None, system: System, own: Alone) -> Seen:
        """Maps a walker (n, 3), the means of pair features and those of single particles."""
        seen, sites, functions, rows = [], [], [], list(own.rows)
        for element in self.frame.elements:
            e, site, *groups = rows[: 2 + len(element.shells)]
            del rows[: 2 + len(element.shells)]
            seen, sites, functions = [*seen, e], [*sites, site], [*functions, groups]
        kind = kind_indicator(system).astype(walker.dtype)
        h = self.through(jnp.concatenate([kind, own.features[:, 1:]], axis=-1), near, system)
        crowd = self._crowd(seen, h, system)
        return Seen(h, sites, crowd, functions, own.features[:, 0])

    def _crowd(self, seen: list[Array], h: Array, system: System) -> list[Array]:
        """Returns who else is at a nucleus, (S, A_Z, S f) for a particle of each species."""
        shared, found = self.shared(h), []
        indicator = jnp.asarray(features.species_indicator(system).T, h.dtype)
        for e in seen:
            sums = row_sums(e, shared, indicator)
            rows = [jnp.concatenate([sums[s] for s in order], -1) for order in _orders(system)]
            found.append(jnp.stack(rows))
        return found


# --- species: spin up and spin down share their weights, electrons and positrons do not


def kinds(system: System) -> list[tuple[str, slice]]:
    """Returns the rows of electrons and of positive particles, where there are such."""
    charges = system.particle_charges
    negative = int(np.sum(charges < 0))
    both = [("negative", slice(0, negative)), ("positive", slice(negative, len(charges)))]
    return [(name, part) for name, part in both if part.stop > part.start]


def kind_indicator(system: System) -> np.ndarray:
    """Returns (n, kinds): one where particle i is of a kind."""
    parts = [part for _, part in kinds(system)]
    return np.repeat(np.eye(len(parts)), [part.stop - part.start for part in parts], axis=0)


def _orders(system: System) -> list[list[int]]:
    """Returns S rows of S: all species as one of them sees them, itself first, then its kind."""
    charge = [s.charge for s in system.species]
    index = range(len(charge))
    return [sorted(index, key=lambda t, s=s: (t != s, charge[t] != charge[s], t)) for s in index]


def _own_first(x: Array, system: System) -> Array:
    """Returns (n, S f) of (n, S, f), the species of the particle first."""
    rows = [
        jnp.concatenate([x[part, s] for s in order], axis=-1)
        for part, order in zip(features.species_slices(system), _orders(system), strict=True)
    ]
    return jnp.concatenate(rows)


def _ordered(x: Array, system: System) -> Array:
    """Returns (S, S f) of (S, f): for each species all rows, its own first."""
    return jnp.stack([jnp.concatenate([x[s] for s in order]) for order in _orders(system)])


def spread(x: Array, system: System) -> Array:
    """Returns (n, ...) of (S, ...): for each particle the row of its species."""
    rows = [
        jnp.broadcast_to(row, (count, *row.shape))
        for row, count in zip(x, system.counts, strict=True)
    ]
    return jnp.concatenate(rows)

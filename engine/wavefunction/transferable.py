"""Orbitals made from mean-field orbitals: one set of parameters for twists, supercells, geometries.

Each determinant is made of the mean field's orbitals in which every atomic function is dressed by
what surrounds electron and nucleus:

    phi_kj(r_i) = sum_mu c_mu,j S_mu(r_i) f_k,mu(i, I),   f = 1 + w_k,mu . a_iI (+ i v_k,mu . a_iI),
    a_iI = tanh(W h_i + V e_iI + U sum_j e_jI * h_j),

S the functions of `atomic.py`, e_iI local features of an electron and a nucleus, h_i features
of the electron among all others. Every sum over nuclei or electrons is over functions that decay
with distance, and weights belong to elements and shells: nothing depends on how many there are.
phi is linear in the mean field's coefficients, so that psi does not depend on which orbitals span
the occupied space, nor on their phases. f is lattice periodic; S has the twist's phase.

Where the mean field has plane waves, phi_kj(r_i) = f_k(i) exp(i k_j.(r_i + xi_k(i))) with a
backflow xi.

After M. Scherbela, L. Gerard and P. Grohs, Nat. Commun. 15, 120 (2024), and for solids L. Gerard,
M. Scherbela, H. Sutterud, W. M. C. Foulkes, P. Grohs, arXiv:2405.07599 (2024), whose orbitals are
non-linear in the coefficients; features of nuclei and electrons: N. Gao and S. Guennemann, ICML
(2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config import AnsatzConfig
from engine.errors import ConfigError
from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import Reference, Wavefunction
from engine.wavefunction import atomic, features
from engine.wavefunction.atomic import Element, Exponentials, Place
from engine.wavefunction.ferminet import PairStream
from engine.wavefunction.layers import Dense, residual, species_means
from engine.wavefunction.network import network

PAIR_RANGE = 3.0
"""Width of the Gaussian that pair features are multiplied by, bohr; in a gas in units of rs."""
DRESSING = nn.initializers.variance_scaling(0.03, "fan_in", "normal")
"""Small: psi starts close to the mean field, the determinants a little apart."""


class Seen(NamedTuple):
    """What the head reads.

    Attributes:
        h: (n, width) features of each particle.
        sites: Per element, (n, A_Z, f) features of particle and nucleus.
        crowd: Per element, (S, A_Z, S f) sums over the other particles, own species first.
        orbitals: Per element, (n, parts, A_Z, functions, J): those of the particle's species.
        log_scale: (n,) logarithm of what they are to be multiplied by.
    """

    h: Array
    sites: Sequence[Array] = ()
    crowd: Sequence[Array] = ()
    orbitals: Sequence[Array] = ()
    log_scale: Array | None = None


class Frame(NamedTuple):
    """What of a system is known when the network is made.

    Attributes:
        elements: Its elements.
        images: (T, 3) translations.
        spans: (3,) half widths of their box.
        twisted: Whether images have phases.
    """

    elements: tuple[Element, ...]
    images: np.ndarray
    spans: np.ndarray
    twisted: bool


class Surroundings(nn.Module):
    """Features of particles among particles.

    Attributes:
        layers: Number of layers.
        width: Features per particle.
        pair_width: Features per pair of particles, or of a particle and a nucleus.
        smooth_pairs: Whether pair features leave the cusp to a Jastrow factor.
        dtype: Of the parameters.
    """

    layers: int
    width: int
    pair_width: int
    smooth_pairs: bool
    dtype: jnp.dtype

    def setup(self):
        self.stream = PairStream(self.layers, self.pair_width, self.smooth_pairs, self.dtype)
        self.first = Dense(self.width, self.dtype)
        self.one = [Dense(self.width, self.dtype) for _ in range(self.layers)]
        self.mean = [Dense(self.width, self.dtype, bias=False) for _ in range(self.layers)]

    def pairs(self, displacement: Array, itself: Array, system: System) -> Array:
        """Returns the (..., F) features of pairs for all layers, side by side; far ones vanish."""
        _, squared = features.separation(displacement, system.cell)
        reach = jnp.asarray(PAIR_RANGE * system.spacing, displacement.dtype)
        near = jnp.exp(-0.5 * squared / (reach * reach))
        return jnp.concatenate(self.stream(displacement, itself, system), -1) * near[..., None]

    def __call__(self, walker: Array, near: Array | None, system: System) -> Seen:
        """Maps a walker (n, 3) and the means of pair features (n, S, F) to what the head reads."""
        return Seen(self.through(_kind_indicator(system).astype(walker.dtype), near, system))

    def through(self, h: Array, near: Array | None, system: System) -> Array:
        """Returns the (n, width) features that the layers make of (n, f)."""
        h = jnp.tanh(self.first(h))
        if near is None:
            for one in self.one:
                h = residual(h, jnp.tanh(one(h)))
            return h
        sums = near * jnp.asarray(system.counts, near.dtype)[:, None]
        means = species_means(system, h.dtype)
        first = near.shape[-1] - (self.layers - 1) * self.pair_width
        ends = [first + k * self.pair_width for k in range(self.layers - 1)]
        parts = jnp.split(sums, ends, axis=-1)
        for one, mean, read in zip(self.one, self.mean, parts, strict=True):
            local = one(jnp.concatenate([h, _own_first(read, system)], axis=-1))
            everywhere = _spread(mean(_ordered(means @ h, system)), system)
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
        self.orbitals = {
            e.symbol: atomic.Orbitals(e, self.frame.twisted, self.dtype) for e in elements
        }
        self.shared = Dense(self.pair_width, self.dtype)

    def single(self, r: Array, species: Array, system: System, reference: Reference) -> Array:
        """Returns what depends on one particle alone, at r (3,), of the species with this index.

        These are, side by side: the logarithm of the orbitals' factor, per element its features
        (A_Z, f), and per element the orbitals (parts, A_Z, functions, J).
        """
        where = atomic.place(r, system, self.frame.images, self.frame.spans)
        values, log_scale = self.exponentials(where, system)
        coefficients = _padded(reference.atomic.coefficients)[species]
        sites, orbitals = [], []
        for e, x in zip(self.frame.elements, values, strict=True):
            here = where.of(e)
            sites.append(self._site(e, x * here.window[..., None], here, jnp.exp(log_scale)))
            charge = system.charges[e.atoms[0]]
            orbitals += self.orbitals[e.symbol](
                x, here, charge, reference.atomic.basis, coefficients
            )
        parts = [log_scale[None], *sites, *orbitals]
        return jnp.concatenate([part.ravel() for part in parts])

    def _site(self, e: Element, x: Array, here: Place, scale: Array) -> Array:
        """Returns (A_Z, f) features made of the exponentials, as numbers and as vectors."""
        directed = jnp.sum(x[..., None] * here.vectors[:, :, None], axis=1)
        seen = jnp.concatenate([x.sum(axis=1), directed.reshape(len(x), -1)], axis=-1)
        return jnp.tanh(self.embed[e.symbol](seen * scale))

    def __call__(self, walker: Array, near: Array | None, system: System, own: Array) -> Seen:
        """Maps a walker (n, 3), the means of pair features and those of single particles."""
        log_scale, sites, orbitals = self._unpacked(own, max(system.counts))
        kind = _kind_indicator(system).astype(walker.dtype)
        h = jnp.concatenate([kind, sum(e.sum(axis=1) for e in sites)], axis=-1)
        h = self.through(h, near, system)
        return Seen(h, sites, self._crowd(sites, h, system), orbitals, log_scale)

    def _unpacked(self, own: Array, columns: int) -> tuple[Array, list[Array], list[Array]]:
        """Returns the logarithms, features and orbitals in (n, f), as `single` packs them."""
        n, start, found = len(own), 1, []
        elements = self.frame.elements
        sites = [(len(e.atoms), self.pair_width) for e in elements]
        rest = own.shape[1] - 1 - sum(map(math.prod, sites))
        functions = sum(len(e.atoms) * e.functions for e in elements)
        parts = rest // (functions * columns)
        orbitals = [(parts, len(e.atoms), e.functions, columns) for e in elements]
        for shape in (*sites, *orbitals):
            end = start + math.prod(shape)
            found.append(own[:, start:end].reshape(n, *shape))
            start = end
        return own[:, 0], found[: len(elements)], found[len(elements) :]

    def _crowd(self, sites: list[Array], h: Array, system: System) -> list[Array]:
        """Returns who else is at a nucleus, (S, A_Z, S f) for a particle of each species."""
        shared, found = self.shared(h), []
        for e in sites:
            sums = [
                jnp.einsum("iaf,if->af", e[part], shared[part])
                for part in features.species_slices(system)
            ]
            rows = [jnp.concatenate([sums[s] for s in order], -1) for order in _orders(system)]
            found.append(jnp.stack(rows))
        return found


def _padded(coefficients: tuple[Array, ...]) -> Array:
    """Returns (S, J, ao), J the largest number of orbitals, the others followed by zeros."""
    most = max(len(c) for c in coefficients)
    return jnp.stack([jnp.pad(c, ((0, most - len(c)), (0, 0))) for c in coefficients])


class AtomicHead(nn.Module):
    """Dressed atomic functions times the mean field's coefficients.

    Attributes:
        elements: Of the system.
        determinants: Number of determinants D.
        width: Features per particle and nucleus.
        complex_orbitals: Complex or real dressing.
        dtype: Of the parameters.
    """

    elements: tuple[Element, ...]
    determinants: int
    width: int
    complex_orbitals: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, seen: Seen, walker: Array, system: System, reference: Reference
    ) -> tuple[Array, Array]:
        """Returns (D, n, n) matrices, and the (n,) logarithms of their rows' factors."""
        own = Dense(self.width, self.dtype, name="particle")(seen.h)
        factors = [self._factors(k, own, seen, system) for k in range(len(self.elements))]
        f = jnp.concatenate(factors, axis=-1)
        orbitals = [x.reshape(*x.shape[:2], -1, x.shape[-1]) for x in seen.orbitals]
        phi = jnp.concatenate(orbitals, axis=2)
        blocks = [
            self._contracted(f[part], phi[part, :, :, : part.stop - part.start])
            for part in features.species_slices(system)
        ]
        return _block_diagonal(blocks), seen.log_scale

    def _factors(self, k: int, own: Array, seen: Seen, system: System) -> Array:
        """Returns (n, parts, D, A_Z t): what multiplies the functions of an element's atoms."""
        symbol, functions = self.elements[k].symbol, self.elements[k].functions
        site = Dense(self.width, self.dtype, bias=False, name=f"site_{symbol}")(seen.sites[k])
        crowd = Dense(self.width, self.dtype, bias=False, name=f"crowd_{symbol}")(seen.crowd[k])
        a = jnp.tanh(own[:, None] + site + _spread(crowd, system))
        parts = 2 if self.complex_orbitals else 1
        size = parts * self.determinants * functions
        rows = [
            Dense(size, self.dtype, name=f"dressing_{symbol}_{kind}", kernel=DRESSING)(a[part])
            for kind, part in _kinds(system)
        ]
        out = jnp.concatenate(rows).reshape(*a.shape[:2], parts, self.determinants, functions)
        one = np.zeros((parts, 1, 1))
        one[0] = 1.0
        out = (out + jnp.asarray(one, out.dtype)).transpose(0, 2, 3, 1, 4)
        return out.reshape(len(a), parts, self.determinants, -1)

    def _contracted(self, f: Array, phi: Array) -> Array:
        """Returns the (D, n_s, n_s) matrices: (n_s, parts, D, x) times (n_s, parts, x, n_s)."""

        def times(a: int, b: int) -> Array:
            return jnp.einsum("ikx,ixj->kij", f[:, a], phi[:, b])

        if not self.complex_orbitals:
            return times(0, 0)
        if phi.shape[1] == 1:
            return jax.lax.complex(times(0, 0), times(1, 0))
        return jax.lax.complex(times(0, 0) - times(1, 1), times(0, 1) + times(1, 0))


class WaveHead(nn.Module):
    """Plane waves of the mean field at positions shifted by a backflow, dressed.

    Attributes:
        determinants: Number of determinants D.
        dtype: Of the parameters.
    """

    determinants: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, seen: Seen, walker: Array, system: System, reference: Reference
    ) -> tuple[Array, Array]:
        """Returns (D, n, n) matrices, and the (n,) logarithms of their rows' factors."""
        n, count = len(walker), 5 * self.determinants
        rows = [
            Dense(count, self.dtype, name=f"dressing_{kind}", kernel=DRESSING)(seen.h[part])
            for kind, part in _kinds(system)
        ]
        out = jnp.concatenate(rows).reshape(n, self.determinants, 5)
        spacing = jnp.asarray(system.spacing, walker.dtype)
        shifted = walker[:, None] + spacing * out[..., 2:]
        blocks = []
        for part, k in zip(features.species_slices(system), reference.kpoints, strict=True):
            half_turns = jnp.einsum("ikx,jx->kij", shifted[part], (k / jnp.pi).astype(walker.dtype))
            real, imag = (out[part, :, x].T[..., None] for x in (0, 1))
            real, cosine, sine = real + 1, cos_pi(half_turns), sin_pi(half_turns)
            blocks.append(jax.lax.complex(real * cosine - imag * sine, real * sine + imag * cosine))
        return _block_diagonal(blocks), jnp.zeros(n, walker.dtype)


def _block_diagonal(blocks: list[Array]) -> Array:
    """Returns (D, n, n) matrices of (D, n_s, n_s) blocks."""
    n, start, rows = sum(b.shape[-1] for b in blocks), 0, []
    for b in blocks:
        end = start + b.shape[-1]
        left, right = (jnp.zeros((*b.shape[:2], x), b.dtype) for x in (start, n - end))
        rows.append(jnp.concatenate([left, b, right], axis=-1))
        start = end
    return jnp.concatenate(rows, axis=1)


# --- species: spin up and spin down share their weights, electrons and positrons do not


def _kinds(system: System) -> list[tuple[str, slice]]:
    """Returns the rows of electrons and of positive particles, where there are such."""
    charges = system.particle_charges
    negative = int(np.sum(charges < 0))
    both = [("negative", slice(0, negative)), ("positive", slice(negative, len(charges)))]
    return [(name, part) for name, part in both if part.stop > part.start]


def _kind_indicator(system: System) -> np.ndarray:
    """Returns (n, kinds): one where particle i is of a kind."""
    kinds = _kinds(system)
    return np.repeat(np.eye(len(kinds)), [part.stop - part.start for _, part in kinds], axis=0)


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


def _spread(x: Array, system: System) -> Array:
    """Returns (n, ...) of (S, ...): for each particle the row of its species."""
    rows = [
        jnp.broadcast_to(row, (count, *row.shape))
        for row, count in zip(x, system.counts, strict=True)
    ]
    return jnp.concatenate(rows)


def make(
    config: AnsatzConfig,
    system: System,
    reference: Reference,
    *,
    complex_orbitals: bool,
    dtype,
    reference_orbitals=None,
) -> Wavefunction:
    """Returns the network of `config` on the mean field's atomic functions or plane waves.

    Raises:
        ConfigError: The mean field has neither.
    """
    del reference_orbitals
    if reference.atomic is None and (system.symbols or not system.cell.periodic):
        raise ConfigError(
            "ansatz 'transferable' without orbitals of the mean field that it knows",
            where="section 'ansatz', key 'name'",
            expected="Gaussian orbitals of atoms, or an electron gas",
            remedy="take ferminet or psiformer",
        )
    basis = reference.atomic.basis if reference.atomic else None
    frame = Frame(
        atomic.elements(system.symbols, basis),
        *atomic.translations(system),
        twisted=complex_orbitals and system.cell.periodic,
    )
    dtype = jnp.dtype(dtype)
    sizes = (config.layers, config.width, config.pair_width, config.jastrow, dtype)
    if reference.atomic:
        backbone = NuclearSurroundings(*sizes, frame=frame)
        head = AtomicHead(
            frame.elements, config.determinants, config.pair_width, complex_orbitals, dtype
        )
    else:
        backbone, head = Surroundings(*sizes), WaveHead(config.determinants, dtype)
    return network(
        backbone,
        config,
        system,
        complex_orbitals=complex_orbitals,
        dtype=dtype,
        head=head,
        shared=True,
    )

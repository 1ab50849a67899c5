"""A neural wavefunction: backbone, orbitals, sum of determinants, pair factor."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from engine.config import AnsatzConfig
from engine.system.system import System
from engine.types import NOTHING, Alone, LogPsi, Parts, Reference, Wavefunction
from engine.wavefunction.determinant import log_sum_determinants
from engine.wavefunction.jastrow import PairFactor
from engine.wavefunction.layers import means_of_species, species_weights
from engine.wavefunction.orbitals import Orbitals

FEW = 4
"""So many particles are differentiated as fast in one piece (docs/performance.md).

Not where each sees as many nuclei through sines and cosines.
"""


class Network(nn.Module):
    """psi = exp(J) sum_k w_k det phi_k.

    Attributes:
        backbone: Maps (walker, means of pair features, system) to (n, f) features, equivariant
            within a species, or to whatever else the head reads. Its method `pairs` makes the pair
            features, if it has any. One with a method `single` also reads features of single
            particles, and the mean field. One with a method `alone` can do without the walker where
            it is given what that makes of every particle.
        head: Maps (features, walker, system, reference) to an `Expansion`.
        pair_factor: Maps (walker, system) to the logarithm J, or None.
        dtype: Of the parameters.
    """

    backbone: nn.Module
    head: nn.Module
    pair_factor: nn.Module | None
    dtype: jnp.dtype

    def __call__(self, walker: Array, system: System, reference: Reference) -> LogPsi:
        """Returns log psi of one walker (n, 3)."""
        own = self.singles(walker, system, reference)
        return self.from_parts(walker, self.means(walker, system), own, None, system, reference)

    def pairs(self, displacement: Array, itself: Array, system: System) -> Array:
        """Returns (..., F) features of pairs at displacements (..., 3), bohr."""
        return self.backbone.pairs(displacement, itself, system)

    def means(self, walker: Array, system: System) -> Array | None:
        """Returns the (n, S, F) means of pair features over the particles of each species."""
        if not has_pairs(self.backbone, system):
            return None
        itself = jnp.eye(len(walker), dtype=walker.dtype)
        seen = self.pairs(walker[:, None] - walker[None], itself, system)
        return means_of_species(seen, system, axis=1)

    def single(self, r: Array, system: System, reference: Reference) -> Alone:
        """Returns what the backbone reads of a particle at r (3,), whatever its species."""
        return self.backbone.single(r, system, reference)

    def singles(self, walker: Array, system: System, reference: Reference) -> Alone:
        """Returns what the backbone reads of every particle, if anything."""
        if not hasattr(self.backbone, "single"):
            return NOTHING
        one = nn.vmap(
            Network.single,
            in_axes=(0, None, None),
            variable_axes={"params": None},
            split_rngs={"params": False},
        )
        return one(self, walker, system, reference)

    def alone(self, r: Array, species: int, system: System, reference: Reference) -> Alone:
        """Returns what can be said of a particle at r (3,) without the others.

        Of self-bound particles nothing can: they are measured from the centre of mass. Of few it is
        not worth it.
        """
        if hasattr(self.backbone, "single"):
            return self.single(r, system, reference)
        many_nuclei = system.cell.periodic and len(system.symbols) >= FEW
        if system.self_bound or (system.n_particles <= FEW and not many_nuclei):
            return NOTHING
        seen = NOTHING
        if hasattr(self.backbone, "alone"):
            seen = self.backbone.alone(r, species, system)
        if hasattr(self.head, "alone"):
            seen = seen._replace(factors=self.head.alone(r, species, system, reference))
        return seen

    def factor(self, displacement: Array, index: Array, system: System) -> Array:
        """Returns the logarithm of the pair factor of one pair at a displacement (3,)."""
        return self.pair_factor.of_pair(displacement, index, system)

    def from_parts(
        self,
        walker: Array,
        near: Array | None,
        own: Alone,
        log_factor: Array | None,
        system: System,
        reference: Reference,
    ) -> LogPsi:
        """Returns log psi of one walker whose features and pair factor have these values."""
        h = self._seen(walker, near, own, system)
        factors = () if own.factors is None else (own.factors,)
        found = self.head(h, walker, system, reference, *factors)
        psi = log_sum_determinants(found.blocks, found.weights)
        log = psi.log + found.log_scale.sum()
        if log_factor is None and self.pair_factor:
            log_factor = self.pair_factor(walker, system)
        if log_factor is not None:
            log = log + log_factor
        return LogPsi(log, psi.arg)

    def _seen(self, walker: Array, near: Array | None, own: Alone, system: System):
        reads = hasattr(self.backbone, "single") or hasattr(self.backbone, "alone")
        return self.backbone(walker, near, system, *([own] if reads else []))

    def orbitals(self, walker: Array, system: System, reference: Reference) -> Array:
        """Returns the (D, n, n) matrices of one walker, rows particles, columns orbitals."""
        own = self.singles(walker, system, reference)
        h = self._seen(walker, self.means(walker, system), own, system)
        return self.head(h, walker, system, reference).matrices


def has_pairs(backbone: nn.Module, system: System) -> bool:
    """Tells whether a backbone reads pair features: not if there is no other particle."""
    return hasattr(backbone, "pairs") and system.n_particles > 1


def network(
    backbone: nn.Module,
    config: AnsatzConfig,
    system: System,
    *,
    complex_orbitals: bool,
    dtype,
    head: nn.Module | None = None,
    shared: bool = False,
) -> Wavefunction:
    """Returns the wavefunction of a backbone; its parameters are a nested dict of arrays.

    Without a head of its own it gets `Orbitals`; `shared` is that of the pair factor.
    """
    dtype = jnp.dtype(dtype)
    head = head or Orbitals(config.determinants, complex_orbitals, dtype)
    pair_factor = PairFactor(dtype, shared=shared) if config.jastrow else None
    module = Network(backbone, head, pair_factor, dtype)

    def init(key, system, reference):
        walker = jax.random.normal(key, (system.n_particles, 3), dtype)
        return jax.jit(module.init)(key, walker, system, reference)["params"]

    def call(params, *arguments, method=None):
        return module.apply({"params": params}, *arguments, method=method)

    parts = Parts(
        apply=functools.partial(call, method="from_parts"),
        pairs=functools.partial(call, method="pairs") if has_pairs(backbone, system) else None,
        weights=lambda system: species_weights(system, dtype),
        single=functools.partial(call, method="alone"),
        factor=functools.partial(call, method="factor")
        if pair_factor and system.n_particles > 1
        else None,
        alike=hasattr(backbone, "single"),
    )
    return Wavefunction(
        init,
        apply=call,
        orbitals=functools.partial(call, method="orbitals"),
        parts=parts,
    )

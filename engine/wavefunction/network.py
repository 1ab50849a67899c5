"""A neural wavefunction: backbone, orbitals, sum of determinants, pair factor."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from engine.config import AnsatzConfig
from engine.system.system import System
from engine.types import LogPsi, PairSums, Reference, Wavefunction
from engine.wavefunction.determinant import log_sum_determinants
from engine.wavefunction.jastrow import PairFactor
from engine.wavefunction.layers import species_means
from engine.wavefunction.orbitals import Orbitals


class Network(nn.Module):
    """psi = exp(J) sum_k det phi_k.

    Attributes:
        backbone: Maps (walker, means of pair features, system) to (n, f) features, equivariant
            within a species; its method `pairs` makes the pair features, if it has any.
        determinants: Number of determinants.
        jastrow: Whether there is a pair factor.
        complex_orbitals: Complex or real orbitals.
        dtype: Of the parameters.
    """

    backbone: nn.Module
    determinants: int
    jastrow: bool
    complex_orbitals: bool
    dtype: jnp.dtype

    def setup(self):
        self.head = Orbitals(self.determinants, self.complex_orbitals, self.dtype)
        self.pair_factor = PairFactor(self.dtype) if self.jastrow else None

    def __call__(self, walker: Array, system: System, reference: Reference) -> LogPsi:
        """Returns log psi of one walker (n, 3)."""
        return self.from_means(walker, self.means(walker, system), system, reference)

    def pairs(self, displacement: Array, itself: Array, system: System) -> Array:
        """Returns (..., F) features of pairs at displacements (..., 3), bohr."""
        return self.backbone.pairs(displacement, itself, system)

    def means(self, walker: Array, system: System) -> Array | None:
        """Returns the (n, S, F) means of pair features over the particles of each species."""
        if not has_pairs(self.backbone, system):
            return None
        itself = jnp.eye(len(walker), dtype=walker.dtype)
        seen = self.pairs(walker[:, None] - walker[None], itself, system)
        return jnp.einsum("sj,ijf->isf", species_means(system, walker.dtype), seen)

    def from_means(
        self, walker: Array, near: Array | None, system: System, reference: Reference
    ) -> LogPsi:
        """Returns log psi of one walker whose pair features have these means."""
        h = self.backbone(walker, near, system)
        matrices, log_scale = self.head(h, walker, system, reference)
        psi = log_sum_determinants(matrices)
        log = psi.log + log_scale.sum()
        if self.jastrow:
            log = log + self.pair_factor(walker, system)
        return LogPsi(log, psi.arg)

    def orbitals(self, walker: Array, system: System, reference: Reference) -> Array:
        """Returns the (D, n, n) matrices of one walker, rows particles, columns orbitals."""
        h = self.backbone(walker, self.means(walker, system), system)
        matrices, log_scale = self.head(h, walker, system, reference)
        return matrices * jnp.exp(log_scale)[:, None]


def has_pairs(backbone: nn.Module, system: System) -> bool:
    """Tells whether a backbone reads pair features: not if there is no other particle."""
    return hasattr(backbone, "pairs") and system.n_particles > 1


def network(
    backbone: nn.Module, config: AnsatzConfig, system: System, *, complex_orbitals: bool, dtype
) -> Wavefunction:
    """Returns the wavefunction of a backbone; its parameters are a nested dict of arrays."""
    dtype = jnp.dtype(dtype)
    module = Network(backbone, config.determinants, config.jastrow, complex_orbitals, dtype)

    def init(key, system, reference):
        walker = jax.random.normal(key, (system.n_particles, 3), dtype)
        return jax.jit(module.init)(key, walker, system, reference)["params"]

    def call(params, *arguments, method=None):
        return module.apply({"params": params}, *arguments, method=method)

    sums = PairSums(
        features=functools.partial(call, method="pairs"),
        weights=lambda system: species_means(system, dtype),
        apply=functools.partial(call, method="from_means"),
    )
    return Wavefunction(
        init,
        apply=call,
        orbitals=functools.partial(call, method="orbitals"),
        pair_sums=sums if has_pairs(backbone, system) else None,
    )

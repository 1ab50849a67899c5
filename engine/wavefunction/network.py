"""A neural wavefunction: backbone, orbitals, sum of determinants, pair factor."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from engine.config import AnsatzConfig
from engine.system.system import System
from engine.types import LogPsi, Reference, Wavefunction
from engine.wavefunction.determinant import log_sum_determinants
from engine.wavefunction.jastrow import PairFactor
from engine.wavefunction.orbitals import Orbitals


class Network(nn.Module):
    """psi = exp(J) sum_k det phi_k.

    Attributes:
        backbone: Maps (walker, system) to (n, f) features, equivariant within a species.
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
        h = self.backbone(walker, system)
        matrices, log_scale = self.head(h, walker, system, reference)
        psi = log_sum_determinants(matrices)
        log = psi.log + log_scale.sum()
        if self.jastrow:
            log = log + self.pair_factor(walker, system)
        return LogPsi(log, psi.arg)

    def orbitals(self, walker: Array, system: System, reference: Reference) -> Array:
        """Returns the (D, n, n) matrices of one walker, rows particles, columns orbitals."""
        h = self.backbone(walker, system)
        matrices, log_scale = self.head(h, walker, system, reference)
        return matrices * jnp.exp(log_scale)[:, None]


def network(
    backbone: nn.Module, config: AnsatzConfig, *, complex_orbitals: bool, dtype
) -> Wavefunction:
    """Returns the wavefunction of a backbone; its parameters are a nested dict of arrays."""
    dtype = jnp.dtype(dtype)
    module = Network(backbone, config.determinants, config.jastrow, complex_orbitals, dtype)

    def init(key, system, reference):
        walker = jax.random.normal(key, (system.n_particles, 3), dtype)
        return jax.jit(module.init)(key, walker, system, reference)["params"]

    def apply(params, walker, system, reference):
        return module.apply({"params": params}, walker, system, reference)

    def orbitals(params, walker, system, reference):
        return module.apply({"params": params}, walker, system, reference, method="orbitals")

    return Wavefunction(init, apply, orbitals)

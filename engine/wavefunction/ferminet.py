"""FermiNet: streams of particles and of pairs, coupled by averages over species.

D. Pfau, J. S. Spencer, A. G. D. G. Matthews and W. M. C. Foulkes, Phys. Rev. Research 2, 033429
(2020); periodic: G. Cassella et al., Phys. Rev. Lett. 130, 036401 (2023).
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from engine.config import AnsatzConfig
from engine.system.system import System
from engine.types import Wavefunction
from engine.wavefunction import features
from engine.wavefunction.layers import Dense, residual, species_means
from engine.wavefunction.network import network


class FermiNet(nn.Module):
    """Equivariant features of each particle among all others.

    A layer is h_i <- h_i + tanh(W [h_i, mean_j h_ij] + V [mean_j h_j] + b), means taken per
    species, and h_ij <- h_ij + tanh(W' h_ij + b'). The term V is computed once for all i.

    Attributes:
        layers: Number of layers.
        width: Features per particle.
        pair_width: Features per pair.
        smooth_pairs: Whether pair features leave the cusp to a Jastrow factor.
        dtype: Of the parameters.
    """

    layers: int
    width: int
    pair_width: int
    smooth_pairs: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, walker: Array, system: System) -> Array:
        """Maps a walker (n, 3) to (n, width)."""
        one = features.one_body(walker, system, anchored=False)
        if system.n_particles == 1:
            return self._alone(one)
        pair = features.pairs(walker, system, smooth=self.smooth_pairs)
        means = species_means(system, walker.dtype)
        for layer in range(self.layers):
            one = self._particles(layer, one, pair, means)
            if layer + 1 < self.layers:
                update = Dense(self.pair_width, self.dtype, name=f"pair_{layer}")(pair)
                pair = residual(pair, jnp.tanh(update))
        return one

    def _particles(self, layer: int, one: Array, pair: Array, means: Array) -> Array:
        near = jnp.einsum("sj,ijf->isf", means, pair).reshape(one.shape[0], -1)
        local = Dense(self.width, self.dtype, name=f"one_{layer}")(jnp.concatenate([one, near], -1))
        mean = Dense(self.width, self.dtype, bias=False, name=f"mean_{layer}")
        shared = mean((means @ one).ravel())
        return residual(one, jnp.tanh(local + shared))

    def _alone(self, one: Array) -> Array:
        for layer in range(self.layers):
            one = residual(one, jnp.tanh(Dense(self.width, self.dtype, name=f"one_{layer}")(one)))
        return one


def make(
    config: AnsatzConfig,
    system: System,
    reference,
    *,
    complex_orbitals: bool,
    dtype,
    reference_orbitals=None,
) -> Wavefunction:
    """Returns the FermiNet of `config`; the mean field enters through its k-points alone."""
    del system, reference, reference_orbitals
    backbone = FermiNet(config.layers, config.width, config.pair_width, config.jastrow, dtype)
    return network(backbone, config, complex_orbitals=complex_orbitals, dtype=dtype)

"""Psiformer: a transformer over particles; correlation at short range is left to the Jastrow.

I. von Glehn, J. S. Spencer and D. Pfau, International Conference on Learning Representations
(2023).
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from engine.config import AnsatzConfig
from engine.errors import ConfigError
from engine.system.system import System
from engine.types import NOTHING, Alone, Wavefunction
from engine.wavefunction import features
from engine.wavefunction.layers import Dense, SelfAttention
from engine.wavefunction.network import network


class Psiformer(nn.Module):
    """Equivariant features of each particle: residual blocks of attention and one tanh layer.

    Attributes:
        layers: Number of blocks.
        width: Features per particle; a multiple of `heads`.
        heads: Attention heads.
        dtype: Of the parameters.
    """

    layers: int
    width: int
    heads: int
    dtype: jnp.dtype

    def alone(self, r: Array, species: int, system: System) -> Alone:
        """Returns the embedding of a particle at r (3,)."""
        x = features.one_body(r[None], system, anchored=True, species=species)[0]
        weights = self.variables["params"]["embedding"]
        return Alone(x @ weights["kernel"] + weights["bias"])

    @nn.compact
    def __call__(self, walker: Array, near: None, system: System, alone: Alone = NOTHING) -> Array:
        """Maps a walker (n, 3), or what `alone` gives of all particles, to (n, width)."""
        del near
        x = alone.features
        if x is None:
            x = features.one_body(walker, system, anchored=True)
            x = Dense(self.width, self.dtype, name="embedding")(x)
        for layer in range(self.layers):
            x = x + SelfAttention(self.width, self.heads, self.dtype, name=f"attention_{layer}")(x)
            x = x + jnp.tanh(Dense(self.width, self.dtype, name=f"dense_{layer}")(x))
        return x


def make(
    config: AnsatzConfig,
    system: System,
    reference,
    *,
    complex_orbitals: bool,
    dtype,
    reference_orbitals=None,
) -> Wavefunction:
    """Returns the Psiformer of `config`; the mean field enters through its k-points alone.

    Raises:
        ConfigError: The width does not split evenly among the heads.
    """
    del reference, reference_orbitals
    if config.width % config.heads:
        raise ConfigError(
            f"width {config.width} does not split among {config.heads} heads",
            where="section 'ansatz', keys 'width' and 'heads'",
            expected="a width that is a multiple of heads",
            remedy=f"take width {config.heads * -(-config.width // config.heads)}",
        )
    backbone = Psiformer(config.layers, config.width, config.heads, dtype)
    return network(backbone, config, system, complex_orbitals=complex_orbitals, dtype=dtype)

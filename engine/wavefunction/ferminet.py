"""FermiNet: streams of particles and of pairs, coupled by averages over species.

The stream of pairs reads displacements alone, that of particles the averages of it.

D. Pfau, J. S. Spencer, A. G. D. G. Matthews and W. M. C. Foulkes, Phys. Rev. Research 2, 033429
(2020); periodic: G. Cassella et al., Phys. Rev. Lett. 130, 036401 (2023).
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from engine.config import AnsatzConfig
from engine.system.system import System
from engine.types import NOTHING, Alone, Wavefunction
from engine.wavefunction import features
from engine.wavefunction.layers import Dense, means_of_species, residual
from engine.wavefunction.network import network


class PairStream(nn.Module):
    """Features of a pair of particles through the layers, h_ij <- h_ij + tanh(W h_ij + b).

    Attributes:
        layers: Number of layers of the network.
        width: Features per pair.
        smooth: Whether pair features leave the cusp to a Jastrow factor.
        dtype: Of the parameters.
    """

    layers: int
    width: int
    smooth: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, displacement: Array, itself: Array, system: System) -> list[Array]:
        """Returns the (..., f) features every layer reads, of displacements (..., 3) in bohr."""
        h = features.pair(
            displacement, itself, system.cell, smooth=self.smooth, unit=system.spacing
        )
        found = [h]
        for layer in range(self.layers - 1):
            h = residual(h, jnp.tanh(Dense(self.width, self.dtype, name=f"pair_{layer}")(h)))
            found.append(h)
        return found


class FermiNet(nn.Module):
    """Equivariant features of each particle among all others.

    A layer is h_i <- h_i + tanh(W [h_i, mean_j h_ij] + V [mean_j h_j] + b), means taken per
    species. The term V is computed once for all i.

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

    def setup(self):
        self.stream = PairStream(self.layers, self.pair_width, self.smooth_pairs, self.dtype)
        one = [Dense(self.width, self.dtype) for _ in range(self.layers)]
        mean = [Dense(self.width, self.dtype, bias=False) for _ in range(self.layers)]
        self.one, self.mean = one, mean

    def pairs(self, displacement: Array, itself: Array, system: System) -> Array:
        """Returns the (..., F) features of pairs for all layers, side by side."""
        return jnp.concatenate(self.stream(displacement, itself, system), axis=-1)

    def alone(self, r: Array, species: int, system: System) -> Alone:
        """Returns what the first layer makes of a particle at r (3,) alone: W h_i and V h_j.

        That is nothing where there are no nuclei.
        """
        if not features.centres(system).shape[0]:
            return NOTHING
        x = features.one_body(r[None], system, anchored=False, species=species)[0]
        weights = self.variables["params"]
        own = x @ weights["one_0"]["kernel"][: len(x)]
        own = jnp.concatenate([own, x]) if len(x) == self.width else own  # for the residual
        if system.n_particles == 1:
            return Alone(own)
        mean = weights["mean_0"]["kernel"].reshape(-1, len(x), self.width)[species]
        return Alone(own, summed=x @ mean / system.counts[species])

    def __call__(
        self, walker: Array, near: Array | None, system: System, alone: Alone = NOTHING
    ) -> Array:
        """Maps a walker (n, 3) and the means of pair features (n, S, F) to (n, width).

        With what `alone` gives of all particles these features are not made again.
        """
        layers = list(zip(self.one, self.mean, self._layers(near), strict=True))
        if alone.features is None:
            h = features.one_body(walker, system, anchored=False)
        else:
            h = self._first(alone, layers.pop(0)[2])
        for one, mean, read in layers:
            if near is None:
                h = residual(h, jnp.tanh(one(h)))
            else:
                local = one(jnp.concatenate([h, read.reshape(h.shape[0], -1)], axis=-1))
                h = residual(h, jnp.tanh(local + mean(means_of_species(h, system).ravel())))
        return h

    def _first(self, alone: Alone, read: Array | None) -> Array:
        weights = self.variables["params"]["one_0"]
        local = alone.features[:, : self.width] + weights["bias"]
        if read is not None:
            read = read.reshape(len(read), -1)
            local = local + read @ weights["kernel"][-read.shape[1] :] + alone.summed
        return residual(alone.features[:, self.width :], jnp.tanh(local))

    def _layers(self, near: Array | None) -> list[Array | None]:
        if near is None:
            return [None] * self.layers
        first = near.shape[-1] - (self.layers - 1) * self.pair_width
        ends = [first + k * self.pair_width for k in range(self.layers - 1)]
        return jnp.split(near, ends, axis=-1)


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
    del reference, reference_orbitals
    backbone = FermiNet(config.layers, config.width, config.pair_width, config.jastrow, dtype)
    return network(backbone, config, system, complex_orbitals=complex_orbitals, dtype=dtype)

"""The decay of orbitals away from the nuclei.

Each nucleus A carries a few exponentials exp(-sigma_Am d_iA); an orbital's envelope is a linear
combination of them (N. Gao and S. Guennemann, Neural Pfaffians, NeurIPS 2024, for the shared
exponents; exponentials in the tri distance: X. Li, Z. Li and J. Chen, Nat. Commun. 13, 7895
(2022)). Sharing exponents among orbitals and determinants makes the number of exponentials
independent of both.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from engine.system.system import System
from engine.wavefunction.features import centre_distances, centres

EXPONENTS = 4
"""Exponentials per nucleus."""
WIDEST = 0.7
"""Initial smallest exponent, 1/bohr."""
SELF_BOUND = 0.4
"""Positronium is larger than an atom: its exponents start at this share of those."""


def initial_exponents(charges: Array, dtype) -> Array:
    """Returns (A, EXPONENTS) exponents from the valence to the 1s of charge Z, 1/bohr."""
    core = jnp.maximum(charges.astype(dtype), 2.0)[:, None]
    return WIDEST * (core / WIDEST) ** jnp.linspace(0.0, 1.0, EXPONENTS, dtype=dtype)


class Decay(nn.Module):
    """The exponentials of all nuclei at each particle.

    Attributes:
        dtype: Of the parameters.
    """

    dtype: jnp.dtype

    @nn.compact
    def __call__(self, walker: Array, system: System) -> tuple[Array, Array]:
        """Returns (n, A * EXPONENTS) values and the (n,) logarithm they are to be multiplied by.

        The logarithm keeps the largest value of a particle at one, however far away it is. It
        is a constant to differentiation: it cancels between the two results.
        """
        shape = (centres(system).shape[0], EXPONENTS)
        charges = system.charges if system.charges.shape[0] else jnp.ones(1)
        scale = SELF_BOUND if system.self_bound else 1.0
        sigma = self.param("sigma", lambda _: scale * initial_exponents(charges, self.dtype))
        _, distance = centre_distances(walker, system)
        exponent = -jnp.abs(jnp.broadcast_to(distance[..., None], (len(walker), *shape)) * sigma)
        exponent = exponent.reshape(len(walker), -1)
        largest = jax.lax.stop_gradient(exponent.max(axis=-1))
        return jnp.exp(exponent - largest[:, None]), largest

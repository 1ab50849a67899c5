"""Between coefficients of blocks and features: how matrices enter the network and leave it."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from engine.learned.irreps import Irreps
from engine.learned.layers import Perceptron
from engine.learned.orbitals import OrbitalBasis


class Entry(nn.Module):
    """Features from block coefficients: per irrep a linear map of its paths.

    Attributes:
        basis: Orbitals of the elements.
        irreps: Of the features.
        channels: Of the features.
    """

    basis: OrbitalBasis
    irreps: Irreps
    channels: int

    @nn.compact
    def __call__(self, coefficients: Array) -> Array:
        """Returns (..., components, channels) from (..., coefficients)."""
        lead, start, made = coefficients.shape[:-1], 0, {}
        for (l, s), count in self.basis.paths().items():
            width = count * (2 * l + 1)
            piece = coefficients[..., start : start + width].reshape(*lead, count, 2 * l + 1)
            dense = nn.Dense(self.channels, use_bias=False, name=f"l{l}s{s}")
            made[l, s] = dense(jnp.swapaxes(piece, -1, -2))
            start += width
        pieces = [
            made.get((l, s), jnp.zeros((*lead, 2 * l + 1, self.channels), coefficients.dtype))
            for l, s in self.irreps.members
        ]
        return jnp.concatenate(pieces, axis=-2)


class Assembly(nn.Module):
    """Block coefficients from features: per path a mixture of channels.

    The weights of the mixture, and a constant for scalars, are functions of invariants.

    Attributes:
        basis: Orbitals of the elements.
        irreps: Of the features.
        channels: Of the features.
        hidden: Width of the network that makes the weights.
    """

    basis: OrbitalBasis
    irreps: Irreps
    channels: int
    hidden: int

    @nn.compact
    def __call__(self, features: Array, invariants: Array) -> Array:
        """Returns (n, coefficients) from features (n, components, channels)."""
        paths, n = self.basis.paths(), len(features)
        total = sum(paths.values())
        made = Perceptron((self.hidden, total * self.channels + paths[0, 0]), name="weights")(
            invariants
        )
        weights = made[:, : total * self.channels].reshape(n, total, self.channels)
        weights, constant = weights / self.channels**0.5, made[:, total * self.channels :]
        out, start, places = [], 0, self.irreps.slices()
        for irrep, count in paths.items():
            chosen = weights[:, start : start + count]
            piece = jnp.einsum("npw,nmw->npm", chosen, features[:, places[irrep]])
            if irrep == (0, 0):
                piece = piece + constant[..., None]
            out.append(piece.reshape(n, -1))
            start += count
        return jnp.concatenate(out, axis=-1)

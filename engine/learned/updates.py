"""Updates of atoms and pairs: by themselves, and of a pair by the features of its atoms."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.learned.graph import Graph
from engine.learned.irreps import Irreps
from engine.learned.layers import Linear, Perceptron, Product, Weights, gated


def low(irreps: Irreps, small: Irreps) -> np.ndarray:
    """Returns (size,) True for components whose irrep is also in `small`."""
    return np.isin(irreps.owner(), [irreps.members.index(i) for i in small.members])


class OwnUpdate(nn.Module):
    """A gated linear map of features and a product of them with themselves, mixed.

    Attributes:
        irreps: Of the features.
        small: Irreps of the factors of the product.
        channels: Of the features.
        hidden: Width of the network that makes the gates.
    """

    irreps: Irreps
    small: Irreps
    channels: int
    hidden: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        count = len(self.irreps.members)
        gates = Perceptron((self.hidden, count * self.channels), name="gates")(x[..., 0, :])
        linear = Linear(self.irreps, self.channels, name="in")(x)
        y = gated(linear, gates, self.irreps.owner(), 0)
        inner = x[..., low(self.irreps, self.small), :]
        left, right = (Linear(self.small, self.channels, name=side)(inner) for side in "ab")
        product = Product(self.small, self.small, self.irreps)(left, right)
        y = jnp.concatenate([y, product], axis=-1)
        return Linear(self.irreps, self.channels, name="out")(y)


class ContentUpdate(nn.Module):
    """Products of the features of both atoms of a pair, weighted by its invariants.

    Attributes:
        irreps: Of the features.
        small: Irreps of the factors of the product.
        channels: Of the features.
        hidden: Width of the networks that make the weights.
    """

    irreps: Irreps
    small: Irreps
    channels: int
    hidden: int

    @nn.compact
    def __call__(self, x: Array, graph: Graph, frames: Array, pair: Array, radial: Array) -> Array:
        """Returns (E, components, channels) in bond order; arguments as of `Message`."""
        ends = x[graph.rows, 0], x[graph.columns, 0]
        invariants = jnp.concatenate([radial, *ends], axis=-1)
        inner, owner = x[..., low(self.irreps, self.small), :], tuple(map(int, self.small.owner()))
        factors = []
        for side, index in (("row", graph.rows), ("column", graph.columns)):
            hidden = Perceptron((self.hidden, self.hidden), name=f"{side}_hidden")(invariants)
            weight = Weights(owner, self.channels, name=f"{side}_weight")(hidden)
            factors.append(Linear(self.small, self.channels, name=side)(inner)[index] * weight)
        y = frames @ Product(self.small, self.small, self.irreps)(*factors)
        bond = self.irreps.bond_order().matrix.astype(y.dtype)
        y = bond.T @ jnp.concatenate([y, pair], axis=-1)
        return bond @ Linear(self.irreps, self.channels, name="out")(y)

"""Messages between the atoms of a pair, in the frame of their bond."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from engine.learned.graph import Graph
from engine.learned.harmonics import harmonics
from engine.learned.irreps import Irreps
from engine.learned.layers import FrameConvolution, Linear, Product, Weights, gated
from engine.learned.rotation import bond_frame


def make_frames(irreps: Irreps, directions: Array) -> Array:
    """Returns (E, size, size) maps of features into the frames of bonds, in bond order."""
    order = jnp.asarray(irreps.bond_order().matrix, directions.dtype)
    return order @ irreps.matrix(bond_frame(directions))


class Message(nn.Module):
    """What a pair makes of the features of its atoms and its own.

    Attributes:
        irreps: Of the features.
        channels: Of the atoms and of the message.
        convolution: "so2", or "tensor" for full products with the harmonics of the bond.
    """

    irreps: Irreps
    channels: int
    convolution: str

    @nn.compact
    def __call__(self, x: Array, graph: Graph, frames: Array, pair: Array, radial: Array) -> Array:
        """Returns (E, components, channels) in bond order.

        Args:
            x: (A, components, channels) atoms.
            graph: Their pairs.
            frames: (E, components, components) from `make_frames`.
            pair: (E, components, input channels) in bond order.
            radial: (E, hidden) invariants of the pairs.
        """
        both = jnp.concatenate([x[graph.rows], x[graph.columns]], axis=-1)
        z = jnp.concatenate([frames @ both, pair], axis=-1)
        owner = self.irreps.bond_order().owner()
        z = z * Weights(tuple(int(i) for i in owner), z.shape[-1], name="weight")(radial)
        extra = len(self.irreps.members) * self.channels
        y, gates = self._convolved(z, extra, frames, "first")
        y = gated(y, gates, owner, 0)
        return self._convolved(y, 0, frames, "second")[0]

    def _convolved(self, z: Array, extra: int, frames: Array, name: str) -> tuple[Array, Array]:
        if self.convolution == "so2":
            return FrameConvolution(self.irreps, self.channels, extra, name=name)(z)
        return self._tensor(z, extra, frames, name)

    def _tensor(self, z: Array, extra: int, frames: Array, name: str) -> tuple[Array, Array]:
        """The same from full tensor products in the laboratory: dense, to compare with."""
        natural = Irreps(tuple(i for i in self.irreps.members if not i[1]))
        axis = jnp.array([0.0, 0.0, 1.0], z.dtype)
        bond = jnp.zeros(self.irreps.size, z.dtype)
        for l, s in natural.members:
            bond = bond.at[self.irreps.slices()[l, s]].set(harmonics(l, axis))
        back = jnp.swapaxes(frames, -1, -2)
        order = jnp.asarray(self.irreps.bond_order().matrix, z.dtype)
        bond = (back @ (order @ bond))[:, : natural.size, None]
        y = Product(self.irreps, natural, self.irreps)(
            back @ z, jnp.broadcast_to(bond, (len(z), natural.size, z.shape[-1]))
        )
        y = Linear(self.irreps, self.channels, name=name)(y)
        gates = nn.Dense(extra, name=f"{name}_gates")(y[..., 0, :]) if extra else z[..., 0, :0]
        return frames @ y, gates

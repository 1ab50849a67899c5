"""The network: atoms and pairs of a molecule, matrices in and matrices out.

Atoms exchange messages in the frames of their bonds, pairs are updated twice (by distance and
frame, then by products of their atoms' features), and a readout assembles the coefficients of
every block. After S. Kim et al., arXiv:2602.16897; H. Yu et al., arXiv:2306.04922.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config.learned import LearnedModelConfig
from engine.learned.graph import Blocks, Graph, symmetrised
from engine.learned.irreps import Irreps
from engine.learned.layers import (
    Linear,
    Norm,
    Perceptron,
    Product,
    Weights,
    envelope,
    gated,
    radial_basis,
)
from engine.learned.messages import Message, make_frames
from engine.learned.orbitals import OrbitalBasis

TIME_FREQUENCIES = 8


class HamiltonianNetwork(nn.Module):
    """Predicts blocks from a geometry and given blocks, all in scaled coefficients.

    Equivariant under rotations, reflections, translations and permutations of atoms.

    Attributes:
        basis: Orbitals of the elements.
        options: The section `model`.
    """

    basis: OrbitalBasis
    options: LearnedModelConfig

    @nn.compact
    def __call__(self, graph: Graph, inputs: Sequence[Blocks], time: Array) -> Blocks:
        """Returns the blocks of a symmetric matrix.

        Args:
            graph: One molecule.
            inputs: Blocks the network knows: the initial guess, the noisy draft of a flow.
            time: Scalar in [0, 1], the time of a flow.
        """
        o, irreps = self.options, self.features
        dtype = time.dtype
        distance = jnp.linalg.norm(graph.vectors, axis=-1)
        frames = make_frames(irreps, graph.vectors / distance[:, None]).astype(dtype)
        distance = distance.astype(dtype)
        species = nn.Embed(len(self.basis.shells), o.hidden, name="species")(graph.species)
        clock = nn.Dense(o.hidden, name="time")(_fourier(time))
        known = [
            (self._entered(b.atoms, f"atom_input{i}"), self._entered(b.pairs, f"pair_input{i}"))
            for i, b in enumerate(inputs)
        ]
        start = nn.Dense(o.channels, name="start")(species.astype(dtype) + clock)
        x = jnp.zeros((len(graph.species), irreps.size, o.channels), dtype).at[:, 0].set(start)
        pair = jnp.zeros((len(graph.rows), irreps.size, o.input_channels), dtype)
        for i, (atoms, pairs) in enumerate(known):
            x = x + Linear(irreps, o.channels, name=f"atom_mix{i}")(atoms)
            pair = pair + pairs
        pair = frames @ pair
        radial = Perceptron((o.hidden, o.hidden), name="radial")(
            jnp.concatenate(
                [
                    radial_basis(distance, o.radial),
                    nn.Dense(o.radial, name="row")(species[graph.rows]).astype(dtype),
                    nn.Dense(o.radial, name="column")(species[graph.columns]).astype(dtype),
                ],
                axis=-1,
            )
        )
        radial = jax.nn.silu(radial)
        reach = envelope(distance, o.cutoff_bohr)
        for layer in range(o.layers):
            x = self._layer(layer, graph, frames, x, pair, radial, reach)
        p = self._pairs(graph, frames, x, pair, radial)
        return self._readout(graph, frames, x, p, species.astype(dtype))

    @property
    def features(self) -> Irreps:
        """Irreps of the features: those of the blocks, at least up to l = 2."""
        return Irreps.up_to(max(self.basis.irreps.degree, 2))

    @property
    def _small(self) -> Irreps:
        return Irreps.up_to(min(self.options.product_degree, self.features.degree))

    def _entered(self, coefficients: Array, name: str) -> Array:
        """Returns features (..., components, input_channels) of block coefficients."""
        out, start = {}, 0
        for irrep, count in self.basis.paths().items():
            width = 2 * irrep[0] + 1
            piece = coefficients[..., start : start + count * width]
            piece = jnp.swapaxes(piece.reshape(*piece.shape[:-1], count, width), -1, -2)
            dense = nn.Dense(
                self.options.input_channels, use_bias=False, name=f"{name}_l{irrep[0]}s{irrep[1]}"
            )
            out[irrep], start = dense(piece), start + count * width
        shape = (*coefficients.shape[:-1], self.options.input_channels)
        return jnp.concatenate(
            [
                out[i]
                if i in out
                else jnp.zeros((*shape[:-1], 2 * i[0] + 1, shape[-1]), coefficients.dtype)
                for i in self.features.members
            ],
            axis=-2,
        )

    def _norm(self, name: str, order: np.ndarray | None = None) -> Norm:
        owner = self.features.owner() if order is None else order
        return Norm(self.features, tuple(int(i) for i in owner), name=name)

    def _layer(self, number, graph, frames, x, pair, radial, reach) -> Array:
        """Returns the atoms after messages from all others and an update of their own."""
        o, irreps, name = self.options, self.features, f"layer{number}"
        message = Message(irreps, o.channels, o.convolution, name=f"{name}_message")
        y = message(self._norm(f"{name}_norm")(x), graph, frames, pair, radial)
        y = jnp.swapaxes(frames, -1, -2) @ (y * reach[:, None, None])
        gathered = jax.ops.segment_sum(y, graph.rows, len(graph.species))
        x = x + gathered / np.sqrt(4.0)
        return x + self._own(self._norm(f"{name}_own_norm")(x), f"{name}_own")

    def _own(self, x: Array, name: str) -> Array:
        """Returns an update of features by themselves: a gated linear map and a product."""
        o, irreps, small = self.options, self.features, self._small
        count = len(irreps.members)
        gates = Perceptron((o.hidden, count * o.channels), name=f"{name}_gates")(x[..., 0, :])
        y = gated(Linear(irreps, o.channels, name=f"{name}_in")(x), gates, irreps.owner(), 0)
        low = np.isin(irreps.owner(), [irreps.members.index(i) for i in small.members])
        factors = [
            Linear(small, o.channels, name=f"{name}_{side}")(x[..., low, :]) for side in "ab"
        ]
        y = jnp.concatenate([y, Product(small, small, irreps)(*factors)], axis=-1)
        return Linear(irreps, o.channels, name=f"{name}_out")(y)

    def _pairs(self, graph, frames, x, pair, radial) -> Array:
        """Returns (E, components, channels) features of pairs in bond order: two stages."""
        o, irreps = self.options, self.features
        order = irreps.bond_order()
        x = self._norm("pair_norm")(x)
        stages = []
        if o.pair_update in ("both", "geometry"):
            inner = x[graph.rows, 0] * x[graph.columns, 0]
            weight = radial * Perceptron((o.hidden, o.hidden), name="pair_inner")(inner)
            message = Message(irreps, o.channels, o.convolution, name="pair_message")
            stages.append(message(x, graph, frames, pair, weight))
        if o.pair_update in ("both", "content"):
            stages.append(self._content(graph, frames, x, pair, radial))
        p = self._norm("pair_fused", order.owner())(sum(stages))
        p = order.matrix.T.astype(p.dtype) @ p
        p = p + self._own(p, "pair_own")
        return order.matrix.astype(p.dtype) @ p

    def _content(self, graph, frames, x, pair, radial) -> Array:
        """Returns products of the features of both atoms, weighted by their invariants."""
        o, irreps, small = self.options, self.features, self._small
        low = np.isin(irreps.owner(), [irreps.members.index(i) for i in small.members])
        factors = []
        for side, index in (("row", graph.rows), ("column", graph.columns)):
            y = Linear(small, o.channels, name=f"content_{side}")(x[..., low, :])[index]
            inner = jnp.concatenate([radial, x[graph.rows, 0], x[graph.columns, 0]], axis=-1)
            owner = tuple(int(i) for i in small.owner())
            weight = Weights(owner, o.channels, name=f"content_{side}_weight")(
                Perceptron((o.hidden, o.hidden), name=f"content_{side}_mlp")(inner)
            )
            factors.append(y * weight)
        y = frames @ Product(small, small, irreps)(*factors)
        y = jnp.concatenate([y, pair], axis=-1)
        bond = irreps.bond_order().matrix.astype(y.dtype)
        return bond @ Linear(irreps, o.channels, name="content_out")(bond.T @ y)

    def _readout(self, graph, frames, x, p, species) -> Blocks:
        """Returns the coefficients of all blocks, symmetrised."""
        o, irreps = self.options, self.features
        x = self._norm("read_norm")(x)
        f_atom = Linear(irreps, o.output_channels, name="read_atom")(x + self._own(x, "read_own"))
        p = jnp.swapaxes(frames, -1, -2) @ p
        f_pair = Linear(irreps, o.output_channels, name="read_pair")(p)
        s_atom = jnp.concatenate([x[:, 0], species], axis=-1)
        s_pair = jnp.concatenate(
            [
                p[:, 0],
                x[graph.rows, 0],
                x[graph.columns, 0],
                species[graph.rows],
                species[graph.columns],
            ],
            axis=-1,
        )
        blocks = Blocks(
            self._assembled(f_atom, s_atom, "atoms"), self._assembled(f_pair, s_pair, "pairs")
        )
        return symmetrised(self.basis, graph, blocks)

    def _assembled(self, features: Array, invariants: Array, name: str) -> Array:
        """Returns coefficients: per path a mixture of channels whose weights are invariants."""
        o, paths = self.options, self.basis.paths()
        total, width = sum(paths.values()), o.output_channels
        hidden = Perceptron((o.hidden, total * width + paths[0, 0]), name=f"assemble_{name}")(
            invariants
        )
        weights = hidden[..., : total * width].reshape(-1, total, width) / np.sqrt(width)
        bias, slices = hidden[..., total * width :], self.features.slices()
        out, start = [], 0
        for irrep, count in paths.items():
            piece = jnp.einsum(
                "npw,nmw->npm", weights[:, start : start + count], features[:, slices[irrep]]
            )
            if irrep == (0, 0):
                piece = piece + bias[..., None]
            out.append(piece.reshape(len(features), -1))
            start += count
        return jnp.concatenate(out, axis=-1)


def _fourier(time: Array) -> Array:
    """Returns sines and cosines of a time in [0, 1]."""
    angle = time * jnp.pi * jnp.arange(1, TIME_FREQUENCIES + 1, dtype=time.dtype)
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)])

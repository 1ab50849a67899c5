"""The network: atoms and pairs of a molecule, matrices in and matrices out.

Atoms exchange messages in the frames of their bonds, pairs are updated twice (by distance and
frame, then by products of their atoms' features), and a readout assembles the coefficients of
every block. After S. Kim et al., arXiv:2602.16897; H. Yu et al., arXiv:2306.04922.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.config.learned import LearnedModelConfig
from engine.learned.assembly import Assembly, Entry
from engine.learned.graph import Blocks, Graph, symmetrised
from engine.learned.irreps import Irreps
from engine.learned.layers import Linear, Norm, Perceptron, envelope, radial_basis
from engine.learned.messages import Message, make_frames
from engine.learned.orbitals import OrbitalBasis
from engine.learned.updates import ContentUpdate, OwnUpdate

TIME_FREQUENCIES = 8
NEIGHBOURS = 4.0
"""Messages are divided by the root of this number."""


class Pairs(NamedTuple):
    """What layers know of the pairs of a molecule.

    Attributes:
        graph: Which atoms.
        frames: (E, components, components) maps of features into the frames of bonds.
        features: (E, components, channels) of the input matrices, in bond order.
        radial: (E, hidden) invariants of distance and elements.
    """

    graph: Graph
    frames: Array
    features: Array
    radial: Array


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
            time: Scalar in [0, 1], the time of a flow; its type is the network's.
        """
        length = jnp.linalg.norm(graph.vectors, axis=-1)
        frames = make_frames(self.features, graph.vectors / length[:, None]).astype(time.dtype)
        distance = length.astype(time.dtype)
        species = nn.Embed(len(self.basis.shells), self.options.hidden, name="species")
        species = species(graph.species).astype(time.dtype)
        x = self._atoms(species, inputs, time)
        entered = sum(self._entry(f"pair_input{i}")(b.pairs) for i, b in enumerate(inputs))
        shape = (len(distance), self.features.size, self.options.input_channels)
        known = frames @ jnp.broadcast_to(jnp.asarray(entered, time.dtype), shape)
        pairs = Pairs(graph, frames, known, self._radial(graph, distance, species))
        reach = envelope(distance, self.options.cutoff_bohr)
        for number in range(self.options.layers):
            x = self._layer(f"layer{number}", x, pairs, reach)
        return self._readout(x, self._pairs(x, pairs), pairs, species)

    @property
    def features(self) -> Irreps:
        """Irreps of the features: those of the blocks, at least up to l = 2."""
        return Irreps.up_to(max(self.basis.irreps.degree, 2))

    def _entry(self, name: str) -> Entry:
        return Entry(self.basis, self.features, self.options.input_channels, name=name)

    def _norm(self, name: str, owner: np.ndarray | None = None) -> Norm:
        owner = self.features.owner() if owner is None else owner
        return Norm(self.features, tuple(int(i) for i in owner), name=name)

    def _update(self, kind: type, name: str) -> OwnUpdate | ContentUpdate:
        o = self.options
        small = Irreps.up_to(min(o.product_degree, self.features.degree))
        return kind(self.features, small, o.channels, o.hidden, name=name)

    def _message(self, name: str, x: Array, pairs: Pairs, radial: Array) -> Array:
        made = Message(self.features, self.options.channels, self.options.convolution, name=name)
        return made(x, pairs.graph, pairs.frames, pairs.features, radial)

    def _atoms(self, species: Array, inputs: Sequence[Blocks], time: Array) -> Array:
        """Returns first features of the atoms: element, time, and their diagonal blocks."""
        o = self.options
        clock = nn.Dense(o.hidden, name="time")(_fourier(time))
        start = nn.Dense(o.channels, name="start")(species + clock)
        x = jnp.zeros((len(species), self.features.size, o.channels), time.dtype)
        x = x.at[:, 0].set(start)
        for i, blocks in enumerate(inputs):
            entered = self._entry(f"atom_input{i}")(blocks.atoms)
            x = x + Linear(self.features, o.channels, name=f"atom_mix{i}")(entered)
        return x

    def _radial(self, graph: Graph, distance: Array, species: Array) -> Array:
        o = self.options
        elements = [
            nn.Dense(o.radial, name=side)(species[index])
            for side, index in (("row", graph.rows), ("column", graph.columns))
        ]
        known = jnp.concatenate([radial_basis(distance, o.radial), *elements], axis=-1)
        return jax.nn.silu(Perceptron((o.hidden, o.hidden), name="radial")(known))

    def _layer(self, name: str, x: Array, pairs: Pairs, reach: Array) -> Array:
        """Returns the atoms after messages from all others and an update of their own."""
        y = self._message(f"{name}_message", self._norm(f"{name}_norm")(x), pairs, pairs.radial)
        y = jnp.swapaxes(pairs.frames, -1, -2) @ (y * reach[:, None, None])
        x = x + jax.ops.segment_sum(y, pairs.graph.rows, len(x)) / NEIGHBOURS**0.5
        return x + self._update(OwnUpdate, f"{name}_own")(self._norm(f"{name}_own_norm")(x))

    def _pairs(self, x: Array, pairs: Pairs) -> Array:
        """Returns (E, components, channels) features of pairs, not in the frame: two stages."""
        o, stages, order = self.options, [], self.features.bond_order()
        x = self._norm("pair_norm")(x)
        if o.pair_update in ("both", "geometry"):
            inner = x[pairs.graph.rows, 0] * x[pairs.graph.columns, 0]
            weight = Perceptron((o.hidden, o.hidden), name="pair_inner")(inner)
            stages.append(self._message("pair_message", x, pairs, pairs.radial * weight))
        if o.pair_update in ("both", "content"):
            content = self._update(ContentUpdate, "pair_content")
            stages.append(content(x, pairs.graph, pairs.frames, pairs.features, pairs.radial))
        p = self._norm("pair_fused", order.owner())(sum(stages))
        p = jnp.swapaxes(pairs.frames, -1, -2) @ p
        return p + self._update(OwnUpdate, "pair_own")(p)

    def _readout(self, x: Array, p: Array, pairs: Pairs, species: Array) -> Blocks:
        """Returns the coefficients of all blocks, symmetrised."""
        o, irreps, graph = self.options, self.features, pairs.graph
        x = self._norm("read_norm")(x)
        atoms = Linear(irreps, o.output_channels, name="read_atom")(
            x + self._update(OwnUpdate, "read_own")(x)
        )
        own = jnp.concatenate([x[:, 0], species], axis=-1)
        both = jnp.concatenate([p[:, 0], own[graph.rows], own[graph.columns]], axis=-1)
        read = Linear(irreps, o.output_channels, name="read_pair")(p)
        make = {"basis": self.basis, "irreps": irreps, "channels": o.output_channels}
        blocks = Blocks(
            Assembly(**make, hidden=o.hidden, name="assemble_atoms")(atoms, own),
            Assembly(**make, hidden=o.hidden, name="assemble_pairs")(read, both),
        )
        return symmetrised(self.basis, graph, blocks)


def _fourier(time: Array) -> Array:
    """Returns sines and cosines of a time in [0, 1]."""
    angle = time * jnp.pi * jnp.arange(1, TIME_FREQUENCIES + 1, dtype=time.dtype)
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)])

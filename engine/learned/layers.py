"""Equivariant layers on features (..., components, channels).

The convolution in the frame of a bond follows S. Passaro and C. L. Zitnick (ICML 2023, "Reducing
SO(3) convolutions to SO(2)"); pseudotensors and mirrors are treated as in `irreps.BondOrder`.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.learned.irreps import Irreps, product_table


class Linear(nn.Module):
    """Mixes the channels of each irrep; a bias for scalars.

    Attributes:
        irreps: Of the components.
        channels: After it.
    """

    irreps: Irreps
    channels: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        count, width = len(self.irreps.members), x.shape[-1]
        init = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", batch_axis=(0,))
        kernel = self.param("kernel", init, (count, width, self.channels), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)
        # One product with a matrix per component: few large operations compile faster than many.
        y = jnp.einsum("...kc,kcd->...kd", x, kernel[self.irreps.owner()].astype(x.dtype))
        scalar = (self.irreps.owner() == self.irreps.members.index((0, 0))).astype(np.float32)
        return y + jnp.asarray(scalar, x.dtype)[:, None] * bias.astype(x.dtype)


class Norm(nn.Module):
    """Divides scalars and all other components by their root mean square; a scale per irrep.

    Attributes:
        irreps: Of the components.
        owner: Number of the irrep of each component.
    """

    irreps: Irreps
    owner: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scalar = np.array([self.irreps.members[i] == (0, 0) for i in self.owner])
        weight = np.array([1.0 / (2 * self.irreps.members[i][0] + 1) for i in self.owner])
        weight = np.where(scalar, 0.0, weight) / max(len(self.irreps.members) - 1, 1)
        x0 = x[..., scalar, :]
        centred = x0 - x0.mean(axis=-1, keepdims=True)
        rms0 = jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-6)
        square = jnp.sum(x * x * jnp.asarray(weight, x.dtype)[:, None], axis=-2, keepdims=True)
        rms = jnp.sqrt(jnp.mean(square, axis=-1, keepdims=True) + 1e-6)
        scale = self.param(
            "scale", nn.initializers.ones, (len(self.irreps.members), x.shape[-1]), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        normed = jnp.where(
            jnp.asarray(scalar)[:, None], (x - x0.mean(-1, keepdims=True)) / rms0, x / rms
        )
        shift = jnp.where(jnp.asarray(scalar)[:, None], bias, 0.0)
        return normed * scale[np.array(self.owner)] + shift


def gated(x: Array, gates: Array, owner: np.ndarray, scalar: int) -> Array:
    """Returns SiLU of the scalars, and each other irrep times the sigmoid of its gate.

    Args:
        x: (..., components, channels).
        gates: (..., irreps * channels) invariants.
        owner: Number of the irrep of each component.
        scalar: Number of the scalar irrep.
    """
    gates = gates.reshape(*gates.shape[:-1], -1, x.shape[-1])
    factor = jax.nn.sigmoid(gates)[..., owner, :]
    return jnp.where((owner == scalar)[:, None], jax.nn.silu(x), x * factor)


class FrameConvolution(nn.Module):
    """A linear map of pair features in the frame of the bond that commutes with its symmetry.

    Attributes:
        irreps: Of the components, which are in bond order.
        channels: After it.
        extra: Further invariants to return.
    """

    irreps: Irreps
    channels: int
    extra: int = 0

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        out, start, extra = [], 0, x[..., 0, :0]
        for number, (members, rows) in enumerate(self.irreps.bond_order().groups):
            n, first = len(members), number == 0
            piece = x[..., start : start + rows * n, :]
            piece = piece.reshape(*x.shape[:-2], rows, n * x.shape[-1])
            width = n * self.channels + (self.extra if first else 0)
            mixed = nn.Dense(width, use_bias=first, name=f"group{number}")(piece)
            if first:
                mixed, extra = mixed[..., : n * self.channels], mixed[..., 0, n * self.channels :]
            out.append(mixed.reshape(*x.shape[:-2], rows * n, self.channels))
            start += rows * n
        return jnp.concatenate(out, axis=-2), extra


class Product(nn.Module):
    """Clebsch-Gordan products of two features, channel by channel, summed over all couplings.

    Attributes:
        left: Irreps of the first factor.
        right: Irreps of the second.
        out: Irreps of the result.
    """

    left: Irreps
    right: Irreps
    out: Irreps

    def __call__(self, x: Array, y: Array) -> Array:
        table = product_table(self.left, self.right, self.out)
        flat = jnp.asarray(table.reshape(len(table), -1), x.dtype)
        half = jnp.swapaxes(x, -1, -2) @ flat
        half = half.reshape(*half.shape[:-1], self.right.size, self.out.size)
        return jnp.einsum("...cbk,...bc->...kc", half, y)


class Weights(nn.Module):
    """One factor per irrep and channel from invariants, repeated over the components.

    Attributes:
        owner: Number of the irrep of each component.
        channels: Of the features.
    """

    owner: tuple[int, ...]
    channels: int

    @nn.compact
    def __call__(self, invariants: Array) -> Array:
        count = max(self.owner) + 1
        flat = nn.Dense(count * self.channels, name="dense")(invariants)
        return flat.reshape(*flat.shape[:-1], count, self.channels)[..., np.array(self.owner), :]


class Perceptron(nn.Module):
    """Dense layers with SiLU between them.

    Attributes:
        widths: Of all layers; the last one is linear.
    """

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for width in self.widths[:-1]:
            x = jax.nn.silu(nn.Dense(width)(x))
        return nn.Dense(self.widths[-1])(x)


def radial_basis(distance: Array, count: int) -> Array:
    """Returns (..., count) Gaussians in exp(-r / 3 bohr): fine at bonds, coarse far away."""
    centres = jnp.linspace(0.0, 1.0, count, dtype=distance.dtype)
    x = jnp.exp(-distance / 3.0)
    return jnp.exp(-0.5 * ((x[..., None] - centres) * (count - 1)) ** 2)


def envelope(distance: Array, cutoff: float) -> Array:
    """Returns 1 at zero, 0 from the cutoff on, twice differentiable; J. Gasteiger et al. (2020)."""
    x = jnp.minimum(distance / cutoff, 1.0)
    return 1 - 21 * x**5 + 35 * x**6 - 15 * x**7

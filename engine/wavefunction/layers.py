"""Pieces that backbones share. Every weight is used exactly once per evaluation.

KFAC recognises `x @ w + b` on arrays (f), (n, f) and (n, n, f); a weight that enters twice would
lose its Kronecker factors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.system import System
from engine.wavefunction.features import species_indicator


class Dense(nn.Module):
    """x W + b on the last axis.

    The bias is added by plain broadcasting: KFAC then puts it into the same block as W, which
    it does not for flax's own `Dense`.

    Attributes:
        features: Length of the result's last axis.
        dtype: Of the parameters.
        bias: Whether there is a b.
        kernel: Initialiser of W.
        offset: Initialiser of b.
    """

    features: int
    dtype: jnp.dtype
    bias: bool = True
    kernel: Callable = nn.initializers.lecun_normal()
    offset: Callable = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (..., f) to (..., features)."""
        y = x @ self.param("kernel", self.kernel, (x.shape[-1], self.features), self.dtype)
        if not self.bias:
            return y
        return y + self.param("bias", self.offset, (self.features,), self.dtype)


def residual(x: Array, update: Array) -> Array:
    """Returns `x + update` where the shapes agree, else `update`."""
    return x + update if x.shape == update.shape else update


def species_weights(system: System, dtype) -> Array:
    """Returns the (S, n) matrix that averages over the particles of each species."""
    indicator = species_indicator(system)
    return jnp.asarray((indicator / indicator.sum(0)).T, dtype)


def means_of_species(x: Array, system: System, axis: int = 0) -> Array:
    """Returns x (..., n, ...) averaged over the particles of each species, (..., S, ...)."""
    ends = np.cumsum(system.counts)[:-1]
    return jnp.stack([part.mean(axis) for part in jnp.split(x, ends, axis)], axis)


def softmax(logits: Array) -> Array:
    """Returns the normalised exponentials over the last axis, in elementary operations."""
    weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(axis=-1, keepdims=True)))
    return weights / weights.sum(axis=-1, keepdims=True)


class SelfAttention(nn.Module):
    """Multi-head self-attention without bias: every particle reads all particles.

    A. Vaswani et al., Advances in Neural Information Processing Systems 30 (2017).

    Attributes:
        width: Features per particle; a multiple of `heads`.
        heads: Number of heads.
        dtype: Of the parameters.
    """

    width: int
    heads: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps (n, width) to (n, width)."""
        linear = functools.partial(Dense, self.width, self.dtype, bias=False)
        value = linear(name="value")(x)
        if x.shape[0] > 1:
            value = self._mix(linear(name="query")(x), linear(name="key")(x), value)
        return linear(name="output")(value)

    def _mix(self, query: Array, key: Array, value: Array) -> Array:
        shape = (*value.shape[:-1], self.heads, self.width // self.heads)
        query, key, heads = (y.reshape(shape) for y in (query, key, value))
        weights = softmax(jnp.einsum("ihd,jhd->hij", query, key) / shape[-1] ** 0.5)
        return jnp.einsum("hij,jhd->ihd", weights, heads).reshape(value.shape)

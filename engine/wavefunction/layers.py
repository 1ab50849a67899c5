"""Pieces that backbones share. Every weight is used exactly once per evaluation.

KFAC recognises `x @ w + b` on arrays (f), (n, f) and (n, n, f); a weight that enters twice would
lose its Kronecker factors.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from engine.system.system import System
from engine.wavefunction.features import species_indicator


def dense(features: int, dtype, name: str, *, bias: bool = True, **kwargs) -> nn.Dense:
    """Returns an affine map on the last axis with parameters of the given dtype."""
    return nn.Dense(features, use_bias=bias, param_dtype=dtype, name=name, **kwargs)


def residual(x: Array, update: Array) -> Array:
    """Returns `x + update` where the shapes agree, else `update`."""
    return x + update if x.shape == update.shape else update


def species_means(system: System, dtype) -> Array:
    """Returns the (S, n) matrix that averages over the particles of each species."""
    indicator = species_indicator(system)
    return jnp.asarray((indicator / indicator.sum(0)).T, dtype)


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
        n, size = x.shape[0], self.width // self.heads
        linear = functools.partial(dense, self.width, self.dtype, bias=False)
        query, key, value = (linear(name=name)(x).reshape(n, self.heads, size)
                             for name in ("query", "key", "value"))
        weights = softmax(jnp.einsum("ihd,jhd->hij", query, key) / size**0.5)
        mixed = jnp.einsum("hij,jhd->ihd", weights, value)
        return linear(name="output")(mixed.reshape(n, self.width))

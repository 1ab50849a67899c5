"""The variational objective: clipped local energies as weights of the log-derivatives.

dE/dp = 2 <Re(E_L - E) d log|psi|/dp + Im(E_L) d arg/dp>, from dE = 2 Re <(E_L - E)* d log psi>
with log psi = log + i arg.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from engine.types import LogPsi, Params, Wavefunction


@jax.jit
def clipped_weights(real: Array, imag: Array, clip: float) -> tuple[Array, Array]:
    """Returns the centred weights (W,), (W,) of real and imaginary part.

    Values are clipped at `clip` mean absolute deviations about the median, then centred at
    the mean of the clipped values, so that the clipping does not bias the direction.
    """
    return tuple(_clip(x, clip) for x in (real, imag))


def _clip(x: Array, clip: float) -> Array:
    median = jnp.median(x)
    deviation = jnp.mean(jnp.abs(x - median))
    clipped = jnp.clip(x, median - clip * deviation, median + clip * deviation)
    return clipped - clipped.mean()


def make_value_and_grad(
    wavefunction: Wavefunction,
    register: Callable[[LogPsi], None] = lambda psi: None,
    spread: Callable[[Params, int], tuple[Params, Params]] | None = None,
):
    """Builds (params, key, batch) -> ((value, aux), gradient) of the variational energy.

    Args:
        wavefunction: The trial state.
        register: Called with the LogPsi of all walkers: how KFAC learns what its metric is of.
        spread: (params, W) -> params, some with a leading axis of walkers, and the axes to map.

    The batch is (walkers, weights_re, weights_im, system, reference). The value is a
    surrogate with the right gradient; it is not an energy.
    """

    def surrogate(params, batch):
        walkers, weights_re, weights_im, system, reference = batch
        params, axes = spread(params, len(walkers)) if spread else (params, None)
        apply = jax.vmap(wavefunction.apply, in_axes=(axes, 0, None, None))
        log_psi = apply(params, walkers, system, reference)
        register(log_psi)
        value = 2 * jnp.mean(weights_re * log_psi.log + weights_im * log_psi.arg)
        return value, {}

    def value_and_grad(params, key, batch):
        del key
        return jax.value_and_grad(surrogate, has_aux=True)(params, batch)

    return value_and_grad

"""KFAC: natural gradient with a Kronecker-factored metric, through kfac-jax.

Source: J. Martens and R. Grosse, ICML (2015); for quantum Monte Carlo D. Pfau et al.,
Phys. Rev. Research 2, 033429 (2020).
"""

from __future__ import annotations

import jax.numpy as jnp
import kfac_jax

from engine.config import OptimizerConfig
from engine.optimizer import kfac_repair
from engine.optimizer.objective import make_value_and_grad
from engine.types import Optimizer, Wavefunction

kfac_repair.apply()

MIN_DAMPING = 1e-5


def make_kfac(wavefunction: Wavefunction, options: OptimizerConfig) -> Optimizer:
    """Builds the optimizer; its `step` compiles itself and must not be wrapped in `jit`."""

    def rate(t):
        return _single(options.learning_rate / (1 + t / options.decay_steps))

    kfac = kfac_jax.Optimizer(
        make_value_and_grad(wavefunction, kfac_jax.register_normal_predictive_distribution),
        l2_reg=0.0,
        value_func_has_aux=True,
        value_func_has_rng=True,
        learning_rate_schedule=rate,
        curvature_ema=options.curvature_decay,
        inverse_update_period=options.inverse_period,
        min_damping=MIN_DAMPING,
        norm_constraint=options.norm_constraint,
        num_burnin_steps=0,
        estimation_mode="fisher_exact",
        batch_size_extractor=lambda batch: batch[0].shape[0],
        layer_tag_to_block_ctor=kfac_repair.BLOCKS,
    )
    damping, momentum = _single(options.damping), _single(0.0)

    def step(params, state, key, batch):
        params, state, info = kfac.step(
            params, state, key, batch=batch, damping=damping, momentum=momentum
        )
        return (
            params,
            state,
            {
                "gradient_norm": jnp.sqrt(info["scaled_grad_norm_sq"]),
                "learning_rate": info["learning_rate"],
            },
        )

    return Optimizer(kfac.init, step)


def _single(value):
    """Returns a float32 scalar, which promotes neither float32 nor float64 parameters."""
    return jnp.asarray(value, jnp.float32)

"""KFAC: natural gradient with a Kronecker-factored metric, through kfac-jax.

Source: J. Martens and R. Grosse, ICML (2015); for quantum Monte Carlo D. Pfau et al.,
Phys. Rev. Research 2, 033429 (2020).
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import kfac_jax
from jax import Array

from engine import compiling
from engine.config import OptimizerConfig
from engine.optimizer import kfac_repair
from engine.optimizer.objective import make_value_and_grad
from engine.types import Optimizer, Params, Wavefunction

kfac_repair.apply()

MIN_DAMPING = 1e-5
LAYERS = ("kernel", "bias", "sigma")
"""Names of the parameters that kfac-jax finds in layers by itself."""


def make_kfac(
    wavefunction: Wavefunction, options: OptimizerConfig, *, is_complex: bool
) -> Optimizer:
    """Builds the optimizer; its `step` compiles itself and must not be wrapped in `jit`.

    `step.lower`, as that of compiled functions, returns its program.
    """
    kfac = kfac_optimizer(wavefunction, options, is_complex=is_complex)
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

    step.lower = functools.partial(kfac.lower, damping=damping, momentum=momentum)
    return Optimizer(kfac.init, step)


def kfac_optimizer(
    wavefunction: Wavefunction, options: OptimizerConfig, *, is_complex: bool
) -> kfac_jax.Optimizer:
    """Returns kfac-jax's optimizer of the variational energy.

    Args:
        wavefunction: The trial state.
        options: The method's section.
        is_complex: Whether the derivatives of arg count; those of a real psi vanish, and a pass
            through the network with them.
    """

    def rate(t):
        return _single(options.learning_rate / (1 + t / options.decay_steps))

    def register(psi):
        parts = [psi.log, psi.arg] if is_complex else [psi.log]
        # kfac-jax makes its tangents in the default type
        outputs = jnp.stack(parts, axis=-1).astype(jnp.result_type(float))
        kfac_jax.register_normal_predictive_distribution(outputs)

    return kfac_repair.Optimizer(
        make_value_and_grad(wavefunction, register, per_walker),
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
        compiler_options=compiling.known(compiling.OPTIMIZER),
    )


def per_walker(params: Params, walkers: int) -> tuple[Params, Params]:
    """Gives every walker its own copy of the parameters that are not part of a layer.

    kfac-jax knows of the others only the sum of their derivatives over walkers; the square of the
    sum is not the sum of the squares, which the metric is made of. As scales of ones they get the
    exact diagonal.

    Returns:
        Parameters, some with a leading axis of walkers, and the axes to map over.
    """

    def split(path, leaf: Array):
        if path[-1].key in LAYERS:
            return leaf, None
        ones = jnp.ones((walkers, *leaf.shape), leaf.dtype)
        return kfac_jax.register_scale_and_shift(ones * leaf, ones, scale=leaf), 0

    leaves, structure = jax.tree_util.tree_flatten_with_path(params)
    copies, axes = zip(*[split(*leaf) for leaf in leaves], strict=True)
    return structure.unflatten(copies), structure.unflatten(axes)


def _single(value):
    """Returns a float32 scalar, which promotes neither float32 nor float64 parameters."""
    return jnp.asarray(value, jnp.float32)

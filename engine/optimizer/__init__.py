"""Optimizers by name."""

from __future__ import annotations

from engine.config import OptimizerConfig
from engine.optimizer.first_order import make_adam
from engine.optimizer.kfac import make_kfac
from engine.optimizer.natural import make_spring
from engine.types import Optimizer, Wavefunction

OPTIMIZERS = {"kfac": make_kfac, "adam": make_adam, "spring": make_spring}


def make_optimizer(
    wavefunction: Wavefunction, options: OptimizerConfig, *, is_complex: bool = True
) -> Optimizer:
    """Builds the optimizer `options.name`.

    Args:
        wavefunction: The trial state.
        options: The method's section.
        is_complex: Whether psi has a phase that varies.
    """
    return OPTIMIZERS[options.name](wavefunction, options, is_complex=is_complex)

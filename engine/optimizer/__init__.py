"""Optimizers by name."""

from __future__ import annotations

from engine.config import OptimizerConfig
from engine.optimizer.first_order import make_adam
from engine.optimizer.kfac import make_kfac
from engine.types import Optimizer, Wavefunction

OPTIMIZERS = {"kfac": make_kfac, "adam": make_adam}


def make_optimizer(wavefunction: Wavefunction, options: OptimizerConfig) -> Optimizer:
    """Builds the optimizer `options.name`."""
    return OPTIMIZERS[options.name](wavefunction, options)

"""Options of XLA for single programs on CPUs, where the installed XLA has them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

OPTIMIZER = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 2}
"""For steps of KFAC and SPRING: without the newer emitters of fused loops and below the highest
level, which take up to twice as long to compile here and run no faster."""
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
"""For what runs once: it compiles in half of the time."""


def known(options: dict[str, Any]) -> dict[str, Any]:
    """Returns those of the options that XLA knows; none for other devices than CPUs."""
    if jax.default_backend() != "cpu":
        return {}
    return {name: value for name, value in options.items() if _is_known(name, value)}


def jit(function: Callable, options: dict[str, Any]) -> Callable:
    """Returns jax.jit(function) with those of the options that XLA knows."""
    return jax.jit(function, compiler_options=known(options))


@functools.cache
def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
    except Exception:  # XLA has no error of its own for it
        return False
    return True

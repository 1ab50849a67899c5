"""Dipole moment of a molecule, nuclei included: <sum_i q_i r_i>, e bohr."""

from __future__ import annotations

import jax.numpy as jnp

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; of an ion the moment is about the origin."""
    del options, wavefunction

    def measure(params, walker, system, reference, key):
        particles = system.particle_charges @ walker.astype(jnp.float64)
        return {"moment": particles + system.charges @ system.positions}

    def describe(state, system):
        value, error = (f(state["moment"]) for f in (blocks.mean, blocks.error))
        return {"dipole": Observable(value, error, "e bohr", label=("x", "y", "z"))}

    return averaged(measure, {"moment": (3,)}, describe)

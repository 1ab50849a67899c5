"""Momentum distribution: occupation of plane waves, per species.

    n(k) = < sum_i psi(..., r_i + s, ...) / psi * exp(-i k.s) >,   k = G + twist,

with s uniform in the simulation cell, drawn anew for every walker. Its sum over all k is the
number of particles.
Source: W. L. McMillan, Phys. Rev. 138, A442 (1965).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.estimator.ratios import ratio
from engine.estimator.waves import vectors, wave_integers
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; it costs as many wavefunctions per walker as there are particles."""
    waves = wave_integers(system, options.wave_shells)
    owner = np.repeat(np.eye(len(system.counts)), system.counts, axis=0)

    def measure(params, walker, system, reference, key):
        frac = jax.random.uniform(key, (3,), walker.dtype)
        shift = frac @ system.cell.lattice.astype(walker.dtype)
        psi = lambda r: wavefunction.apply(params, r, system, reference)  # noqa: E731
        moved = walker + jnp.eye(len(walker), dtype=walker.dtype)[:, :, None] * shift
        quotient = jax.vmap(lambda r: ratio(psi, walker, r))(moved)
        phase = 2 * jnp.pi * (waves + system.twist) @ frac.astype(jnp.float64)
        value = jnp.einsum("is,i,g->sg", owner, quotient, jnp.exp(-1j * phase))
        return {"occupation": value.real}

    def describe(state, system):
        k = vectors(waves + np.asarray(system.twist, float), system)
        value, error = (f(state["occupation"]) for f in (blocks.mean, blocks.error))
        names = tuple(s.name for s in system.species)
        axes = {"wavevector": (k, "1/bohr")}
        return {"momentum_distribution": Observable(value, error, "", axes, names)}

    return averaged(measure, {"occupation": (len(system.counts), len(waves))}, describe)

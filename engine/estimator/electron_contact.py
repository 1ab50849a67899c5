"""Contact density of electrons of opposite spin, <sum delta(r_up - r_down)>, 1/bohr^3.

It gives the on-top density its integral and enters relativistic corrections. `coalescence` says how
it is measured, and what the correction is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.coalescence import of_particles, response, together
from engine.estimator.zero_bias import value, zero_bias
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; seven wavefunctions per pair, zero where there is none."""
    del options
    names = np.repeat([s.name for s in system.species], system.counts)
    pairs = of_particles(system, np.flatnonzero(names == "down"), np.flatnonzero(names == "up"))

    def measure(params, walker, system, reference):
        log_psi = lambda r: wavefunction.apply(params, r, system, reference).log  # noqa: E731
        met = lambda who: together(log_psi, walker, who, walker[who.partner], system)[0]  # noqa: E731
        answer = lambda who: response(walker, who, walker[who.partner], system)  # noqa: E731
        if not len(pairs.mover):
            return jnp.zeros(1), jnp.zeros(1)
        return tuple(jnp.sum(jax.vmap(f)(pairs))[None] for f in (met, answer))

    def describe(state, system):
        best, error = value(state)[0], blocks.error(state.corrected)[0]
        plain, spread = (f(state.plain)[0] for f in (blocks.mean, blocks.error))
        return {
            "electron_contact": Observable(best, error, "1/bohr^3"),
            "electron_contact_of_psi": Observable(plain, spread, "1/bohr^3"),
        }

    return zero_bias(measure, 1, describe)

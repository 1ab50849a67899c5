"""Contact density of positrons and electrons, and their two-photon annihilation rate.

<sum delta(r_e - r_p)> over all pairs, by moving the positron; `coalescence` says how. Both the
average over |psi|^2 and the value corrected to first order for what psi lacks are stored.

The rate is pi alpha^3 <sum delta> per atomic time: an average over the spins of the pair.
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
from engine.units import ATOMIC_TIME_NS, FINE_STRUCTURE

RATE_NS = np.pi * FINE_STRUCTURE**3 / ATOMIC_TIME_NS
"""Annihilations per nanosecond and unit of contact density, bohr^3 / ns."""


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; seven wavefunctions per electron-positron pair."""
    del options
    charge = system.particle_charges
    pairs = of_particles(system, np.flatnonzero(charge > 0), np.flatnonzero(charge < 0))

    def measure(params, walker, system, reference):
        log_psi = lambda r: wavefunction.apply(params, r, system, reference).log  # noqa: E731
        met = lambda who: together(log_psi, walker, who, walker[who.partner], system)[0]  # noqa: E731
        answer = lambda who: response(walker, who, walker[who.partner], system)  # noqa: E731
        return tuple(jnp.sum(jax.vmap(f)(pairs))[None] for f in (met, answer))

    def describe(state, system):
        best, error = value(state)[0], blocks.error(state.corrected)[0]
        plain, spread = (f(state.plain)[0] for f in (blocks.mean, blocks.error))
        return {
            "contact_density": Observable(best, error, "1/bohr^3"),
            "contact_density_of_psi": Observable(plain, spread, "1/bohr^3"),
            "annihilation_rate": Observable(RATE_NS * best, RATE_NS * error, "1/ns"),
        }

    return zero_bias(measure, 1, describe)

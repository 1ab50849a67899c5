"""Density and spin density of the electrons at the nuclei, 1/bohr^3, without histograms.

The spin density there is what Fermi's contact term, the isotropic hyperfine coupling, is
proportional to. `coalescence` says how it is measured, and what the correction is.
"""

from __future__ import annotations

import jax
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.coalescence import response, together, with_nuclei
from engine.estimator.zero_bias import value, zero_bias
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction

KINDS = ("density", "spin density")


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; seven wavefunctions per electron and nucleus."""
    del options
    nuclei, electrons = len(system.symbols), np.flatnonzero(system.particle_charges < 0)
    spins = np.repeat([-1.0 if s.name == "down" else 1.0 for s in system.species], system.counts)
    sign = np.stack([np.ones(len(electrons)), spins[electrons]])
    pairs = with_nuclei(system, electrons)

    def measure(params, walker, system, reference):
        log_psi = lambda r: wavefunction.apply(params, r, system, reference).log  # noqa: E731
        at = system.positions
        met = lambda who: together(log_psi, walker, who, at[who.partner], system)[0]  # noqa: E731
        answer = lambda who: response(walker, who, at[who.partner], system)  # noqa: E731
        tables = (jax.vmap(f)(pairs).reshape(-1, nuclei) for f in (met, answer))
        return tuple((sign @ table).ravel() for table in tables)

    def describe(state, system):
        columns = {
            "nuclear_contact": (value(state), blocks.error(state.corrected)),
            "nuclear_contact_of_psi": (blocks.mean(state.plain), blocks.error(state.plain)),
        }
        names = tuple(f"{k} {i + 1} {s}" for k in KINDS for i, s in enumerate(system.symbols))
        return {k: Observable(*pair, "1/bohr^3", label=names) for k, pair in columns.items()}

    return zero_bias(measure, 2 * nuclei, describe)

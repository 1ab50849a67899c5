"""Crystalline order of the electrons of one periodic cell.

    O = < |rho_b|^2 > / N^2,   rho_b = sum_i exp(i b.r_i),

averaged over the shortest reciprocal vectors b of a crystal with one electron per site: 1 for
electrons on its sites, wherever the crystal lies in the cell, 1/N for independent ones. The crystal
repeats `evaluate.sites` times along the lattice vectors of the simulation cell.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.config.electron_gas import check_sites
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.estimator.waves import half
from engine.io.observables import Observable
from engine.system.electron_gas import shells
from engine.system.system import System
from engine.types import Estimator, Wavefunction


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator.

    Raises:
        ConfigError: The crystal has not one site per electron.
    """
    del wavefunction
    electrons = system.particle_charges < 0
    number = int(electrons.sum())
    check_sites(options.sites, number, "section 'evaluate', key 'sites'")
    waves = _shortest(np.asarray(system.cell.lattice, float), np.array(options.sites))

    def measure(params, walker, system, reference, key):
        frac = system.cell.fractional(walker[electrons]).astype(jnp.float64)
        angle = 2 * jnp.pi * (frac - jnp.round(frac)) @ waves.T
        square = jnp.sum(jnp.cos(angle), axis=0) ** 2 + jnp.sum(jnp.sin(angle), axis=0) ** 2
        return {"order": jnp.mean(square) / number**2}

    def describe(state, system):
        value, error = (f(state["order"]) for f in (blocks.mean, blocks.error))
        return {"order_parameter": Observable(value, error)}

    return averaged(measure, {"order": ()}, describe)


def _shortest(lattice: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Returns one of each +-b of the crystal's first shell, in reciprocal vectors of the cell."""
    crystal = lattice / sites[:, None]
    return half(shells(crystal, np.zeros(3), 2)[1]) * sites

"""Many-body polarisation of a periodic cell.

    z_j = < exp(i b_j . sum_i q_i r_i) >,

over particles and nuclei, b_j the reciprocal vectors of the simulation cell. Its argument is
2 pi times the polarisation along lattice vector j in units of e a_j / V, its modulus tells a
localised ground state (1) from a delocalised one (0).
Source: R. Resta, Phys. Rev. Lett. 80, 1800 (1998).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction

PARTS = ("re 1", "re 2", "re 3", "im 1", "im 2", "im 3")


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator."""
    del options, wavefunction

    def measure(params, walker, system, reference, key):
        cell = system.cell
        inside = system.particle_charges @ cell.fractional(walker.astype(jnp.float64))
        nuclei = system.charges @ cell.fractional(system.positions.astype(jnp.float64))
        angle = 2 * jnp.pi * (inside + nuclei)
        return {"z": jnp.concatenate([jnp.cos(angle), jnp.sin(angle)])}

    def describe(state, system):
        value, error = (np.asarray(f(state["z"])) for f in (blocks.mean, blocks.error))
        return {"polarisation": Observable(value, error, "", label=PARTS)}

    return averaged(measure, {"z": (6,)}, describe)

"""Density of the other electrons around one of them, on a grid over the cell; 1/bohr^3.

    n(r) = < sum_{i != j} delta(r - (r_i - r_j)) > / N,

electrons of all spins; it integrates to N - 1. A cell without nuclei is translation invariant, and
its density uniform, even that of a crystal: that floats, but does not turn. Seen from one of its
electrons it has peaks at the lattice vectors of the crystal.
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


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator. Entry (i, j, k) of the grid is centred at (i, j, k) / grid."""
    del wavefunction
    n, electrons = options.grid, np.flatnonzero(system.particle_charges < 0)
    i, j = (electrons[x] for x in np.triu_indices(len(electrons), 1))

    def measure(params, walker, system, reference, key):
        frac = system.cell.fractional(walker[i] - walker[j]).astype(jnp.float64)
        place = jnp.round(frac * n).astype(int)
        both = jnp.concatenate([place, -place]) % n
        grid = jnp.zeros(n**3).at[both @ np.array([n * n, n, 1])].add(1.0)
        return {"grid": grid.reshape(n, n, n) / len(electrons)}

    def describe(state, system):
        voxel = float(system.cell.volume) / n**3
        points = np.arange(n) / n
        axes = {f"frac_{axis}": (points, "") for axis in (1, 2, 3)}
        box = np.vstack([np.zeros(3), np.asarray(system.cell.lattice, float)])
        value, error = (f(state["grid"]) / voxel for f in (blocks.mean, blocks.error))
        found = Observable(value[None], error[None], "1/bohr^3", axes | {"box": (box, "bohr")})
        return {"pair_density": found}

    return averaged(measure, {"grid": (n, n, n)}, describe)

"""Static structure factor of the electrons on the simulation cell's reciprocal vectors.

    S(G) = [<rho_G rho_-G> - |<rho_G>|^2] / N,   rho_G = sum_i exp(i G.r_i),

and the same of the spin density rho_up - rho_down. |<rho_G>|^2 is taken without its statistical
bias, and fluctuates with the other term: the error is that of |rho|^2 - 2 Re <rho>* rho, with
cov(x, y) from the variances of x, y and x + y. N S(G) is what finite-size corrections are made of.
Source: S. Chiesa, D. M. Ceperley, R. M. Martin and M. Holzmann, Phys. Rev. Lett. 97, 076404 (2006).
"""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.estimator.waves import half, vectors, wave_integers
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction

PAIRS = (("square", "re"), ("square", "im"), ("re", "im"))
SPIN = {"up": 1.0, "down": -1.0}


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; one of each +-G is kept."""
    del wavefunction
    waves = half(wave_integers(system, options.wave_shells))
    weights = np.array(
        [np.repeat([w(s) for s in system.species], system.counts) for w in (_number, _spin)]
    )

    def measure(params, walker, system, reference, key):
        frac = system.cell.fractional(walker).astype(jnp.float64)
        angle = 2 * jnp.pi * (frac - jnp.round(frac)) @ waves.T
        cosine, sine = weights @ jnp.cos(angle), weights @ jnp.sin(angle)
        parts = {"square": cosine**2 + sine**2, "re": cosine, "im": sine}
        return parts | {f"{a}+{b}": parts[a] + parts[b] for a, b in PAIRS}

    def describe(state, system):
        average = {name: blocks.mean(b) for name, b in state.items()}
        wave, bias = (
            f["re"] ** 2 + f["im"] ** 2
            for f in (average, {name: blocks.error(b) for name, b in state.items()})
        )
        number = int(np.abs(weights[0]).sum())
        value = (average["square"] - np.maximum(wave - bias, 0)) / number
        error = _error(state, average) / number
        axes = {"wavevector": (vectors(waves, system), "1/bohr")}
        names = ("structure_factor", "spin_structure_factor")
        return {n: Observable(value[i], error[i], "", axes) for i, n in enumerate(names)}

    shape = (2, len(waves))
    names = ("square", "re", "im", *(f"{a}+{b}" for a, b in PAIRS))
    return averaged(measure, dict.fromkeys(names, shape), describe)


def _error(state: Mapping[str, blocks.Blocks], average: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the standard error of <|rho|^2> - |<rho>|^2."""
    slopes = {"square": 1.0, "re": -2 * average["re"], "im": -2 * average["im"]}
    own = {name: blocks.variances(state[name]) for name in state}
    total = sum(slope**2 * own[name] for name, slope in slopes.items())
    for a, b in PAIRS:
        total = total + slopes[a] * slopes[b] * (own[f"{a}+{b}"] - own[a] - own[b])
    if not len(total):
        return np.full(average["square"].shape, np.nan)
    return np.sqrt(np.maximum(total, 0).max(axis=0))


def _number(species) -> float:
    return 1.0 if species.charge < 0 else 0.0


def _spin(species) -> float:
    return SPIN.get(species.name, 0.0)

"""<S^2> of the electrons, by exchanging an up with a down electron.

    <S^2> = M (M + 1) + N_down - sum_{i up, j down} < psi(r_i <-> r_j) / psi >

with M = (N_up - N_down) / 2, for psi that assigns the first N_up electrons spin up. It is S (S + 1)
for an eigenstate.
Source: C.-J. Huang, C. Filippi and C. J. Umrigar, J. Chem. Phys. 108, 8838 (1998).
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks
from engine.estimator.averages import averaged
from engine.estimator.ratios import ratio
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; it costs N_up N_down wavefunctions per walker."""
    del options
    counts = {s.name: s.count for s in system.species}
    up, down = counts.get("up", 0), counts.get("down", 0)
    polarised = 0.5 * (up - down) * (0.5 * (up - down) + 1) + down
    pairs = np.array(list(itertools.product(range(up), range(up, up + down)))).reshape(-1, 2)

    def measure(params, walker, system, reference, key):
        psi = lambda r: wavefunction.apply(params, r, system, reference)  # noqa: E731
        exchanged = lambda ij: walker.at[ij].set(walker[ij[::-1]])  # noqa: E731
        if not len(pairs):
            return {"exchange": jnp.zeros(())}
        swaps = jax.vmap(lambda ij: ratio(psi, walker, exchanged(ij)).real)(jnp.asarray(pairs))
        return {"exchange": jnp.sum(swaps)}

    def describe(state, system):
        value = polarised - blocks.mean(state["exchange"])
        return {"spin_squared": Observable(value, blocks.error(state["exchange"]))}

    return averaged(measure, {"exchange": ()}, describe)

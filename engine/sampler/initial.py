"""Where walkers start: electrons in Gaussian clouds about the nuclei."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.system import System

CLOUD_BOHR = 1.0


def initial_walkers(key: Array, system: System, n_walkers: int, dtype) -> Array:
    """Returns (W, n, 3) walkers, bohr.

    Every nucleus gets about as many electrons as its charge, spins alternating; without
    nuclei particles are uniform in the cell.
    """
    shape = (n_walkers, system.n_particles, 3)
    if not len(system.charges):
        return jax.random.uniform(key, shape, dtype) @ system.cell.lattice.astype(dtype)
    centres = np.asarray(system.positions)[home_nuclei(system)]
    return jnp.asarray(centres, dtype) + CLOUD_BOHR * jax.random.normal(key, shape, dtype)


def home_nuclei(system: System) -> np.ndarray:
    """Returns (n,) the nucleus each particle starts at.

    Electrons are dealt one at a time to the nucleus with the most unscreened charge, the
    species taking turns; positive particles go round the nuclei in order.
    """
    remaining = np.array(system.charges, float)
    left = list(system.counts)
    homes: list[list[int]] = [[] for _ in left]
    turn = 0
    while any(left):
        kind = turn % len(left)
        turn += 1
        if not left[kind]:
            continue
        if system.species[kind].charge < 0:
            nucleus = int(np.argmax(remaining))
            remaining[nucleus] += system.species[kind].charge
        else:
            nucleus = len(homes[kind]) % len(remaining)
        homes[kind].append(nucleus)
        left[kind] -= 1
    return np.array([nucleus for home in homes for nucleus in home])

"""Coulomb interaction in an open cell."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.system import System
from engine.types import Walker


def coulomb(walker: Walker, system: System) -> dict[str, Array]:
    """Returns sum_{i<j} q_i q_j / r_ij among and between particles and nuclei, hartree.

    "ee" counts every pair of quantum particles, positrons included; "en" every particle with
    every nucleus; "nn" the nuclei.
    """
    r, q = walker.astype(jnp.float64), system.particle_charges
    nuclei, z = system.positions.astype(jnp.float64), system.charges.astype(jnp.float64)
    distance = jnp.linalg.norm(r[:, None] - nuclei, axis=-1)
    return {
        "potential_ee": _among(r, q),
        "potential_en": jnp.sum(q[:, None] * z / distance),
        "potential_nn": _among(nuclei, z),
    }


def _among(r: Array, charges) -> Array:
    i, j = np.triu_indices(r.shape[0], 1)
    distance = jnp.linalg.norm(r[i] - r[j], axis=-1)
    return jnp.sum(charges[i] * charges[j] / distance)

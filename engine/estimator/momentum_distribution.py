"""Momentum distribution, per species.

    n(k) = sum_i int psi*(...) psi(..., r_i + s, ...) exp(-i k.s),   k = G + twist,

the occupation of plane waves in a periodic cell, with s uniform in it, drawn anew for every walker;
`ratios.overlap` is what is averaged.
Its sum over all k is the number of particles. In an open cell s is that of `shifts`, n is averaged
over directions and per volume of momentum, and the profile (Compton's) per component of it.
Source: W. L. McMillan, Phys. Rev. 138, A442 (1965).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from engine.config import EvaluateConfig
from engine.estimator import blocks, shifts
from engine.estimator.averages import averaged
from engine.estimator.ratios import overlap
from engine.estimator.waves import vectors, wave_integers
from engine.io.observables import Observable
from engine.system.system import System
from engine.types import Estimator, Wavefunction


def make(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator; it costs as many wavefunctions per walker as there are particles."""
    if not system.cell.periodic:
        return _open(options, wavefunction, system)
    waves = wave_integers(system, options.wave_shells)
    owner = np.repeat(np.eye(len(system.counts)), system.counts, axis=0)

    def measure(params, walker, system, reference, key):
        frac = jax.random.uniform(key, (3,), walker.dtype)
        shift = frac @ system.cell.lattice.astype(walker.dtype)
        psi = lambda r: wavefunction.apply(params, r, system, reference)  # noqa: E731
        moved = _overlaps(psi, walker, shift)
        phase = 2 * jnp.pi * (waves + system.twist) @ frac.astype(jnp.float64)
        value = jnp.einsum("is,i,g->sg", owner, moved, jnp.exp(-1j * phase))
        return {"occupation": value.real}

    def describe(state, system):
        k = vectors(waves + np.asarray(system.twist, float), system)
        value, error = (f(state["occupation"]) for f in (blocks.mean, blocks.error))
        names = tuple(s.name for s in system.species)
        axes = {"wavevector": (k, "1/bohr")}
        return {"momentum_distribution": Observable(value, error, "", axes, names)}

    return averaged(measure, {"occupation": (len(system.counts), len(waves))}, describe)


def _open(options: EvaluateConfig, wavefunction: Wavefunction, system: System) -> Estimator:
    """Returns the estimator of an open cell."""
    p, names = shifts.momenta(options.bins), tuple(s.name for s in system.species)
    owner = np.repeat(np.eye(len(names)), system.counts, axis=0)

    def measure(params, walker, system, reference, key):
        shift, kernels = shifts.draw(key, p)
        psi = lambda r: wavefunction.apply(params, r, system, reference)  # noqa: E731
        moved = owner.T @ _overlaps(psi, walker, shift).real
        return {part: moved[:, None] * kernel for part, kernel in kernels.items()}

    def describe(state, system):
        kinds = {"density": ("momentum_density", "bohr^3"), "profile": ("compton_profile", "bohr")}
        axes = {"momentum": (p, "1/bohr")}
        return {
            name: Observable(blocks.mean(state[part]), blocks.error(state[part]), unit, axes, names)
            for part, (name, unit) in kinds.items()
        }

    return averaged(measure, dict.fromkeys(shifts.PARTS, (len(names), len(p))), describe)


def _overlaps(psi, walker, shift):
    """Returns the overlap of psi and psi with one particle moved by shift, complex (n,)."""
    shift = shift.astype(walker.dtype)
    moved = walker + jnp.eye(len(walker), dtype=walker.dtype)[:, :, None] * shift
    here = psi(walker)
    return jax.vmap(lambda r: overlap(here, psi(r)))(moved)

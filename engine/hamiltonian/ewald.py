"""Coulomb interaction of a periodic cell in a neutralising background, by Ewald sums.

The pair potential of zero cell average,

    v(r) = sum_T erfc(alpha |r+T|)/|r+T| - pi/(alpha^2 V)
           + (4 pi/V) sum_{G != 0} exp(-G^2/4 alpha^2) cos(G.r)/G^2,

and its regular part at the origin, xi = lim [v(r) - 1/r], give

    E = sum_{i<j} q_i q_j v(r_ij) + (xi/2) sum_i q_i^2

over particles and nuclei. xi is the energy of a charge with its own images and background.
Source: L. M. Fraser et al., Phys. Rev. B 53, 1814 (1996).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.scipy.special import erfc

from engine.hamiltonian.ewald_sums import EwaldSums, choose_sums
from engine.system.system import System
from engine.types import Walker


class _Lattice(NamedTuple):
    """What depends on the traced lattice alone; computed once for all walkers.

    Attributes:
        vectors: (3, 3) short lattice vectors as rows, bohr.
        reciprocal: (3, 3) their reciprocal vectors as rows, 1/bohr.
        alpha: Splitting parameter, 1/bohr.
        images: (T, 3) translations, bohr.
        weights: (2, C, M+1) twice (4 pi/V) exp(-G^2/4 alpha^2)/G^2, zero where not kept.
        background: pi/(alpha^2 V).
        self_image: xi without its reciprocal sum (which |S(G)|^2 contains).
    """

    vectors: Array
    reciprocal: Array
    alpha: Array
    images: Array
    weights: Array
    background: Array
    self_image: Array


def make_ewald(system: System, tolerance: float) -> Callable[[Walker, System], dict[str, Array]]:
    """Returns the potential (walker, system) -> parts "ee", "en", "nn", hartree per cell.

    "ee" is the energy of the quantum particles in their background, self-images included,
    "nn" that of the nuclei, "en" what is between the two; each is independent of alpha. All in
    float64, whatever the walkers are.

    Args:
        system: Concrete arrays; the shape of the cell decides which terms are kept.
        tolerance: Largest truncation error per pair of unit charges, hartree. It holds for
            any cell whose lengths round alike; other strains of some per cent stay near it.
    """
    n, nuclei = system.n_particles, len(system.symbols)
    sums = choose_sums(np.asarray(system.cell.lattice), n * (n - 1) // 2 + n * nuclei, n, tolerance)

    def energy(walker: Walker, system: System) -> dict[str, Array]:
        lattice = _prepare(system.cell.lattice.astype(jnp.float64), sums)
        r, q = walker.astype(jnp.float64), jnp.asarray(system.particle_charges)
        nuclei, z = system.positions.astype(jnp.float64), system.charges.astype(jnp.float64)
        s_r, s_n = (_structure_factor(x, c, lattice, sums) for x, c in ((r, q), (nuclei, z)))
        return {
            "potential_ee": _among(r, q, s_r, lattice),
            "potential_en": _between(r, q, s_r, nuclei, z, s_n, lattice),
            "potential_nn": _among(nuclei, z, s_n, lattice),
        }

    return energy


def _prepare(lattice: Array, sums: EwaldSums) -> _Lattice:
    """Evaluates the integer lists on an actual lattice (3, 3)."""
    vectors = sums.basis @ lattice
    normal = jnp.cross(vectors[jnp.array([1, 2, 0])], vectors[jnp.array([2, 0, 1])])
    signed = jnp.vdot(vectors[0], normal[0])
    reciprocal, volume = 2 * jnp.pi * normal / signed, jnp.abs(signed)
    alpha = sums.alpha / jnp.cbrt(volume)
    images = sums.images @ vectors
    length = jnp.linalg.norm(images[1:], axis=-1)
    return _Lattice(
        vectors,
        reciprocal,
        alpha,
        images,
        _weights(reciprocal, volume, alpha, sums),
        jnp.pi / (alpha**2 * volume),
        jnp.sum(erfc(alpha * length) / length) - 2 * alpha / jnp.sqrt(jnp.pi),
    )


def _weights(reciprocal: Array, volume: Array, alpha: Array, sums: EwaldSums) -> Array:
    """Returns the Fourier coefficients of the smooth part, (2, C, M+1)."""
    m = np.arange(sums.kept.shape[-1])
    axial = np.stack([m, -m])[:, None, :, None] * reciprocal[2]
    g2 = jnp.sum(((sums.columns @ reciprocal[:2])[:, None] + axial) ** 2, axis=-1)
    g2 = jnp.where(sums.kept, g2, 1.0)
    weights = 8 * jnp.pi / volume * jnp.exp(-g2 / (4 * alpha**2)) / g2
    return jnp.where(sums.kept, weights, 0.0)


def _among(r: Array, q: Array, s: Array, lattice: _Lattice) -> Array:
    """Energy of charges q (n,) at r (n, 3), whose structure factor is s, in their background."""
    i, j = np.triu_indices(r.shape[0], 1)
    pairs = jnp.sum(q[i] * q[j] * _short_range(r[i] - r[j], lattice))
    own = lattice.self_image * jnp.sum(q**2) - lattice.background * jnp.sum(q) ** 2
    return pairs + 0.5 * (own + jnp.sum(lattice.weights * s**2))


def _between(
    r: Array, q: Array, s: Array, other: Array, z: Array, s_other: Array, lattice: _Lattice
) -> Array:
    """Energy between charges q at r and charges z at `other`."""
    pairs = q[:, None] * z * _short_range(r[:, None] - other, lattice)
    return (
        jnp.sum(pairs)
        - lattice.background * jnp.sum(q) * jnp.sum(z)
        + jnp.sum(lattice.weights * s * s_other)
    )


def _short_range(d: Array, lattice: _Lattice) -> Array:
    """Returns sum_T erfc(alpha |d+T|)/|d+T| for displacements d (..., 3)."""
    d = d - jnp.round(_fractional(d, lattice)) @ lattice.vectors
    square = sum((d[..., k, None] + lattice.images[:, k]) ** 2 for k in range(3))
    distance = jnp.sqrt(square)
    return jnp.sum(erfc(lattice.alpha * distance) / distance, axis=-1)


def _structure_factor(r: Array, q: Array, lattice: _Lattice, sums: EwaldSums) -> Array:
    """Returns Re and Im of sum_i q_i exp(i G.r_i), (re/im, +-m, C, M+1).

    exp(i G.r) is a product of powers of three phases. Those of the last axis enter as cos and
    sin, so that one real matrix product over the particles yields G and its mirror image.
    """
    last = np.arange(sums.kept.shape[-1])
    powers = _powers(r, lattice, max(last[-1], *abs(sums.columns).max(axis=0)))
    (cx, sx), (cy, sy) = (_multiples(powers[:, k], sums.columns[:, k]) for k in range(2))
    plane = q * jnp.concatenate([cx * cy - sx * sy, sx * cy + cx * sy])
    axial = jnp.concatenate(_multiples(powers[:, 2], last))
    (cc, cs), (sc, ss) = (jnp.split(half, 2, axis=1) for half in jnp.split(plane @ axial.T, 2))
    return jnp.stack([jnp.stack([cc - ss, cc + ss]), jnp.stack([sc + cs, sc - cs])])


def _powers(r: Array, lattice: _Lattice, highest: int) -> Array:
    """Returns exp(i m b_k.r) for m = 0, ..., highest and axes k: (highest+1, 3, n).

    A scan, because XLA on CPUs re-evaluates cos and sin in every place that reads them.
    """
    frac = _fractional(r, lattice).T
    angle = 2 * jnp.pi * (frac - jnp.round(frac))
    step = lax.complex(jnp.cos(angle), jnp.sin(angle))
    return lax.scan(lambda p, _: (p * step, p), jnp.ones_like(step), length=highest + 1)[1]


def _multiples(powers: Array, index: np.ndarray) -> tuple[Array, Array]:
    """Returns cos and sin (C, n) of multiples of an angle, by powers (M+1, n) of its phase."""
    picked = powers[abs(index)]
    return picked.real, picked.imag * np.sign(index)[:, None]


def _fractional(r: Array, lattice: _Lattice) -> Array:
    return r @ lattice.reciprocal.T / (2 * jnp.pi)

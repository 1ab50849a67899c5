"""Orbitals from a backbone's features: linear head, envelope, Bloch phase.

    phi_kj(r_i) = (w_kj . h_i + i v_kj . h_i) sum_Am pi_kj,Am exp(-sigma_Am d_iA) exp(i k_j . r_i)

with weights of the species of particle i. Features and envelopes are lattice periodic, so every
determinant, and psi, gains the twist's phase when one particle moves by a lattice vector. Real
orbitals (v = 0) have no phase: at zero twist exp(i k_j . r) is itself periodic.

In an electron gas orbitals begin as the plane waves of their own species. Where the occupied waves
are pairs +-k, both waves of a pair take the same w and opposite v. The determinant is then real,
and that of the columns

    Re f_k = a cos(k.r) - b sin(k.r),    Im f_k = a sin(k.r) + b cos(k.r),

a and b linear in h_i, which is done in real arithmetic: psi keeps its total momentum of zero.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import Reference
from engine.wavefunction.determinant import Expansion
from engine.wavefunction.envelope import EXPONENTS, Decay
from engine.wavefunction.features import centres, species_slices
from engine.wavefunction.layers import Dense

NOISE = 0.1
"""Of the weights that make the plane waves of a gas depend on the other particles, at the start."""


class Orbitals(nn.Module):
    """The matrices whose determinants make psi.

    Attributes:
        determinants: Number of determinants D.
        complex_orbitals: Complex or real matrices; real needs a zero twist.
        dtype: Of the parameters.
    """

    determinants: int
    complex_orbitals: bool
    dtype: jnp.dtype

    def alone(self, r: Array, species: int, system: System, reference: Reference) -> Array | None:
        """Returns envelopes times Bloch phases of a particle at r (3,), and its logarithm.

        They are (parts D n + 1,) side by side; there are none without a point to decay from.
        """
        if not centres(system).shape[0]:
            return None
        weights, name = self.variables["params"], system.species[species].name
        decay = Decay(self.dtype, parent=None)
        values, log_scale = decay.apply({"params": weights["decay"]}, r[None], system)
        envelope = values @ weights[f"envelope_{name}"]["kernel"]
        if self._bloch(system):
            phases = jnp.stack(_phases(r[None], reference))  # (2, 1, n)
            envelope = (envelope.reshape(-1, phases.shape[-1]) * phases).ravel()
        return jnp.concatenate([envelope.ravel(), log_scale])

    def _bloch(self, system: System) -> bool:
        return self.complex_orbitals and system.cell.periodic

    @nn.compact
    def __call__(
        self,
        h: Array,
        walker: Array,
        system: System,
        reference: Reference,
        factors: Array | None = None,
    ) -> Expansion:
        """Returns the determinants.

        Args:
            h: (n, f) backbone features.
            walker: (n, 3), bohr.
            system: The physical statement.
            reference: Gives the Bloch vectors.
            factors: What `alone` gives of all particles; made here when left out.
        """
        n, decay, log_scale = len(walker), None, jnp.zeros(len(walker), walker.dtype)
        if factors is None and centres(system).shape[0]:
            decay, log_scale = Decay(self.dtype, name="decay")(walker, system)
        rows = [
            self._species(s.name, h[part], None if decay is None else decay[part], n, system)
            for s, part in zip(system.species, species_slices(system), strict=True)
        ]
        if factors is not None:
            matrices = self._multiplied(jnp.concatenate(rows), factors[:, :-1], system)
            return Expansion([matrices], factors[:, -1])
        parts = jnp.concatenate(rows).transpose(1, 2, 0, 3)
        return Expansion([self._matrices(parts, walker, system, reference)], log_scale)

    def _multiplied(self, parts: Array, factors: Array, system: System) -> Array:
        """Returns the matrices of (n, parts, D, n) heads and the factors of `alone`."""
        n = len(parts)
        factors = factors.reshape(n, -1, self.determinants, n)
        if self._bloch(system):
            cosine, sine = factors[:, 0], factors[:, 1]
            found = [
                parts[:, 0] * cosine - parts[:, 1] * sine,
                parts[:, 0] * sine + parts[:, 1] * cosine,
            ]
        else:
            found = [part * factors[:, 0] for part in jnp.unstack(parts, axis=1)]
        found = [part.transpose(1, 0, 2) for part in found]
        return jax.lax.complex(*found) if self.complex_orbitals else found[0]

    def _species(self, name: str, h: Array, decay: Array | None, n: int, system: System) -> Array:
        """Returns (n_s, parts, D, n) real (and imaginary) parts for one species' particles."""
        parts = 2 if self.complex_orbitals else 1
        size = self.determinants * n
        start = _plane_waves(name, (parts, self.determinants), system) if is_gas(system) else {}
        out = Dense(parts * size, self.dtype, name=f"orbitals_{name}", **start)(h)
        out = out.reshape(-1, parts, self.determinants, n)
        if decay is None:
            return out
        envelope = Dense(
            size,
            self.dtype,
            bias=False,
            name=f"envelope_{name}",
            kernel=nn.initializers.constant(1 / EXPONENTS),
        )
        return out * envelope(decay).reshape(-1, 1, self.determinants, n)

    def _matrices(self, parts: Array, walker: Array, system: System, reference: Reference) -> Array:
        if not self.complex_orbitals:
            return _paired(parts[0], walker, system, reference) if is_gas(system) else parts[0]
        if not system.cell.periodic:
            return jax.lax.complex(parts[0], parts[1])
        cosine, sine = _phases(walker, reference)
        return jax.lax.complex(
            parts[0] * cosine - parts[1] * sine, parts[0] * sine + parts[1] * cosine
        )


def _phases(walker: Array, reference: Reference) -> tuple[Array, Array]:
    """Returns real and imaginary part of exp(i k_j . r_i), each (n, orbitals)."""
    half_turns = walker @ (jnp.concatenate(reference.kpoints).T / jnp.pi).astype(walker.dtype)
    return cos_pi(half_turns), sin_pi(half_turns)


def is_gas(system: System) -> bool:
    """Tells whether orbitals are plane waves: a periodic cell without nuclei."""
    return system.cell.periodic and not system.symbols


def _plane_waves(name: str, shape: tuple[int, int], system: System) -> dict:
    """Returns initialisers of a head that yields plane waves for the columns of its own species."""
    own = np.repeat([s.name == name for s in system.species], system.counts)
    parts, determinants = shape
    real = np.arange(parts)[:, None, None] == 0
    offset = np.broadcast_to(real & own, (parts, determinants, own.size)).astype(float)
    offset = offset * _paired_scale(system) if parts == 1 else offset
    small = nn.initializers.variance_scaling(NOISE**2, "fan_in", "truncated_normal")
    return {"kernel": small, "offset": lambda key, size, dtype: jnp.asarray(offset.ravel(), dtype)}


def _paired_scale(system: System) -> np.ndarray:
    """Returns (n,): sqrt(2) for the cosine of a pair, 0 for its sine, 1 for a wave of k = 0."""
    blocks = []
    for count in system.counts:
        single, pairs = count % 2, count // 2
        blocks += [np.ones(single), np.full(pairs, 2**0.5), np.zeros(pairs)]
    return np.concatenate(blocks)


def _paired(parts: Array, walker: Array, system: System, reference: Reference) -> Array:
    """Returns the real columns of a gas, species by species: k = 0 if any, Re f_k, Im f_k.

    Args:
        parts: (D, n, n) real: the orbital of k = 0, then a, then b of all pairs, per species.
        walker: (n, 3), bohr.
        system: The physical statement.
        reference: Wave vectors in the same order, those of the pairs twice.
    """
    columns, begin = [], 0
    for count, k in zip(system.counts, reference.kpoints, strict=True):
        single, pairs = count % 2, count // 2
        half_turns = walker @ (k[single : single + pairs].T / jnp.pi).astype(walker.dtype)
        cosine, sine = cos_pi(half_turns), sin_pi(half_turns)
        end = begin + single
        a, b = parts[..., end : end + pairs], parts[..., end + pairs : end + 2 * pairs]
        columns += [parts[..., begin:end]] if single else []
        columns += [a * cosine - b * sine, a * sine + b * cosine] if pairs else []
        begin += count
    return jnp.concatenate(columns, axis=-1)

"""Orbitals from a backbone's features: linear head, envelope, Bloch phase.

    phi_kj(r_i) = (w_kj . h_i + i v_kj . h_i) sum_Am pi_kj,Am exp(-sigma_Am d_iA) exp(i k_j . r_i)

with weights of the species of particle i. Features and envelopes are lattice periodic, so every
determinant, and psi, gains the twist's phase when one particle moves by a lattice vector. Real
orbitals (v = 0) have no phase: at zero twist exp(i k_j . r) is itself periodic.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import Reference
from engine.wavefunction.envelope import EXPONENTS, Decay
from engine.wavefunction.features import centres, species_slices
from engine.wavefunction.layers import Dense


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

    @nn.compact
    def __call__(
        self, h: Array, walker: Array, system: System, reference: Reference
    ) -> tuple[Array, Array]:
        """Returns the matrices without a factor per row, and that factor's logarithm.

        Args:
            h: (n, f) backbone features.
            walker: (n, 3), bohr.
            system: The physical statement.
            reference: Gives the Bloch vectors.

        Returns:
            (D, n, n) matrices, rows particles, and the (n,) logarithms of their rows' factors.
        """
        n, decay, log_scale = len(walker), None, jnp.zeros(len(walker), walker.dtype)
        if centres(system).shape[0]:
            decay, log_scale = Decay(self.dtype, name="decay")(walker, system)
        rows = [
            self._species(s.name, h[part], None if decay is None else decay[part], n, system)
            for s, part in zip(system.species, species_slices(system), strict=True)
        ]
        parts = jnp.concatenate(rows).transpose(1, 2, 0, 3)
        return self._matrices(parts, walker, system, reference), log_scale

    def _species(self, name: str, h: Array, decay: Array | None, n: int, system: System) -> Array:
        """Returns (n_s, parts, D, n) real (and imaginary) parts for one species' particles."""
        parts = 2 if self.complex_orbitals else 1
        size = self.determinants * n
        out = Dense(parts * size, self.dtype, name=f"orbitals_{name}")(h)
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
            return parts[0]
        if not system.cell.periodic:
            return jax.lax.complex(parts[0], parts[1])
        half_turns = walker @ (jnp.concatenate(reference.kpoints).T / jnp.pi).astype(walker.dtype)
        cosine, sine = cos_pi(half_turns), sin_pi(half_turns)
        return jax.lax.complex(
            parts[0] * cosine - parts[1] * sine, parts[0] * sine + parts[1] * cosine
        )

"""The box particles live in: lattice rows, boundary conditions, displacements."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cell:
    """A simulation cell; open (a molecule) or periodic in all three directions.

    Low-dimensional materials are periodic cells with vacuum.

    Attributes:
        lattice: (3, 3) lattice vectors as rows, bohr. Ignored by an open cell.
        periodic: Whether particles see periodic images.
    """

    lattice: Array
    periodic: bool = dataclasses.field(metadata={"static": True})

    @classmethod
    def open(cls, dtype=jnp.float64) -> Cell:
        """Returns open boundary conditions."""
        return cls(lattice=jnp.eye(3, dtype=dtype), periodic=False)

    @property
    def reciprocal(self) -> Array:
        """(3, 3) reciprocal vectors as rows, b_i . a_j = 2 pi delta_ij, 1/bohr."""
        return 2 * jnp.pi * self._inverse.T

    @property
    def _inverse(self) -> Array:
        """(3, 3) inverse of the lattice, 1/bohr.

        By cross products: XLA does not see that two calls of a library do the same.
        """
        a, b, c = self.lattice
        columns = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=1)
        return columns / jnp.vdot(a, columns[:, 0])

    @property
    def volume(self) -> Array:
        """Cell volume, bohr^3."""
        return jnp.abs(jnp.linalg.det(self.lattice))

    @property
    def extent(self) -> Array | float:
        """V^(1/3), bohr; infinite in an open cell."""
        return jnp.cbrt(self.volume) if self.periodic else jnp.inf

    def fractional(self, r: Array) -> Array:
        """Returns fractional coordinates of Cartesian `r` (..., 3)."""
        return times(r, self._inverse.astype(r.dtype))

    def cartesian(self, fractional: Array) -> Array:
        """Returns Cartesian coordinates of `fractional` ones (..., 3), bohr."""
        return times(fractional, self.lattice.astype(fractional.dtype))

    def wrap(self, r: Array) -> Array:
        """Returns `r` (..., 3) moved by lattice vectors into fractional [0, 1)."""
        if not self.periodic:
            return r
        return r - self.cartesian(jnp.floor(self.fractional(r)))

    def nearest_image(self, d: Array) -> Array:
        """Returns displacements `d` (..., 3) with fractional components in [-1/2, 1/2).

        This is the shortest image only in cells that are not too skewed; sums over images
        add neighbours around it.
        """
        if not self.periodic:
            return d
        return d - self.cartesian(jnp.round(self.fractional(d)))


def times(r: Array, matrix: Array) -> Array:
    """Returns r @ matrix of many `r` (..., 3) and a matrix (3, 3).

    Written out, since a CPU spends most of so small a product on calling it.
    """
    return sum(r[..., k : k + 1] * matrix[k] for k in range(3))

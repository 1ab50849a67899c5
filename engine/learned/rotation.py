"""Rotations of spherical harmonics, and the frame of a bond."""

from __future__ import annotations

import functools

import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.learned.harmonics import harmonics


def wigner_d(l: int, rotation: Array) -> Array:
    """Returns the real matrix D with S_l(R r) = D S_l(r); for improper R with its parity (-1)^l.

    The equation is solved on fixed points whose harmonics are well conditioned.

    Args:
        l: Degree.
        rotation: (..., 3, 3) orthogonal matrices.

    Returns:
        (..., 2 l + 1, 2 l + 1).
    """
    points, inverse = _points(l)
    moved = harmonics(l, jnp.asarray(points, rotation.dtype) @ jnp.swapaxes(rotation, -1, -2))
    return jnp.swapaxes(jnp.asarray(inverse, rotation.dtype) @ moved, -1, -2)


@functools.cache
def _points(l: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns points (n, 3) spread over the sphere and the pseudo-inverse of their harmonics."""
    n = 4 * (l + 1) ** 2
    z = 1 - (2 * np.arange(n) + 1) / n
    angle = np.pi * (1 + np.sqrt(5)) * np.arange(n)
    radius = np.sqrt(1 - z * z)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)
    return points, np.linalg.pinv(harmonics(l, points))


def bond_frame(direction: Array) -> Array:
    """Returns rotations (..., 3, 3) that take unit vectors to the z axis.

    The angle about the bond is arbitrary; layers that use the frame do not depend on it.

    Args:
        direction: (..., 3) unit vectors.
    """
    helper = jnp.eye(3, dtype=direction.dtype)[jnp.argmin(jnp.abs(direction), axis=-1)]
    across = helper - jnp.sum(helper * direction, axis=-1, keepdims=True) * direction
    across = across / jnp.linalg.norm(across, axis=-1, keepdims=True)
    return jnp.stack([across, jnp.cross(direction, across), direction], axis=-2)

"""Kinetic energy, -sum_i nabla_i^2 psi / (2 m_i psi), for real and complex wavefunctions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import folx
import jax
import jax.numpy as jnp
from jax import Array, lax

from engine.errors import ConfigError, nearest
from engine.system.system import System
from engine.types import LogPsi, Walker


class Derivatives(NamedTuple):
    """First and second derivatives of log|psi| and arg psi at one point.

    Attributes:
        gradient: LogPsi of (d,) arrays.
        laplacian: LogPsi of scalars.
    """

    gradient: LogPsi
    laplacian: LogPsi


def make_kinetic(laplacian: str = "forward"):
    """Returns the kinetic term.

    With f = log|psi| + i arg psi,

        T_L = -sum_i [nabla_i^2 f + (nabla_i f)^2] / (2 m_i).

    Masses are absorbed by differentiating along y_i = sqrt(m_i) r_i.

    Args:
        laplacian: "forward" (all second derivatives in one pass) or "loop" (one coordinate
            after another: slower, with the memory of two gradients).
    """
    if laplacian not in ROUTES:
        raise ConfigError(
            f"laplacian is {laplacian!r}",
            where="hamiltonian.laplacian",
            expected=nearest(laplacian, ROUTES),
        )
    route = ROUTES[laplacian]

    def energy(log_psi, walker, system, key=None) -> dict[str, Array]:
        scaled, y = _mass_weighted(log_psi, walker, system)
        gradient, second = route(scaled, y)
        g, h = gradient.log.astype(jnp.float64), gradient.arg.astype(jnp.float64)
        real = second.log + jnp.vdot(g, g) - jnp.vdot(h, h)
        imag = second.arg + 2 * jnp.vdot(g, h)
        return {"kinetic": lax.complex(-0.5 * real, -0.5 * imag)}

    return energy


def _mass_weighted(
    log_psi: Callable[[Walker], LogPsi], walker: Walker, system: System
) -> tuple[Callable[[Array], LogPsi], Array]:
    """Returns psi as a function of the flat y = sqrt(m) r, and y."""
    root = jnp.asarray(system.particle_masses**0.5, walker.dtype)[:, None]
    return (lambda y: log_psi(y.reshape(walker.shape) / root)), (walker * root).reshape(-1)


def forward(f: Callable[[Array], LogPsi], y: Array) -> Derivatives:
    """Forward Laplacian: values, Jacobians and Laplacians pushed through f together.

    Dense, since sparse Jacobians do not pay for the few electrons of one simulation cell.
    Source: R. Li et al., Nat. Mach. Intell. 6, 209 (2024).
    """
    out = folx.forward_laplacian(f, sparsity_threshold=0)(y)
    pairs = [_first_and_second(part, y) for part in out]
    return Derivatives(*(LogPsi(*parts) for parts in zip(*pairs, strict=True)))


def _first_and_second(part, y: Array) -> tuple[Array, Array]:
    if isinstance(part, Array):  # does not depend on y, as the sign of a real psi
        return jnp.zeros_like(y), jnp.zeros((), y.dtype)
    return part.jacobian.dense_array, part.laplacian


def loop(f: Callable[[Array], LogPsi], y: Array) -> Derivatives:
    """The diagonal of the Hessian, one forward-over-reverse column per step."""

    def gradients(y):  # two passes, so that a constant arg costs nothing
        return LogPsi(jax.grad(lambda y: f(y).log)(y), jax.grad(lambda y: f(y).arg)(y))

    gradient, column = jax.linearize(gradients, y)

    def add(k, laplacian):
        unit = jnp.zeros_like(y).at[k].set(1)
        return jax.tree.map(lambda total, c: total + c[k], laplacian, column(unit))

    zero = jnp.zeros((), y.dtype)
    return Derivatives(gradient, lax.fori_loop(0, y.size, add, LogPsi(zero, zero)))


ROUTES = {"forward": forward, "loop": loop}

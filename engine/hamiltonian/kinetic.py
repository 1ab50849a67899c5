"""Kinetic energy, -sum_i nabla_i^2 psi / (2 m_i psi), for real and complex wavefunctions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import folx
import jax
import jax.numpy as jnp
import numpy as np
from folx.api import FwdLaplArray
from folx.wrapped_functions import register_function, wrap_forward_laplacian
from jax import Array, lax

from engine import trigonometry
from engine.errors import ConfigError, nearest
from engine.hamiltonian.determinant_rule import log_determinant
from engine.hamiltonian.row_rules import jet, on_diagonal, own_alone
from engine.types import Alone, LogPsi, Psi, Walker

for _name, _function in trigonometry.BY_NAME.items():
    register_function(_name, wrap_forward_laplacian(_function, in_axes=()))
register_function("slogdet", log_determinant)


class Derivatives(NamedTuple):
    """First and second derivatives of log|psi| and arg psi, in y_i = sqrt(m_i) r_i.

    Attributes:
        gradient: LogPsi of (3 n,) arrays.
        laplacian: LogPsi of scalars.
    """

    gradient: LogPsi
    laplacian: LogPsi


def make_kinetic(laplacian: str = "forward"):
    """Returns the kinetic term.

    With f = log|psi| + i arg psi,

        T_L = -sum_i [nabla_i^2 f + (nabla_i f)^2] / (2 m_i).

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
        gradient, second = route(log_psi, walker, system.particle_masses)
        g, h = gradient.log.astype(jnp.float64), gradient.arg.astype(jnp.float64)
        real = second.log + jnp.vdot(g, g) - jnp.vdot(h, h)
        imag = second.arg + 2 * jnp.vdot(g, h)
        return {"kinetic": lax.complex(-0.5 * real, -0.5 * imag)}

    return energy


def forward(psi: Callable[[Walker], LogPsi], walker: Array, masses: np.ndarray) -> Derivatives:
    """Forward Laplacian: values, Jacobians and Laplacians pushed through psi together.

    Jacobians are dense from the first layer that mixes particles. What depends on pairs
    before it, most of the work where there are many particles, is differentiated in the three
    components of a displacement.

    Source: R. Li et al., Nat. Mach. Intell. 6, 209 (2024).

    Args:
        psi: A function of the walker, or a `Psi`.
        walker: (n, 3).
        masses: (n,).
    """
    rates = jnp.asarray(masses**-0.5, walker.dtype)
    inputs, function = [_coordinates(walker, rates)], psi
    if isinstance(psi, Psi) and psi.wavefunction.parts:
        parts = psi.wavefunction.parts
        near = _pair_sums(psi, walker, rates) if parts.pairs else None
        factor = _pair_factor(psi, walker, rates) if parts.factor else None
        *own, rows = _singles(psi, walker, rates)
        given = [near, factor, *own]
        there = [part is not None for part in given]
        inputs += [part for part in (*given, *rows) if part is not None]

        def function(r, *found):
            found = iter(found)
            near, factor, *own = (next(found) if is_there else None for is_there in there)
            own = Alone(*own, rows=tuple(found))
            return parts.apply(psi.params, r, near, own, factor, psi.system, psi.reference)

    pairs = [_first_and_second(x, walker) for x in folx.forward_laplacian(function)(*inputs)]
    return Derivatives(*(LogPsi(*parts) for parts in zip(*pairs, strict=True)))


def _coordinates(walker: Array, rates: Array) -> FwdLaplArray:
    """Returns the walker as a function of y = r / rate, coordinate by coordinate."""
    jacobian = jnp.diag(jnp.repeat(rates, 3))
    return jet(walker, jacobian, jnp.zeros_like(walker))


def _pair_sums(psi: Psi, walker: Array, rates: Array) -> FwdLaplArray:
    """Returns the (n, S, F) sums over pairs as functions of the coordinates."""
    parts, n = psi.wavefunction.parts, len(walker)
    weights = jnp.asarray(parts.weights(psi.system), walker.dtype)
    itself = jnp.eye(n, dtype=walker.dtype)

    def one(displacement, itself):
        features = lambda d: parts.pairs(psi.params, d, itself, psi.system)  # noqa: E731
        out = folx.forward_laplacian(features)(displacement)
        return out.x, out.jacobian.dense_array, out.laplacian

    value, first, second = jax.vmap(jax.vmap(one))(walker[:, None] - walker, itself)
    first = first * (1 - itself)[..., None, None]
    second = second * ((1 - itself) * (rates[:, None] ** 2 + rates**2))[..., None]
    own = jnp.einsum("sj,i,ijcf->icsf", weights, rates, first)
    others = -jnp.einsum("sk,k,ikcf->kcisf", weights, rates, first)
    jacobian = others + jnp.einsum("ik,icsf->kcisf", itself, own)
    return jet(
        jnp.einsum("sj,ijf->isf", weights, value),
        jacobian,
        jnp.einsum("sj,ijf->isf", weights, second),
    )


def _pair_factor(psi: Psi, walker: Array, rates: Array) -> FwdLaplArray:
    """Returns the logarithm of the pair factor as a function of the coordinates."""
    n = len(walker)
    rows, columns = np.triu_indices(n, 1)

    def one(displacement: Array, index: Array) -> tuple[Array, Array, Array]:
        function = lambda d: psi.wavefunction.parts.factor(  # noqa: E731
            psi.params, d, index, psi.system
        )
        return _parts(folx.forward_laplacian(function)(displacement), displacement)

    value, first, second = jax.vmap(one)(walker[rows] - walker[columns], jnp.arange(len(rows)))
    jacobian = jnp.zeros_like(walker).at[rows].add(first).at[columns].add(-first)
    scale = rates[rows] ** 2 + rates[columns] ** 2
    return jet(value.sum(), jacobian * rates[:, None], jnp.vdot(scale, second))


def _singles(psi: Psi, walker: Array, rates: Array) -> Alone:
    """Returns what single particles give as functions of the coordinates."""
    counts = (len(walker),) if psi.wavefunction.parts.alike else psi.system.counts
    slices = zip(np.cumsum(counts), counts, strict=True)
    jets = [_single_jets(psi, s, walker[e - c : e]) for s, (e, c) in enumerate(slices)]
    features, factors, summed, *rows = (
        None if parts[0] is None else tuple(map(jnp.concatenate, zip(*parts, strict=True)))
        for parts in zip(*jets, strict=True)
    )
    return Alone(
        None if features is None else _own(*features, rates),
        None if factors is None else _own(*factors, rates),
        None if summed is None else _sum(*summed, rates),
        tuple(own_alone(*row, rates) for row in rows),
    )


def _single_jets(psi: Psi, species: int, positions: Array) -> list:
    """Returns (values, first and second derivatives) of the particles (m, 3) of a species.

    One for each entry of `Alone`, None where that is not there, and for each of its rows.
    """

    def one(position: Array) -> list:
        function = lambda r: psi.wavefunction.parts.single(  # noqa: E731
            psi.params, r, species, psi.system, psi.reference
        )
        *fields, rows = folx.forward_laplacian(function)(position)
        return [None if part is None else _parts(part, position) for part in (*fields, *rows)]

    return jax.vmap(one)(positions)


def _parts(part: FwdLaplArray | Array, position: Array) -> tuple[Array, Array, Array]:
    if isinstance(part, Array):  # does not depend on the position
        return part, jnp.zeros((*position.shape, *part.shape), part.dtype), jnp.zeros_like(part)
    return part.x, part.jacobian.dense_array, part.laplacian


def _own(value: Array, first: Array, second: Array, rates: Array) -> FwdLaplArray:
    """Returns (n, f) functions of one particle each as functions of all coordinates."""
    jacobian = on_diagonal(first.swapaxes(0, 1) * rates[:, None])
    return jet(value, jacobian, second * rates[:, None] ** 2)


def _sum(value: Array, first: Array, second: Array, rates: Array) -> FwdLaplArray:
    """Returns the (f,) sum of functions of one particle each."""
    return jet(
        value.sum(axis=0),
        first * rates[:, None, None],
        jnp.sum(second * rates[:, None] ** 2, axis=0),
    )


def _first_and_second(part, walker: Array) -> tuple[Array, Array]:
    if isinstance(part, Array):  # does not depend on the walker, as the sign of a real psi
        return jnp.zeros(walker.size, walker.dtype), jnp.zeros((), walker.dtype)
    return part.jacobian.dense_array, part.laplacian


def loop(psi: Callable[[Walker], LogPsi], walker: Array, masses: np.ndarray) -> Derivatives:
    """The diagonal of the Hessian, one forward-over-reverse column per step.

    Args:
        psi: A function of the walker.
        walker: (n, 3).
        masses: (n,).
    """
    rates = jnp.asarray(masses**-0.5, walker.dtype)[:, None]

    def f(y):
        return psi(y.reshape(walker.shape) * rates)

    def gradients(y):  # two passes, so that a constant arg costs nothing
        return LogPsi(jax.grad(lambda y: f(y).log)(y), jax.grad(lambda y: f(y).arg)(y))

    y = (walker / rates).reshape(-1)
    gradient, column = jax.linearize(gradients, y)

    def add(k, laplacian):
        unit = jnp.zeros_like(y).at[k].set(1)
        return jax.tree.map(lambda total, c: total + c[k], laplacian, column(unit))

    zero = jnp.zeros((), y.dtype)
    return Derivatives(gradient, lax.fori_loop(0, y.size, add, LogPsi(zero, zero)))


ROUTES = {"forward": forward, "loop": loop}

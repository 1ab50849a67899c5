"""Stage one of the pruning: cheap scores of the connected space of a core.

With r_y = sum_x <y|H|x> psi_x over the core, a determinant y outside it scores

max       max_x |<y|H|x> psi_x|       heat bath
sum       sum_x |<y|H|x> psi_x|       bound of the residual
residual  |r_y|
epstein-nesbet  |r_y| / max(|E - H_yy|, guard)   first-order amplitude

No amplitude of y is needed. The core goes through in passes; each keeps its largest
contributions |<y|H|x> psi_x|, so that memory is bounded by `buffer` whatever the system, and
the scores are exact where nothing had to be left out. Where all are wanted that do not fit, the
outside comes in slices: each determinant y is in one of them, with all its contributions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.determinants import NONE, FockSpace, aufbau, grouped, valid
from engine.fock.slater_condon import FockHamiltonian, connected, connected_elements, diagonal

SCORES = ("max", "sum", "residual", "epstein-nesbet")
ZERO = 1e-10
"""Smaller contributions do not count, hartree: elements that symmetry forbids are rounding errors,
and would fill the core with determinants of other symmetries."""
GUARD = 0.05
"""Smallest denominator of the Epstein-Nesbet score, hartree."""


class Candidates(NamedTuple):
    """Unique determinants outside the core, in slots of which some are empty.

    Attributes:
        words: (M, 2, w); empty slots hold NONE.
        residual: (M,) r_y.
        sum: (M,) sum of |contributions|.
        max: (M,) largest |contribution|.
        diagonal: (M,) H_yy, hartree.
        complete: Scalar, whether no contribution that counts had to be left out.
        crowding: Scalar, the most contributions that counted in a pass per slot of it.
    """

    words: Array
    residual: Array
    sum: Array
    max: Array
    diagonal: Array
    complete: Array
    crowding: Array

    def score(self, name: str, energy: Array) -> Array:
        """Returns (M,) the score `name`, -1 in empty slots; `energy` is that of the core."""
        gaps = jnp.maximum(jnp.abs(energy - self.diagonal), GUARD)
        values = {
            "max": self.max,
            "sum": self.sum,
            "residual": jnp.abs(self.residual),
            "epstein-nesbet": jnp.abs(self.residual) / gaps,
        }[name]
        return jnp.where(valid(self.words), values, -1.0)


def make_candidates(space: FockSpace, *, chunk: int, buffer: int):
    """Builds the compiled (H, core (V, 2, w), psi (V,), part=0, parts=1) -> Candidates.

    Those of one part where the outside is cut into `parts` slices.

    Args:
        space: Orbitals and electrons.
        chunk: Determinants of the core per pass.
        buffer: Contributions kept over all passes.
    """
    words, elements = connected(space), connected_elements(space)

    @jax.jit
    def candidates(
        H: FockHamiltonian, core: Array, psi: Array, part: int = 0, parts: int = 1
    ) -> Candidates:
        passes = -(-len(core) // chunk)
        size = -(-len(core) // passes)
        kept = min(size * space.n_connected, max(buffer // passes, 1))
        ranks = jnp.arange(1, kept + 1)

        def one_pass(some):
            x, amplitude = some
            y = jax.vmap(words)(x).reshape(-1, 2, space.words)
            values = jax.vmap(lambda x, c: elements(H, x) * c)(x, amplitude).reshape(-1)
            values = jnp.where(_slice(y, parts) == part, values, 0.0)
            counts = jnp.abs(values) > ZERO
            count = jnp.sum(counts)
            if kept == len(values):
                return y, values, count
            chosen = jax.lax.cond(
                count <= kept,
                lambda: jnp.searchsorted(jnp.cumsum(counts), ranks).astype(jnp.int32),
                lambda: jax.lax.top_k(jnp.abs(values), kept)[1],
            )
            last = len(values) - 1  # slots beyond those that count are empty
            return (
                y[jnp.minimum(chosen, last)],
                jnp.where(chosen <= last, values[jnp.minimum(chosen, last)], 0.0),
                count,
            )

        filled, amplitudes = _filled(space, core, psi)
        chunks = (
            _passes(filled, passes, aufbau(space)),
            _passes(amplitudes, passes, jnp.zeros((), psi.dtype)),
        )
        y, values, counts = jax.lax.map(one_pass, chunks)
        y, values = y.reshape(-1, 2, space.words), values.reshape(-1)
        return _merge(space, H, core, y, values, jnp.max(counts) / kept)

    return candidates


def _slice(words: Array, parts: Array) -> Array:
    """Returns (M,) which of the slices, of about equal size, determinants (M, 2, w) are in."""
    mixed = jnp.zeros(len(words), jnp.uint64)
    for word in words.reshape(len(words), -1).T:
        mixed = (mixed ^ word) * jnp.uint64(0x9E3779B97F4A7C15)
        mixed = mixed ^ (mixed >> jnp.uint64(29))
    return (mixed >> jnp.uint64(32)) % jnp.asarray(parts, jnp.uint64)


def _filled(space: FockSpace, core: Array, psi: Array) -> tuple[Array, Array]:
    """Returns the core with a real determinant of amplitude zero in every empty slot."""
    good = valid(core)
    return jnp.where(good[:, None, None], core, aufbau(space)), jnp.where(good, psi, 0.0)


def _passes(values: Array, passes: int, fill: Array) -> Array:
    size = -(-len(values) // passes) * passes
    padding = jnp.broadcast_to(fill, (size - len(values), *values.shape[1:]))
    return jnp.concatenate([values, padding]).reshape(passes, -1, *values.shape[1:])


def _merge(
    space: FockSpace, H: FockHamiltonian, core: Array, y: Array, values: Array, crowding: Array
) -> Candidates:
    """Adds the contributions to each determinant up; leaves out the core."""
    used = jnp.abs(values) > ZERO
    y = jnp.where(used[:, None, None], y, jnp.uint64(NONE))
    every = jnp.concatenate([y, core])
    values = jnp.concatenate([values, jnp.zeros(len(core), values.dtype)])
    inside = jnp.concatenate([jnp.zeros(len(y), bool), jnp.ones(len(core), bool)])
    order, segment = grouped(every)
    every, values, inside = every[order], values[order], inside[order]
    count = len(every)

    def total(x):
        return jax.ops.segment_sum(x, segment, count, indices_are_sorted=True)

    magnitude = jnp.abs(values)
    largest = jax.ops.segment_max(magnitude, segment, count, indices_are_sorted=True)
    first = jax.ops.segment_min(
        jnp.arange(count), segment, count, indices_are_sorted=True
    )  # count itself in slots without a determinant
    outside = (total(inside.astype(jnp.int32)) == 0) & (jnp.arange(count) <= segment[-1])
    words = every[jnp.minimum(first, count - 1)]
    words = jnp.where(outside[:, None, None], words, jnp.uint64(NONE))
    kept = len(y)  # at most one slot per contribution; the empty ones go last
    order = jnp.argsort(~valid(words), stable=True)[:kept]
    words = words[order]
    safe = jnp.where(valid(words)[:, None, None], words, aufbau(space))
    levels = jax.lax.map(lambda x: diagonal(space, H, x), safe, batch_size=4096)
    sums = (total(values)[order], total(magnitude)[order], largest[order])
    return Candidates(words, *sums, levels, crowding <= 1.0, crowding)


def best(candidates: Candidates, score: Array, count: int) -> Array:
    """Returns (count, 2, w) the determinants of highest score, best first; NONE where too few."""
    size = min(count, len(score))
    values, order = jax.lax.top_k(score, size)
    chosen = jnp.where((values >= 0)[:, None, None], candidates.words[order], jnp.uint64(NONE))
    missing = jnp.full((count - size, *chosen.shape[1:]), NONE, jnp.uint64)
    return jnp.concatenate([chosen, missing])


def drawn(candidates: Candidates, score: Array, count: int, share: float, key: Array) -> Array:
    """Returns (count, 2, w): the best, and a `share` of them drawn without replacement.

    Probabilities follow the squared score: the weight, where it is an amplitude.
    """
    size = min(count, len(score))
    sure = size - round(share * size)
    chance = jnp.where(score > 0, 2 * jnp.log(score), -jnp.inf)
    chance = chance + jax.random.gumbel(key, score.shape, chance.dtype)
    _, order = jax.lax.top_k(score, sure)
    chance = chance.at[order].set(jnp.inf)
    _, order = jax.lax.top_k(chance, size)
    return best(candidates, jnp.full_like(score, -1.0).at[order].set(score[order]), count)

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

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.determinants import NONE, FockSpace, aufbau, groups, sorted_order, valid
from engine.fock.slater_condon import (
    FockHamiltonian,
    connected,
    connected_elements,
    make_levels,
)

SCORES = ("max", "sum", "residual", "epstein-nesbet")
ZERO = 1e-10
"""Smaller contributions do not count, hartree: elements that symmetry forbids are rounding errors,
and would fill the core with determinants of other symmetries."""
GUARD = 0.05
"""Smallest denominator of the Epstein-Nesbet score, hartree."""


class Candidates(NamedTuple):
    """Unique determinants outside the core, then empty slots, M a power of two as a rule.

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
    """Builds (H, core (V, 2, w), psi (V,), part=0, parts=1) -> Candidates; not to be compiled.

    Those of one part where the outside is cut into `parts` slices.

    Args:
        space: Orbitals and electrons.
        chunk: Determinants of the core per pass.
        buffer: Contributions kept over all passes.
    """
    contributions = _make_contributions(space, chunk=chunk, buffer=buffer)
    levels = make_levels(space)

    def candidates(
        H: FockHamiltonian, core: Array, psi: Array, part: int = 0, parts: int = 1
    ) -> Candidates:
        found = contributions(H, core, psi, part, parts)
        merged = _merged(found, sorted_order(space, found.words), len(core))
        size = min(1 << max(int(merged.count) - 1, 0).bit_length(), len(merged.places))
        words, *sums = _outside(merged, size)
        safe = jnp.where(valid(words)[:, None, None], words, aufbau(space))
        crowding = found.crowding
        return Candidates(words, *sums, levels(H, safe), crowding <= 1.0, crowding)

    return candidates


class _Contributions(NamedTuple):
    """Terms <y|H|x> psi_x, and the core with terms of zero at the end.

    Attributes:
        words: (M + V, 2, w) determinants y; NONE in empty slots.
        values: (M + V,) the terms.
        crowding: Scalar, the most that counted in a pass per slot of it.
    """

    words: Array
    values: Array
    crowding: Array


def make_crowding(space: FockSpace, *, chunk: int, buffer: int):
    """Builds the compiled (H, core (V, 2, w), psi (V,)) -> `crowding` of all Candidates, which it
    tells without sorting any."""
    terms, layout = _make_terms(space), _make_layout(space, chunk, buffer)

    @jax.jit
    def crowding(H: FockHamiltonian, core: Array, psi: Array) -> Array:
        chunks, kept = layout(core, psi)
        counts = jax.lax.map(lambda some: jnp.sum(jnp.abs(terms(H, *some)[1]) > ZERO), chunks)
        return jnp.max(counts) / kept

    return crowding


def _make_terms(space: FockSpace):
    """Builds (H, x (c, 2, w), psi (c,)) -> all (y, <y|H|x> psi_x) of some determinants x."""
    words, elements = connected(space), connected_elements(space)

    def terms(H: FockHamiltonian, x: Array, psi: Array) -> tuple[Array, Array]:
        values = jax.vmap(lambda x, c: elements(H, x) * c)(x, psi).reshape(-1)
        return jax.vmap(words)(x).reshape(-1, 2, space.words), values

    return terms


def _make_layout(space: FockSpace, chunk: int, buffer: int):
    """Builds (core, psi) -> ((words, amplitudes) of every pass, contributions kept in each)."""

    def layout(core: Array, psi: Array) -> tuple[tuple[Array, Array], int]:
        passes = -(-len(core) // chunk)
        size = -(-len(core) // passes)
        kept = min(size * space.n_connected, max(buffer // passes, 1))
        filled, amplitudes = _filled(space, core, psi)
        chunks = (
            _passes(filled, passes, aufbau(space)),
            _passes(amplitudes, passes, jnp.zeros((), psi.dtype)),
        )
        return chunks, kept

    return layout


def _make_contributions(space: FockSpace, *, chunk: int, buffer: int):
    terms, layout = _make_terms(space), _make_layout(space, chunk, buffer)

    @jax.jit
    def contributions(
        H: FockHamiltonian, core: Array, psi: Array, part: int, parts: int
    ) -> _Contributions:
        chunks, kept = layout(core, psi)

        def one_pass(some):
            y, values = terms(H, *some)
            values = jnp.where(_slice(y, parts) == part, values, 0.0)
            counts = jnp.abs(values) > ZERO
            count = jnp.sum(counts)
            if kept < len(values):
                chosen = jax.lax.cond(
                    count <= kept,
                    lambda: _places(counts, kept),
                    lambda: jax.lax.top_k(jnp.abs(values), kept)[1],
                )
                last = len(values) - 1  # slots beyond those that count are empty
                y = y[jnp.minimum(chosen, last)]
                values = jnp.where(chosen <= last, values[jnp.minimum(chosen, last)], 0.0)
            used = jnp.abs(values) > ZERO
            return jnp.where(used[:, None, None], y, jnp.uint64(NONE)), values, count

        y, values, counts = jax.lax.map(one_pass, chunks)
        every = jnp.concatenate([y.reshape(-1, 2, space.words), core])
        values = jnp.concatenate([values.reshape(-1), jnp.zeros(len(core), values.dtype)])
        return _Contributions(every, values, jnp.max(counts) / kept)

    return contributions


def _places(chosen: Array, count: int) -> Array:
    """Returns (count,) where the first True of `chosen` (M,) stand; M in slots beyond them."""
    size = len(chosen)
    slot = jnp.where(chosen, jnp.cumsum(chosen, dtype=jnp.int32) - 1, count)
    places = jnp.full(count, size, jnp.int32)
    return places.at[slot].set(jnp.arange(size, dtype=jnp.int32), mode="drop")


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


class _Merged(NamedTuple):
    """Contributions added up; sums are numbered like the different determinants.

    Attributes:
        words: (M + V, 2, w) in order.
        group: (M + V,) number of the determinant.
        residual: (M + V,) sums of contributions.
        sum: (M + V,) sums of their absolute values.
        max: (M + V,) largest of those.
        places: (M,) in the order, of the first word of each determinant outside the core.
        count: Scalar, how many those are.
    """

    words: Array
    group: Array
    residual: Array
    sum: Array
    max: Array
    places: Array
    count: Array


@functools.partial(jax.jit, static_argnums=2)
def _merged(found: _Contributions, order: Array, n_core: int) -> _Merged:
    """Adds the contributions to each determinant up."""
    size = len(order)
    words, values, core = found.words[order], found.values[order], order >= size - n_core
    group, magnitude = groups(words), jnp.abs(values)

    def total(x):
        return jax.ops.segment_sum(x, group, size, indices_are_sorted=True)

    largest = jax.ops.segment_max(magnitude, group, size, indices_are_sorted=True)
    inside = jax.ops.segment_max(core, group, size, indices_are_sorted=True)
    fresh = jnp.concatenate([jnp.ones(1, bool), group[1:] != group[:-1]])
    outside = fresh & valid(words) & ~inside[group]
    places = _places(outside, size - n_core)
    return _Merged(words, group, total(values), total(magnitude), largest, places, outside.sum())


@functools.partial(jax.jit, static_argnums=1)
def _outside(merged: _Merged, size: int) -> tuple[Array, ...]:
    """Returns words, residual, sum and max of the determinants outside, in `size` slots."""
    places = merged.places[:size]
    used = places < len(merged.words)
    places = jnp.minimum(places, len(merged.words) - 1)
    words = jnp.where(used[:, None, None], merged.words[places], jnp.uint64(NONE))
    group = merged.group[places]
    sums = (merged.residual, merged.sum, merged.max)
    return words, *(jnp.where(used, x[group], 0.0) for x in sums)


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

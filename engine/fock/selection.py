"""The core of determinants: how it starts, grows, and is renewed in two stages.

Stage one scores the connected space of the core by a proxy and keeps a multiple of the core size;
stage two evaluates the network on core and survivors, and the largest |psi| are the next core.
A share of the survivors may be drawn instead of taken by rank.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.config.fock import SelectionConfig
from engine.errors import ConfigError
from engine.fock.candidates import GUARD, Candidates, best, drawn, make_candidates
from engine.fock.determinants import NONE, FockSpace, aufbau, valid
from engine.fock.functional import krylov_step, make_amplitudes, residual
from engine.fock.slater_condon import FockHamiltonian, diagonal
from engine.fock.subspace import Subspace, make_subspace
from engine.types import Wavefunction

SLOTS = 64
"""Lists have a multiple of so many slots: each length is a program of its own."""
SMALL = 1024
"""Slots in which a larger core begins to grow; eight times as many follow."""
NEAR = 32
"""Excitations of lowest diagonal element that are looked at for the first determinant."""
GAIN = 2.5e-3
"""Energy an excitation has to gain to be preferred as the first determinant, hartree."""


class Selected(NamedTuple):
    """Lists in slots for the largest core; the unused ones hold NONE.

    Attributes:
        core: (V, 2, w) the core.
        survivors: (P, 2, w) survivors of the first stage.
    """

    core: Array
    survivors: Array


class Selection(NamedTuple):
    """The functions of this module for one system.

    Attributes:
        size: step -> determinants of the core.
        start: H -> Selected, without a network: its lowest state.
        renew: (params, H, reference, Selected, step) -> Selected, at multiples of the period; the
            same object where no survivor could enter the core.
        subspace: (H, Selected, step, functional) -> Subspace of the lists made at `step`; core and
            survivors are its core where the functional is "full".
        trained: (Selected, step, functional) -> Selected of the lists made at `step`: core and
            survivors in its core where the functional is "full".
    """

    size: Any
    start: Any
    renew: Any
    subspace: Any
    trained: Any


def check_core(options: SelectionConfig, space: FockSpace) -> None:
    """Raises ConfigError where the core is larger than the space."""
    if options.core > space.dimension:
        raise ConfigError(
            f"a core of {options.core} determinants",
            where="selection, key 'core'",
            expected=f"at most {space.dimension}, all there are of {space.n_up} + {space.n_down} "
            f"electrons in {space.n_orbitals} orbitals",
            remedy=f"set core: {space.dimension} for the full space",
        )


def make_selection(
    wavefunction: Wavefunction,
    options: SelectionConfig,
    space: FockSpace,
    *,
    is_complex: bool,
    key: Array | None = None,
) -> Selection:
    """Builds the functions of one system; `key` is for drawing survivors.

    Raises:
        ConfigError: A core larger than the space.
    """
    check_core(options, space)
    root = jax.random.key(0) if key is None else key
    outside = space.dimension - (options.start or options.core)
    factor = options.survivor_factor
    amplitudes = jax.jit(make_amplitudes(wavefunction, is_complex=is_complex))
    candidates = make_candidates(space, chunk=options.chunk, buffer=options.buffer)
    build = make_subspace(space)

    def size(step: int) -> int:
        if options.start is None:
            return options.core
        return min(options.core, options.start * 2 ** (step // options.grow_steps))

    def survivors_of(count: int) -> int:
        return min(round(factor * count), max(space.dimension - count, 0))

    def padded(core, survivors) -> Selected:
        total = min(round(factor * options.core), max(outside, 0))
        return Selected(_slots(core, options.core), _slots(survivors, total))

    def active(selected: Selected, step: int) -> Selected:
        count = size(step)
        return Selected(selected.core[:count], selected.survivors[: survivors_of(count)])

    def trimmed(words: Array) -> Array:
        """Returns the list without most of its empty slots, which come last."""
        used = int(valid(words).sum())
        return words[: -(-used // SLOTS) * SLOTS]

    def outlook(H, core, psi, energy, step):
        found, wanted = candidates(H, core, psi), survivors_of(size(step))
        score = found.score(options.score, energy)
        if not options.drawn:
            return best(found, score, wanted)
        return drawn(found, score, wanted, options.drawn, jax.random.fold_in(root, step))

    def level(H: FockHamiltonian, x: Array) -> tuple[Array, Candidates]:
        """Returns the energy of one determinant lowered by those above it, and all it couples to.

        Each lowers it as in a system of two levels, to second order where they are far apart. What
        lies below it lowers itself, and is a better determinant to start from.
        """
        found = candidates(H, x[None], jnp.ones(1, H.one_body.dtype))
        energy = diagonal(space, H, x)
        gap = found.diagonal - energy
        lowered = (gap - jnp.sqrt(gap**2 + 4 * jnp.abs(found.residual) ** 2)) / 2
        return energy + jnp.where(valid(found.words) & (gap > 0), lowered, 0.0).sum(), found

    def lowest(H: FockHamiltonian) -> Array:
        """Returns (1 or 2, 2, w) where no excitation lowers that energy.

        In orbitals of a mean field that is its determinant; in localised ones one without ions, of
        alternating spins, and its mirror image under exchange of the spins.
        """
        here = aufbau(space)
        energy, found = level(H, here)
        while True:
            below = jnp.where(valid(found.words), found.diagonal, jnp.inf)
            near = found.words[jnp.argsort(below)[:NEAR]]
            levels = [(*level(H, x), x) for x in near[valid(near)]]
            best = min(levels, key=lambda near: float(near[0]), default=None)
            if best is None or not best[0] < energy - GAIN:
                break
            energy, found, here = best
        flipped = here[::-1]
        alone = space.n_up != space.n_down or bool(jnp.array_equal(here, flipped))
        return here[None] if alone else jnp.stack([here, flipped])

    def first(H: FockHamiltonian) -> tuple[Array, Array, Array]:
        """Returns core, amplitudes and energy: the lowest state, then with what it couples to."""
        count = size(0)
        core = lowest(H)
        psi = jnp.ones(len(core), H.one_body.dtype) / len(core) ** 0.5
        energy = residual(build(H, core, core[:0]), psi, "projected").energy
        for slots in _stairs(count):
            core, psi = _slots(core, slots), _filled_up(psi, slots)
            while not bool(valid(core).all()):
                found = candidates(H, core, psi)
                if not bool(valid(found.words).any()):
                    break
                core, psi = _first_order(found, core, psi, energy)
                psi, energy = _relaxed(build(H, core, core[:0]), psi)
        return core, psi, energy

    def start(H: FockHamiltonian) -> Selected:
        core, psi, energy = first(H)
        if not survivors_of(size(0)):
            return padded(core, core[:0])
        return padded(core, outlook(H, core, psi, energy, 0))

    def renew(params, H, reference, selected: Selected, step: int) -> Selected:
        count, before = size(step), max(step - options.period, 0)
        core, survivors = active(selected, before)
        if count == size(before) and not bool(valid(survivors).any()):
            return selected  # nothing is left outside
        both = jnp.concatenate([core, survivors])
        good = valid(both)
        psi = amplitudes(params, jnp.where(good[:, None, None], both, aufbau(space)), reference)
        _, order = jax.lax.top_k(jnp.where(good, jnp.abs(psi), -1.0), min(count, len(both)))
        core, psi = both[order], jnp.where(good, psi, 0.0)[order]
        if not survivors_of(count):
            return padded(core, survivors[:0])
        sub = build(H, core, survivors[:0])
        energy = residual(sub, psi, "projected").energy
        return padded(core, outlook(H, core, psi, energy, step))

    def minimised(selected: Selected, step: int, functional: str) -> Selected:
        core, survivors = map(trimmed, active(selected, step))
        if functional != "full":
            return Selected(core, survivors)
        both = jnp.concatenate([core, survivors])
        both = both[jnp.argsort(~valid(both), stable=True)]  # empty slots last
        return Selected(trimmed(both), survivors[:0])

    def subspace(H, selected: Selected, step: int, functional: str) -> Subspace:
        return build(H, *minimised(selected, step, functional))

    return Selection(size, start, renew, subspace, minimised)


@jax.jit
def _relaxed(sub: Subspace, psi: Array) -> tuple[Array, Array]:
    """Returns the lowest state on the core, and its energy."""
    for _ in range(3):
        found = residual(sub, psi, "projected")
        psi = found.amplitudes - krylov_step(sub, found, "projected", 8)
    found = residual(sub, psi, "projected")
    return found.amplitudes, found.energy


@jax.jit
def _first_order(found: Candidates, core: Array, psi: Array, energy: Array) -> tuple[Array, Array]:
    """Returns the determinants of largest amplitude after first-order perturbation theory."""
    gaps = jnp.minimum(energy - found.diagonal, -GUARD)
    words = jnp.concatenate([core, found.words])
    psi = jnp.concatenate([psi, found.residual / gaps])
    good = valid(words)
    _, order = jax.lax.top_k(jnp.where(good, jnp.abs(psi), -1.0), len(core))
    return words[order], jnp.where(good, psi, 0.0)[order]


def _stairs(count: int) -> list[int]:
    """Returns numbers of slots up to `count`: few determinants in few slots first."""
    below = itertools.takewhile(lambda n: n < count, (SMALL * 8**k for k in itertools.count()))
    return [*below, count]


def _filled_up(psi: Array, count: int) -> Array:
    return jnp.concatenate([psi, jnp.zeros(count - len(psi), psi.dtype)])


def _slots(words: Array, count: int) -> Array:
    """Returns the list cut or filled up with empty slots to `count`."""
    missing = jnp.full((max(count - len(words), 0), *words.shape[1:]), NONE, jnp.uint64)
    return jnp.concatenate([words[:count], missing])

"""Energies of a trained network that need no sampling, each under its own name.

projected       Rayleigh quotient of the amplitudes on the determinants at hand; a bound
projected-pt2   projected + sum over y outside of |r_y|^2 / (E - H_yy), Epstein and Nesbet
asymmetric      sum over those at hand of conj(psi) (H psi) / <psi|psi>, H psi over everything; no
                bound
selected-ci     the lowest state of the determinants at hand, of whatever symmetry; a bound below
                the projected energy

The denominators of the correction are those of the projected energy; where one is not negative
the correction diverges and is reported as such (not a number). What couples to the determinants
at hand comes in as many slices as `buffer` asks for.

The work falls into parts, `inside` and the slices, each with a few numbers as its result. Who
calls may keep them (`Once`), so that a run that is cut goes on with the next part.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine.fock.candidates import Candidates, make_candidates, make_crowding
from engine.fock.determinants import FockSpace, aufbau, valid
from engine.fock.exact import diagonalised
from engine.fock.functional import make_amplitudes, residual
from engine.fock.slater_condon import FockHamiltonian, spin_squared
from engine.fock.subspace import make_subspace
from engine.types import Wavefunction

ROOM = 1.1
"""Slots per contribution expected in a slice: slices are not of exactly equal size."""
CUTS = 16
"""A slice is not cut into more than so many."""

Numbers = dict[str, float]
Once = Callable[[str, Callable[[], Numbers], int], Numbers]
"""(name of a part, what computes its numbers, parts known to come after it) -> the numbers."""


def directly(name: str, compute: Callable[[], Numbers], left: int) -> Numbers:
    """Runs a part of the work, without keeping its numbers."""
    return compute()


class CoreEnergies(NamedTuple):
    """Hartree per simulation cell; see the module.

    Attributes:
        projected: Energy of the amplitudes on the determinants.
        selected_ci: Lowest energy of the same determinants.
        pt2: Correction to the projected energy.
        asymmetric: Energy with the network's amplitudes outside; NaN where not computed.
        variance: Of the projected state within the determinants, hartree^2.
        kinetic: Kinetic part of `projected`.
        spin_squared: <S^2> of the projected state.
        connected: Determinants outside that entered.
        complete: Whether all contributions that count fitted into the buffer.
    """

    projected: float
    selected_ci: float
    pt2: float
    asymmetric: float
    variance: float
    kinetic: float
    spin_squared: float
    connected: int
    complete: bool


def core_energies(
    wavefunction: Wavefunction,
    space: FockSpace,
    params: Any,
    reference: Array,
    core: Array,
    H: FockHamiltonian,
    T: FockHamiltonian,
    *,
    is_complex: bool,
    chunk: int,
    buffer: int,
    slices: float = math.inf,
    asymmetric_slices: float = 1,
    once: Once = directly,
) -> CoreEnergies:
    """Returns the energies of the network on a list of determinants.

    Args:
        wavefunction: The ansatz.
        space: Orbitals and electrons.
        params: Its parameters.
        reference: Its reference orbitals.
        core: (V, 2, w); empty slots are left out.
        H: The Hamiltonian.
        T: The kinetic energy.
        is_complex: Whether amplitudes are complex.
        chunk: Determinants per pass over their connections.
        buffer: Contributions kept at a time.
        slices: Most slices to take; where that is too few the correction is truncated.
        asymmetric_slices: Most slices for which the network's amplitudes outside are evaluated:
            they can be many millions.
        once: Runs the parts.
    """
    core = core[valid(core)]
    amplitudes = jax.jit(make_amplitudes(wavefunction, is_complex=is_complex))
    psi = amplitudes(params, core, reference)
    unit = psi / jnp.linalg.norm(psi)
    crowding = make_crowding(space, chunk=chunk, buffer=buffer)
    candidates = make_candidates(space, chunk=chunk, buffer=buffer)

    def inside() -> Numbers:
        return _inside(space, core, psi, H, T) | {"crowding": float(crowding(H, core, unit))}

    def outside(part: int, parts: int, finest: bool) -> Numbers:
        found = candidates(H, core, unit, part, parts)
        if not bool(found.complete) and not finest:
            return {"complete": 0.0}
        tail = float("nan")
        if parts <= asymmetric_slices:
            ratio = _outside_amplitudes(amplitudes, space, params, reference, core, found)
            tail = float(jnp.vdot(found.residual, ratio).real)
        return {
            "complete": float(found.complete),
            "connected": float(jnp.sum(valid(found.words))),
            "pt2": float(second_order(found, named["projected"])),
            "tail": tail,
        }

    named = once("inside", inside, 1)
    found = list(_slices(outside, once, named["crowding"], slices))
    return CoreEnergies(
        projected=named["projected"],
        selected_ci=named["selected_ci"],
        pt2=sum(one["pt2"] for one in found),
        asymmetric=named["projected"] + sum(one["tail"] for one in found),
        variance=named["variance"],
        kinetic=named["kinetic"],
        spin_squared=named["spin_squared"],
        connected=round(sum(one["connected"] for one in found)),
        complete=all(one["complete"] for one in found),
    )


def _inside(
    space: FockSpace, core: Array, psi: Array, H: FockHamiltonian, T: FockHamiltonian
) -> Numbers:
    """Returns what depends on the determinants at hand alone."""
    build, empty = make_subspace(space), core[:0]
    operator = build(H, core, empty)
    found = residual(operator, psi, "projected")
    psi = psi / jnp.linalg.norm(psi)
    kinetic, spin = (
        residual(build(other, core, empty), psi, "projected").energy
        for other in (T, spin_squared(space))
    )
    return {
        "projected": float(found.energy),
        "selected_ci": float(diagonalised(operator, np.asarray(psi))[0]),
        "variance": float(found.variance),
        "kinetic": float(kinetic),
        "spin_squared": float(spin),
    }


def _slices(
    outside: Callable[[int, int, bool], Numbers], once: Once, crowding: float, most: float
) -> Iterator[Numbers]:
    """Yields the numbers of every slice of what lies outside, of one where it fits.

    A slice that does not fit is cut into two, but not for ever: a buffer may be too small for what
    couples to one determinant.

    Args:
        outside: (part, parts, whether that is to be taken as it is) -> numbers of one slice.
        once: Runs it.
        crowding: That of all in one.
        most: Slices to take at most; where it takes more, one that is not complete.
    """
    parts = math.ceil(ROOM * crowding)
    if crowding <= 1 or parts > most:
        parts, finest = 1, 1
    else:
        finest = CUTS * parts
    todo = [(part, parts) for part in reversed(range(parts))]
    while todo:
        part, parts = todo.pop()
        take = functools.partial(outside, part, parts, parts >= finest)
        found = once(f"slice {part + 1} of {parts}", take, len(todo))
        if found["complete"] or parts >= finest:
            yield found
        else:
            todo += [(part + parts, 2 * parts), (part, 2 * parts)]


def second_order(outside: Candidates, energy: float | Array) -> Array:
    """Returns sum |r_y|^2 / (E - H_yy); NaN where a denominator is not negative."""
    used = valid(outside.words) & (jnp.abs(outside.residual) > 0)
    gaps = jnp.where(used, energy - outside.diagonal, -1.0)
    terms = jnp.where(gaps < 0, jnp.abs(outside.residual) ** 2 / gaps, jnp.nan)
    return jnp.sum(jnp.where(used, terms, 0.0))


def _outside_amplitudes(amplitudes, space, params, reference, core, outside) -> Array:
    """Returns psi_y of the determinants outside, in the scale of the normalised core."""
    every = jnp.concatenate([core, outside.words])
    good = valid(every)
    both = amplitudes(params, jnp.where(good[:, None, None], every, aufbau(space)), reference)
    both = jnp.where(good, both, 0.0)
    return both[len(core) :] / jnp.linalg.norm(both[: len(core)])

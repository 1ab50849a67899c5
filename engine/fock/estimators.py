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
"""

from __future__ import annotations

import functools
import logging
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

log = logging.getLogger(__name__)

ROOM = 1.1
"""Slots per contribution expected in a slice: slices are not of exactly equal size."""
CUTS = 16
"""A slice is not cut into more than so many."""


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
    """
    core = core[valid(core)]
    amplitudes = jax.jit(make_amplitudes(wavefunction, is_complex=is_complex))
    build, empty = make_subspace(space), core[:0]
    psi = amplitudes(params, core, reference)
    inside = build(H, core, empty)
    found = residual(inside, psi, "projected")
    psi = psi / jnp.linalg.norm(psi)
    others = [
        residual(build(operator, core, empty), psi, "projected").energy
        for operator in (T, spin_squared(space))
    ]
    pt2, tail, connected, complete = 0.0, 0.0, 0, True
    candidates = make_candidates(space, chunk=chunk, buffer=buffer)
    crowding = make_crowding(space, chunk=chunk, buffer=buffer)(H, core, psi)
    take = functools.partial(candidates, H, core, psi)
    for parts, outside in _slices(take, float(crowding), slices):
        pt2 += float(second_order(outside, found.energy))
        connected += int(jnp.sum(valid(outside.words)))
        complete &= bool(outside.complete)
        if parts > asymmetric_slices:
            tail = float("nan")
            continue
        ratio = _outside_amplitudes(amplitudes, space, params, reference, core, outside)
        tail += float(jnp.vdot(outside.residual, ratio).real)
    return CoreEnergies(
        projected=float(found.energy),
        selected_ci=diagonalised(inside, np.asarray(psi))[0],
        pt2=pt2,
        asymmetric=float(found.energy) + tail,
        variance=float(found.variance),
        kinetic=float(others[0]),
        spin_squared=float(others[1]),
        connected=connected,
        complete=complete,
    )


def _slices(candidates: Callable[..., Candidates], crowding: float, most: float) -> Iterator:
    """Yields (slices, Candidates of one): everything outside, in one where it fits.

    A slice that does not fit is cut into two, but not for ever: a buffer may be too small for what
    couples to one determinant.

    Args:
        candidates: (part, parts) -> Candidates of one slice.
        crowding: That of all in one.
        most: Slices to take at most; where it takes more, one that is not complete.
    """
    parts = math.ceil(ROOM * crowding)
    if crowding <= 1 or parts > most:
        yield 1, candidates(0, 1)
        return
    todo, finest = [(part, parts) for part in reversed(range(parts))], CUTS * parts
    while todo:
        part, parts = todo.pop()
        outside = candidates(part, parts)
        if bool(outside.complete) or parts >= finest:
            log.info("what lies outside: slice %d of %d", part + 1, parts)
            yield parts, outside
        else:
            todo += [(part + parts, 2 * parts), (part, 2 * parts)]
        del outside


def second_order(outside: Candidates, energy: Array) -> Array:
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

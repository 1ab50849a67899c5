"""Energies of a trained network that need no sampling, each under its own name.

projected       Rayleigh quotient of the amplitudes on the core; a bound
projected-pt2   projected + sum over y outside of |r_y|^2 / (E - H_yy), Epstein and Nesbet
asymmetric      sum over the core of conj(psi) (H psi) / <psi|psi>, H psi over everything; no bound

The denominators of the correction are those of the projected energy; where one is not negative
the correction diverges and is reported as such (not a number).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine.fock.candidates import Candidates, make_candidates
from engine.fock.determinants import FockSpace, aufbau, valid
from engine.fock.functional import make_amplitudes, residual
from engine.fock.slater_condon import FockHamiltonian, spin_squared
from engine.fock.subspace import make_subspace
from engine.types import Wavefunction


class CoreEnergies(NamedTuple):
    """Hartree per simulation cell; see the module.

    Attributes:
        projected: Energy of the amplitudes on the core.
        pt2: Correction to it.
        asymmetric: Energy with the network's amplitudes outside the core.
        variance: Of the projected state within the core, hartree^2.
        kinetic: Kinetic part of `projected`.
        spin_squared: <S^2> of the projected state.
        connected: Determinants outside the core that entered.
        complete: Whether all contributions that count fitted into the buffer.
    """

    projected: float
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
) -> CoreEnergies:
    """Returns the energies of the network on a core.

    Args:
        wavefunction: The ansatz.
        space: Orbitals and electrons.
        params: Its parameters.
        reference: Its reference orbitals.
        core: (V, 2, w); empty slots are left out.
        H: The Hamiltonian.
        T: The kinetic energy.
        is_complex: Whether amplitudes are complex.
        chunk: Determinants of the core per pass over its connections.
        buffer: Contributions kept; too small a one truncates the correction.
    """
    good = valid(core)
    amplitudes = jax.jit(make_amplitudes(wavefunction, is_complex=is_complex))
    build, empty = make_subspace(space), core[:0]
    words = jnp.where(good[:, None, None], core, aufbau(space))
    psi = jnp.where(good, amplitudes(params, words, reference), 0.0)
    found = residual(build(H, core, empty), psi, "projected")
    psi = psi / jnp.linalg.norm(psi)
    others = [
        residual(build(operator, core, empty), psi, "projected").energy
        for operator in (T, spin_squared(space))
    ]
    outside = _trimmed(make_candidates(space, chunk=chunk, buffer=buffer)(H, core, psi))
    ratio = _outside_amplitudes(amplitudes, space, params, reference, core, outside)
    return CoreEnergies(
        projected=float(found.energy),
        pt2=float(second_order(outside, found.energy)),
        asymmetric=float(found.energy + jnp.vdot(outside.residual, ratio).real),
        variance=float(found.variance),
        kinetic=float(others[0]),
        spin_squared=float(others[1]),
        connected=int(jnp.sum(valid(outside.words))),
        complete=bool(outside.complete),
    )


def _trimmed(outside: Candidates) -> Candidates:
    """Returns the filled slots, which come first, and empty ones up to a power of two.

    A buffer has millions of slots for contributions, of which many may be to one determinant.
    """
    count = int(jnp.sum(valid(outside.words)))
    size = min(1 << max(count - 1, 0).bit_length(), len(outside.words))
    return jax.tree.map(lambda x: x[:size] if x.ndim else x, outside)


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

"""The Hamiltonian: a sum of terms, one file per term.

A term maps (log_psi, walker, system, key) to its named contributions to the local energy in
hartree, scalars, complex where the term can be. Adding a term to a problem is adding it to
the tuple given to `make_hamiltonian`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import Array

from engine.config import HamiltonianConfig
from engine.hamiltonian.coulomb import coulomb
from engine.hamiltonian.ewald import make_ewald
from engine.hamiltonian.harmonic import make_harmonic
from engine.hamiltonian.kinetic import make_kinetic
from engine.system.system import System
from engine.types import Hamiltonian, Key, LocalEnergy, LogPsi, Walker

__all__ = ["Term", "default_terms", "make_hamiltonian", "make_harmonic", "potential"]

Term = Callable[[Callable[[Walker], LogPsi], Walker, System, Key], dict[str, Array]]


def potential(energy: Callable[[Walker, System], dict[str, Array]]) -> Term:
    """Returns the term of a local potential, which acts without looking at psi."""
    return lambda log_psi, walker, system, key: energy(walker, system)


def default_terms(system: System, options: HamiltonianConfig) -> tuple[Term, ...]:
    """Returns kinetic energy and Coulomb interaction, the latter by Ewald sums in a periodic cell.

    Args:
        system: Concrete arrays: the shape of the cell decides which Ewald terms are kept.
        options: The method's `hamiltonian` section.
    """
    pairs = make_ewald(system, options.ewald_tolerance) if system.cell.periodic else coulomb
    return make_kinetic(options.laplacian), potential(pairs)


def make_hamiltonian(
    system: System, options: HamiltonianConfig, terms: Sequence[Term] | None = None
) -> Hamiltonian:
    """Builds the Hamiltonian of a system.

    Args:
        system: Concrete arrays, used for choices alone; `local_energy` takes its numbers from
            the (traced) system it is given, which may differ in lattice, positions and twist.
        options: The method's `hamiltonian` section.
        terms: What to sum instead of `default_terms(system, options)`. Names must differ.
    """
    terms = default_terms(system, options) if terms is None else tuple(terms)

    def local_energy(log_psi, walker, system, key) -> LocalEnergy:
        parts: dict[str, Array] = {}
        for term in terms:
            parts |= term(log_psi, walker, system, key)
        total = sum(parts.values())
        return LocalEnergy(
            jnp.real(total), jnp.imag(total), {name: jnp.real(part) for name, part in parts.items()}
        )

    return Hamiltonian(local_energy)

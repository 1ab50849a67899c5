"""The contracts between the parts of the engine.

Axis letters: n particles, A nuclei, W walkers, D determinants, K k-points.
A walker is a plain array (n, 3) of Cartesian positions in bohr, species by species.
Everything here is written for one walker; batching is a `vmap` at the call site.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax import Array

from engine.system.system import System

Params = Any
Walker = Array
Key = Array


class LogPsi(NamedTuple):
    """psi = exp(log + i arg), both real scalars; a real psi has arg in {0, pi}."""

    log: Array
    arg: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Basis:
    """Contracted Gaussian shells of the simulation cell, spherical, in PySCF's order.

    chi(r) = sum_p coefficient_p exp(-exponent_p |r-R|^2) |r-R|^l Y_lm(r-R), with
    coefficients that hold all normalisation. Shells are ordered by atom of
    `System.positions`; l = 1 is ordered x, y, z, higher l by m = -l..l.

    Attributes:
        exponents: One (p,) array per shell, 1/bohr^2.
        coefficients: One (p, c) array per shell: c contracted functions share the shell's l.
        atoms: Atom index of each shell.
        angular: l of each shell.
    """

    exponents: tuple[Array, ...]
    coefficients: tuple[Array, ...]
    atoms: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    angular: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    @property
    def size(self) -> int:
        """Number of basis functions."""
        widths = (c.shape[1] for c in self.coefficients)
        return sum((2 * l + 1) * w for l, w in zip(self.angular, widths, strict=True))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AtomicOrbitals:
    """The occupied orbitals as combinations of atomic functions alone, none left to plane waves.

    Attributes:
        coefficients: Per species (n_s, ao); complex in a periodic cell with complex orbitals.
        basis: The Gaussians, all of them.
    """

    coefficients: tuple[Array, ...]
    basis: Basis


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Reference:
    """The occupied mean-field orbitals of the simulation cell at its twist.

    phi_j(r) = sum_T exp(i twist.T) sum_mu coefficients[s][j, mu] chi_mu(r - T)
             + sum_G wave_coefficients[s][j, G] exp(i (G + twist).r),

    T over lattice vectors of the simulation cell (T = 0 only in an open cell), G over its
    reciprocal vectors: diffuse Gaussians are cheaper as plane waves. Without any of both
    phi_j(r) = exp(i kpoints[s][j].r) in a periodic cell (electron gas), and harmonic-oscillator
    orbitals in an open one (positronium).

    Attributes:
        coefficients: Per species (n_s, ao); complex in a periodic cell, else real.
        kpoints: Per species (n_s, 3), 1/bohr: the Bloch vector of the primitive-cell orbital.
            Differs from the twist vector by a reciprocal vector of the simulation cell.
        basis: The Gaussian basis.
        images: (T, 3) integer lattice translations that reach the cell, (0, 0, 0) first.
        wave_coefficients: Per species (n_s, G) complex; empty without plane waves.
        waves: (G, 3) integers in units of the reciprocal vectors.
        atomic: The same orbitals in atomic functions, where the mean field has any.
        centres: (A, 3) where the Gaussians sit, bohr; None for the nuclei.
        broken: Whether up and down differ in a mean field with as many of each: exchanging
            their orbitals gives another determinant of the same energy.
        antiperiodic: Whether real orbitals may change sign from cell to cell: twists of 1/2.
    """

    coefficients: tuple[Array, ...]
    kpoints: tuple[Array, ...]
    basis: Basis
    images: tuple[tuple[int, int, int], ...] = dataclasses.field(metadata={"static": True})
    wave_coefficients: tuple[Array, ...] = ()
    waves: tuple[tuple[int, int, int], ...] = dataclasses.field(
        default=(), metadata={"static": True}
    )
    atomic: AtomicOrbitals | None = None
    centres: Array | None = None
    broken: bool = dataclasses.field(default=False, metadata={"static": True})
    antiperiodic: bool = dataclasses.field(default=False, metadata={"static": True})


class Alone(NamedTuple):
    """What depends on one particle alone; with an axis of particles in front where there are n.

    Attributes:
        features: (f,) that the backbone reads, or None.
        factors: (g,) that multiply the orbitals, or None.
        summed: (h,) of which the backbone reads the sum over all particles, or None.
        rows: Any other arrays, which are read through the operations of `engine/rows.py` alone.
    """

    features: Array | None = None
    factors: Array | None = None
    summed: Array | None = None
    rows: tuple[Array, ...] = ()


NOTHING = Alone()
"""Nothing is given of single particles."""


class Parts(NamedTuple):
    """A trial state as a function of walker, sums over pairs, and what single particles give.

        sums[i, s] = sum_j weights[s, j] pairs(r_i - r_j)

    Derivatives of a pair's features are those in the three components of its displacement, those
    of a single particle's in its position, however many particles there are: the kinetic energy
    makes use of it.

    Attributes:
        apply: (params, walker, sums (n, S, F) or None, Alone, J or None, system, reference) ->
            LogPsi; in `Alone` the features, factors and rows of all particles, (n, f), (n, g) and
            (n, ...), and the sum (h,); J is the logarithm of the pair factor.
        pairs: (params, displacements (..., 3), itself (...), system) -> (..., F); `itself` is 1
            for the pair of a particle with itself, else 0. None where none are read.
        weights: (system) -> (S, n).
        single: (params, position (3,), species, system, reference) -> Alone, `NOTHING` where
            nothing is made of single particles; the species is an index.
        factor: (params, displacement (3,), index, system) -> logarithm of the pair factor of
            pair `index` of all i < j, row by row. None where there is no such factor.
        alike: Whether `single` is the same function for every species.
    """

    apply: Callable[..., LogPsi]
    pairs: Callable[[Params, Array, Array, System], Array] | None
    weights: Callable[[System], Any]
    single: Callable[[Params, Array, int, System, Reference], Alone]
    factor: Callable[[Params, Array, Array, System], Array] | None
    alike: bool = False


class Wavefunction(NamedTuple):
    """A trial state.

    Attributes:
        init: (key, system, reference) -> params.
        apply: (params, walker, system, reference) -> LogPsi.
        orbitals: (params, walker, system, reference) -> (D, n, n) matrices of which psi is the
            sum of determinants (times a Jastrow factor), rows particles, columns orbitals
            species by species; real or complex. None where there is nothing to pretrain, or the
            determinants have weights.
        parts: The same state in parts, where it has some.
    """

    init: Callable[[Key, System, Reference], Params]
    apply: Callable[[Params, Walker, System, Reference], LogPsi]
    orbitals: Callable[[Params, Walker, System, Reference], Array] | None = None
    parts: Parts | None = None


@dataclasses.dataclass(frozen=True)
class Psi:
    """A trial state with everything given but the walker: maps (n, 3) to LogPsi."""

    wavefunction: Wavefunction
    params: Params
    system: System
    reference: Reference

    def __call__(self, walker: Walker) -> LogPsi:
        return self.wavefunction.apply(self.params, walker, self.system, self.reference)


class LocalEnergy(NamedTuple):
    """E_L = (H psi)/psi at one walker, hartree per simulation cell.

    Attributes:
        real: Real part.
        imag: Imaginary part; averages to zero.
        parts: Real part of each named term; their sum is `real`.
    """

    real: Array
    imag: Array
    parts: dict[str, Array]


class Hamiltonian(NamedTuple):
    """A sum of named terms.

    Attributes:
        local_energy: (log_psi, walker, system, key) -> LocalEnergy, where `log_psi` maps a
            walker (n, 3) to LogPsi: any function, or a `Psi`.
    """

    local_energy: Callable[[Callable[[Walker], LogPsi], Walker, System, Key], LocalEnergy]


class Sampler(NamedTuple):
    """Draws walkers from exp(log_density).

    `log_density` maps (W, n, 3) walkers to (W,).

    Attributes:
        init: (walkers, system) -> state.
        step: (key, log_density, state, system, adapt) -> (state, info); `adapt` is a traced
            0 or 1 that switches width adaptation.
    """

    init: Callable[..., Any]
    step: Callable[..., tuple[Any, dict[str, Array]]]


class Optimizer(NamedTuple):
    """One face for KFAC and first-order methods.

    `batch` is (walkers, weights_re, weights_im, system, reference); weights are the clipped,
    centred local energies.

    Attributes:
        init: (params, key, batch) -> state.
        step: (params, state, key, batch) -> (params, state, info).
    """

    init: Callable[..., Any]
    step: Callable[..., tuple[Params, Any, dict[str, Array]]]


class Estimator(NamedTuple):
    """What evaluation accumulates beside the energy.

    Attributes:
        init: () -> state, a pytree of arrays; a checkpoint stores it.
        update: (state, params, walkers (W, n, 3), energy (W,), system, reference, key) -> state;
            the real parts of their local energies, hartree.
        finish: (state, system) -> name -> `engine.io.observables.Observable`; on the host.
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    finish: Callable[[Any, System], dict[str, Any]]


class VmcState(NamedTuple):
    """Exactly what a checkpoint stores."""

    params: Params
    sampler: Any
    optimizer: Any
    step: int

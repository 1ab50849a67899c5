"""Orbitals made from mean-field orbitals: one set of parameters for twists, supercells, geometries.

Each determinant is made of the mean field's orbitals in which every atomic function is dressed by
what surrounds electron and nucleus:

    phi_kj(r_i) = sum_mu c_mu,j S_mu(r_i) f_k,mu(i, I),   f = 1 + w_k,mu . a_iI (+ i v_k,mu . a_iI),
    a_iI = tanh(W h_i + V e_iI + U sum_j e_jI * h_j),

S the functions of `atomic.py`, e_iI and h_i the features of `surroundings.py`. phi is linear in the
mean field's coefficients, so that psi does not depend on which orbitals span the occupied space,
nor on their phases. f is lattice periodic; S has the twist's phase. Where a mean field breaks the
symmetry of spins (`Reference.broken`), every other determinant has its up and down exchanged, and a
weight: as long as the dressing is small, one makes psi even under exchange of all spins (spin 0, 2,
...), minus one odd (1, 3, ...).

Where the mean field has plane waves, phi_kj(r_i) = f_k(i) exp(i k_j.(r_i + xi_k(i))) with a
backflow xi.

After M. Scherbela, L. Gerard and P. Grohs, Nat. Commun. 15, 120 (2024), and for solids L. Gerard,
M. Scherbela, H. Sutterud, W. M. C. Foulkes, P. Grohs, arXiv:2405.07599 (2024), whose orbitals are
non-linear in the coefficients.
"""

from __future__ import annotations

import logging

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine import compiling
from engine.config import AnsatzConfig
from engine.errors import ConfigError
from engine.rows import row_products, row_tanh
from engine.system.system import System
from engine.trigonometry import cos_pi, sin_pi
from engine.types import AtomicOrbitals, Reference, Wavefunction
from engine.wavefunction import atomic, features
from engine.wavefunction.atomic import Element
from engine.wavefunction.determinant import Expansion
from engine.wavefunction.images import images
from engine.wavefunction.layers import Dense
from engine.wavefunction.network import network
from engine.wavefunction.surroundings import (
    Frame,
    NuclearSurroundings,
    Seen,
    Surroundings,
    kinds,
)

log = logging.getLogger(__name__)

DRESSING = nn.initializers.variance_scaling(0.03, "fan_in", "normal")
"""Small: psi starts close to the mean field, the determinants a little apart."""
FAR_OFF = 0.3
"""By this part of an orbital's norm atomic functions may start from those of the basis."""


class AtomicHead(nn.Module):
    """Dressed atomic functions times the mean field's coefficients.

    Attributes:
        elements: Of the system.
        determinants: Number of determinants D.
        width: Features per particle and nucleus.
        exchange: Weight that determinants with spins exchanged start with.
        complex_orbitals: Complex or real dressing.
        dtype: Of the parameters.
    """

    elements: tuple[Element, ...]
    determinants: int
    width: int
    exchange: float
    complex_orbitals: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, seen: Seen, walker: Array, system: System, reference: Reference
    ) -> Expansion:
        """Returns the determinants."""
        own = Dense(self.width, self.dtype, name="particle")(seen.h)
        tables = _padded(reference.atomic.coefficients)
        order = [np.arange(len(system.counts))]
        if exchanges(self.determinants, reference):
            order.append(np.asarray(system.spin_flip))
        found = [0] * len(order)
        for e, element in enumerate(self.elements):
            f = self._factors(e, own, seen, system)
            for k, species in enumerate(order):
                c = atomic.coefficients(element, tables[species])
                c = [x[system.members].astype(f.dtype) for x in c]
                each = f[:, :, :, k :: len(order)]
                found[k] = found[k] + row_products(each, *seen.functions[e], *c)
        blocks = [
            jnp.concatenate([x[:, part, : part.stop - part.start] for x in found])
            for part in features.species_slices(system)
        ]
        weights = self._weights() if len(order) > 1 else None
        return Expansion(blocks, seen.log_scale, weights)

    def _weights(self) -> Array:
        """Returns the (D,) weights of the determinants, those with spins exchanged last."""
        exchanged = self.determinants // 2
        start = nn.initializers.constant(self.exchange, self.dtype)
        weights = self.param("exchange", start, (exchanged,))
        return jnp.concatenate([jnp.ones(self.determinants - exchanged, self.dtype), weights])

    def _factors(self, k: int, own: Array, seen: Seen, system: System) -> Array:
        """Returns (n, A_Z, parts, D, t): what multiplies the functions of an element's atoms."""
        symbol, functions = self.elements[k].symbol, self.elements[k].functions
        crowd = Dense(self.width, self.dtype, bias=False, name=f"crowd_{symbol}")(seen.crowd[k])
        a = row_tanh(own, seen.sites[k], crowd, jnp.asarray(system.members))
        parts = 2 if self.complex_orbitals else 1
        size = parts * self.determinants * functions
        rows = [
            Dense(size, self.dtype, name=f"dressing_{symbol}_{kind}", kernel=DRESSING)(a[part])
            for kind, part in kinds(system)
        ]
        out = jnp.concatenate(rows).reshape(*a.shape[:2], parts, self.determinants, functions)
        one = np.zeros((parts, 1, 1))
        one[0] = 1.0
        return out + jnp.asarray(one, out.dtype)


class WaveHead(nn.Module):
    """Plane waves of the mean field at positions shifted by a backflow, dressed.

    Attributes:
        determinants: Number of determinants D.
        dtype: Of the parameters.
    """

    determinants: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(
        self, seen: Seen, walker: Array, system: System, reference: Reference
    ) -> Expansion:
        """Returns the determinants."""
        n, count = len(walker), 5 * self.determinants
        rows = [
            Dense(count, self.dtype, name=f"dressing_{kind}", kernel=DRESSING)(seen.h[part])
            for kind, part in kinds(system)
        ]
        out = jnp.concatenate(rows).reshape(n, self.determinants, 5)
        spacing = jnp.asarray(system.spacing, walker.dtype)
        shifted = walker[:, None] + spacing * out[..., 2:]
        blocks = []
        for part, k in zip(features.species_slices(system), reference.kpoints, strict=True):
            half_turns = jnp.einsum("ikx,jx->kij", shifted[part], (k / jnp.pi).astype(walker.dtype))
            real, imag = (out[part, :, x].T[..., None] for x in (0, 1))
            real, cosine, sine = real + 1, cos_pi(half_turns), sin_pi(half_turns)
            blocks.append(jax.lax.complex(real * cosine - imag * sine, real * sine + imag * cosine))
        return Expansion(blocks, jnp.zeros(n, walker.dtype))


def make(
    config: AnsatzConfig,
    system: System,
    reference: Reference,
    *,
    complex_orbitals: bool,
    dtype,
    reference_orbitals=None,
) -> Wavefunction:
    """Returns the network of `config` on the mean field's atomic functions or plane waves.

    Raises:
        ConfigError: The mean field has neither.
    """
    del reference_orbitals
    if reference.atomic is None and (system.symbols or not system.cell.periodic):
        raise ConfigError(
            "ansatz 'transferable' without orbitals of the mean field that it knows",
            where="section 'ansatz', key 'name'",
            expected="Gaussian orbitals of atoms, or an electron gas",
            remedy="take ferminet or psiformer",
        )
    dtype = jnp.dtype(dtype)
    sizes = (config.layers, config.width, config.pair_width, config.jastrow, dtype)
    if reference.atomic:
        waves = 2 if complex_orbitals else int(reference.antiperiodic)
        frame = Frame(
            atomic.elements(system.symbols, reference.atomic.basis),
            images(system),
            waves=waves if system.cell.periodic else 0,
        )
        _check_start(system, reference.atomic, frame)
        backbone = NuclearSurroundings(*sizes, frame=frame)
        head = AtomicHead(
            frame.elements,
            config.determinants,
            config.pair_width,
            config.exchange,
            complex_orbitals,
            dtype,
        )
    else:
        backbone, head = Surroundings(*sizes), WaveHead(config.determinants, dtype)
    made = network(
        backbone,
        config,
        system,
        complex_orbitals=complex_orbitals,
        dtype=dtype,
        head=head,
        shared=True,
    )
    # Half of the determinants are not those of the mean field that pretraining would fit.
    return made._replace(orbitals=None) if exchanges(config.determinants, reference) else made


def _check_start(system: System, orbitals: AtomicOrbitals, frame: Frame) -> None:
    """Warns of atomic functions that exponentials within the reach cannot be."""

    def misfits(basis, charges):
        return [
            [atomic.misfit(basis, s, charges[e.atoms[0]], frame.images) for s in e.shells]
            for e in frame.elements
        ]

    quick = compiling.jit(misfits, compiling.QUICK)
    found = quick(orbitals.basis, jnp.asarray(system.charges))
    for element, of_element in zip(frame.elements, found, strict=True):
        for shells, missed in zip(element.shells, of_element, strict=True):
            share = max(
                float(
                    np.max(np.abs(np.asarray(c)[:, shells.columns]), axis=(0, 1, 3))
                    @ np.asarray(missed)
                )
                for c in orbitals.coefficients
                if len(c)
            )
            if share > FAR_OFF:
                log.warning(
                    "functions of %s with l = %d cannot be those of the basis: orbitals of ansatz "
                    "'transferable' start up to %.0f %% off the mean field's. Take a basis "
                    "with less diffuse functions (mean_field.basis; for crystals pob-tzvp)",
                    element.symbol,
                    shells.angular,
                    100 * share,
                )


def _padded(coefficients: tuple[Array, ...]) -> Array:
    """Returns (S, J, ao), J the largest number of orbitals, the others followed by zeros."""
    most = max(len(c) for c in coefficients)
    return jnp.stack([jnp.pad(c, ((0, most - len(c)), (0, 0))) for c in coefficients])


def exchanges(determinants: int, reference: Reference) -> bool:
    """Tells whether every other determinant takes the orbitals of the opposite spin."""
    return reference.broken and determinants > 1

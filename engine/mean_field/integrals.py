"""The Hamiltonian of a simulation cell in the orbitals a method asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.errors import ConfigError
from engine.io.integrals import Integrals
from engine.io.mean_field import MeanField
from engine.mean_field import orbital_basis as basis
from engine.mean_field.correlated import cisd_density
from engine.mean_field.pyscf_integrals import bloch_integrals, localise
from engine.mean_field.translations import cell_translations
from engine.system.supercell import translations

LOCALISED = ("boys", "pipek-mezey")
"""Orbitals that molecules alone can have."""
NATURAL = ("natural", "natural-cisd")
"""Eigenvectors of the density matrix of MP2 or CISD."""


def make_integrals(
    field: Any,
    mean_field: MeanField,
    S: np.ndarray,
    *,
    orbitals: str = "canonical",
    frozen: int = 0,
    active: int | None = None,
    is_complex: bool = False,
) -> Integrals:
    """Returns integrals of the simulation cell.

    Args:
        field: PySCF mean-field object with the cell, k-points and density fitting.
        mean_field: Its solution.
        S: (3, 3) integers, supercell L = S @ a; identity for a molecule.
        orbitals: "canonical", "natural" (MP2), "natural-cisd", "oao", "boys" or "pipek-mezey".
        frozen: Doubly occupied orbitals left out, lowest first.
        active: Orbitals kept after those; all where None.
        is_complex: Whether the integrals are complex (twists other than 0 and 1/2).

    Raises:
        ConfigError: Orbitals that this material cannot have.
    """
    periodic = mean_field.lattice is not None
    cells = translations(np.asarray(S)) @ mean_field.lattice if periodic else np.zeros((1, 3))
    n_up, n_down = (round(float(spin.sum())) for spin in mean_field.occupation[:2])
    size = mean_field.coeff.shape[-2] * len(cells)
    _check(orbitals, n_up, n_down, size, frozen, active, periodic)
    bloch = bloch_integrals(field)
    oao = basis.wannier(bloch, mean_field, cells, is_complex=is_complex)
    rotation = _rotation(oao, orbitals, n_up, field, bloch, mean_field)
    whole = oao.rotated(rotation)
    space, energy, kinetic = basis.freeze(whole, frozen, active)
    places, turns = None, None
    if periodic and orbitals == "oao":
        m = mean_field.coeff.shape[-2]
        places, turns = cell_translations(np.asarray(S), mean_field.twist, m)
    return Integrals(
        one_body=space.one_body,
        two_body=space.two_body,
        kinetic=space.kinetic,
        up=space.up,
        down=space.down,
        nuclear=len(cells) * bloch.nuclear,
        madelung=-0.5 * bloch.madelung * (n_up + n_down),
        frozen=energy,
        frozen_kinetic=kinetic,
        mean_field=mean_field.simulation_energy,
        orbitals=orbitals,
        twist=np.asarray(mean_field.twist, float),
        n_cells=len(cells),
        places=places,
        turns=turns,
    )


def _check(
    orbitals: str,
    n_up: int,
    n_down: int,
    n: int,
    frozen: int,
    active: int | None,
    periodic: bool,
) -> None:
    where = "integrals, key "
    if periodic and orbitals in LOCALISED:
        raise ConfigError(
            f"{orbitals} orbitals in a periodic cell",
            where=f"{where}'orbitals'",
            expected="canonical, natural or oao",
            remedy="set orbitals: oao, which are local in crystals too",
        )
    if orbitals in NATURAL and n_up != n_down:
        raise ConfigError(
            f"natural orbitals of {n_up} + {n_down} electrons",
            where=f"{where}'orbitals'",
            expected="a closed shell: the density is that of restricted MP2 or CISD",
            remedy="set orbitals: canonical",
        )
    if frozen > n_down or (frozen and orbitals == "oao"):
        raise ConfigError(
            f"{frozen} frozen orbitals of {orbitals} kind",
            where=f"{where}'frozen'",
            expected=f"at most {n_down}, in orbitals that are occupied or empty",
            remedy="lower frozen, or set orbitals: canonical",
        )
    if active is not None and (active > n - frozen or active < n_up - frozen):
        raise ConfigError(
            f"{active} active orbitals",
            where=f"{where}'active'",
            expected=f"between {n_up - frozen} and {n - frozen}",
            remedy="delete the key to keep all orbitals",
        )
    if active is not None and active < n - frozen and orbitals in ("oao", *LOCALISED):
        raise ConfigError(
            f"an active space of {orbitals} orbitals, which have no order",
            where=f"{where}'active'",
            expected="canonical or natural orbitals",
            remedy="delete the key, or set orbitals: natural",
        )


def _rotation(oao, kind: str, n_up: int, field: Any, bloch: Any, mean_field: MeanField):
    if kind == "oao":
        return np.eye(len(oao.one_body))
    C = basis.canonical(oao)
    if kind == "canonical":
        return C
    if kind == "natural":
        return C @ basis.natural(oao.rotated(C), n_up)
    if kind == "natural-cisd":
        space = oao.rotated(C)
        density = cisd_density(space.one_body, space.two_body, space.up)
        return C @ np.linalg.eigh(density)[1][:, ::-1]
    root = basis.square_root(bloch.overlap[0])
    atomic = np.linalg.solve(root, C)
    blocks = [localise(field.mol, part, kind) for part in (atomic[:, :n_up], atomic[:, n_up:])]
    return root @ np.hstack(blocks)

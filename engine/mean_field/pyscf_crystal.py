"""Matrices of crystals by PySCF: labels on meshes of k-points, and what follows from H(k)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.config import MeanFieldConfig
from engine.errors import ConfigError, NotConvergedError
from engine.mean_field.primitive import Sampling, sampling
from engine.mean_field.pyscf_predicted import DEPENDENT
from engine.mean_field.pyscf_solver import NONE, field_of, molecule_of
from engine.system.geometry import Geometry


@dataclasses.dataclass(frozen=True, eq=False)
class CrystalLabel:
    """One geometry of a crystal on a mesh of K k-points; n orbitals, per cell, hartree.

    Attributes:
        lattice: (3, 3) rows, bohr, vacuum shortened.
        atoms: (A, 3) positions in that cell, bohr.
        kpoints: (K, 3) 1/bohr.
        fock: (K, n, n) converged, with the Bloch sums of PySCF.
        overlap: (K, n, n).
        core: (K, n, n).
        guess: (K, n, n) Fock matrix of the initial guess's density.
        density: (K, n, n) both spins.
        occupied: (K,) doubly occupied orbitals.
        energy: Total energy.
        cycles: Iterations from the initial guess.
    """

    lattice: np.ndarray
    atoms: np.ndarray
    kpoints: np.ndarray
    fock: np.ndarray
    overlap: np.ndarray
    core: np.ndarray
    guess: np.ndarray
    density: np.ndarray
    occupied: np.ndarray
    energy: float
    cycles: int


@dataclasses.dataclass(frozen=True, eq=False)
class CrystalPhysics:
    """What follows from a Hamiltonian H(k) of a crystal.

    Attributes:
        levels: (K, n) hartree.
        density: (K, n, n) both spins.
        potential: PySCF's effective potential of that density.
        energy: Functional at that density, hartree per cell.
        residual: Root mean square over k-points of F D S - S D F between orthonormal functions.
    """

    levels: np.ndarray
    density: np.ndarray
    potential: Any
    energy: float
    residual: float


def crystal_field(
    geometry: Geometry,
    mesh: Any,
    options: MeanFieldConfig,
    pseudopotentials: Mapping[str, str] = NONE,
) -> tuple[Any, Sampling]:
    """Returns the closed-shell mean field of a crystal on a mesh around Gamma, not iterated.

    Raises:
        ConfigError: An odd number of electrons on the whole mesh.
    """
    points = sampling(geometry, np.diag(mesh), np.zeros(3), options.vacuum_bohr)
    cell = molecule_of(points.geometry, points, 0, 0, options, pseudopotentials)
    total = int(cell.tot_electrons(len(points.frac)))
    if total % 2:
        raise ConfigError(
            f"{total} electrons on {len(points.frac)} k-points",
            where="labels, key 'kmesh'",
            expected="an even number",
            remedy="choose an even number of k-points, or a cell twice as large",
        )
    field = field_of(cell, points, total // 2, total // 2, options)
    field.callback = None
    return field, points


def crystal_label(
    geometry: Geometry,
    mesh: Any,
    options: MeanFieldConfig,
    guess: str,
    pseudopotentials: Mapping[str, str] = NONE,
) -> CrystalLabel:
    """Returns the matrices of a converged crystal.

    Args:
        geometry: Periodic, closed-shell.
        mesh: (3,) k-points along each reciprocal vector.
        options: The `mean_field` section.
        guess: PySCF's name of the initial guess.
        pseudopotentials: Element -> GTH pseudopotential.

    Raises:
        NotConvergedError: No self-consistency.
    """
    field, points = crystal_field(geometry, mesh, options, pseudopotentials)
    start = field.get_init_guess(key=guess)
    initial = np.asarray(field.get_fock(dm=start))
    field.kernel(dm0=start)
    if not field.converged:
        raise NotConvergedError(
            f"no self-consistency in {options.max_cycles} cycles",
            where="labels",
            expected=f"a change below {options.convergence_ha:g} hartree per cell",
            remedy="in mean_field raise max_cycles, or choose another labels.kmesh",
        )
    density = np.asarray(field.make_rdm1())
    return CrystalLabel(
        lattice=points.geometry.lattice,
        atoms=points.geometry.positions,
        kpoints=points.kpoints,
        fock=_complex(field.get_fock(dm=density)),
        overlap=_complex(field.get_ovlp()),
        core=_complex(field.get_hcore()),
        guess=_complex(initial),
        density=_complex(density),
        occupied=np.array([round(float(np.sum(o)) / 2) for o in field.mo_occ]),
        energy=float(field.e_tot),
        cycles=int(field.cycles),
    )


def guess_matrices(
    geometry: Geometry,
    mesh: Any,
    options: MeanFieldConfig,
    guess: str,
    pseudopotentials: Mapping[str, str] = NONE,
) -> tuple[np.ndarray, Sampling]:
    """Returns H0(k), the Fock matrices of the initial guess on a mesh, and the mesh."""
    field, points = crystal_field(geometry, mesh, options, pseudopotentials)
    return _complex(field.get_fock(dm=field.get_init_guess(key=guess))), points


def crystal_shells(
    geometry: Geometry, options: MeanFieldConfig, pseudopotentials: Mapping[str, str] = NONE
) -> dict[str, list[int]]:
    """Returns symbol -> l of each contracted shell in PySCF's order."""
    cell = crystal_field(geometry, (2, 1, 1), options, pseudopotentials)[0].cell
    found: dict[int, list[int]] = {}
    for shell in range(cell.nbas):
        row = found.setdefault(int(cell.bas_atom(shell)), [])
        row += [int(cell.bas_angular(shell))] * int(cell.bas_nctr(shell))
    return {geometry.symbols[atom]: row for atom, row in found.items()}


def solved(field: Any, hamiltonian: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns levels and orbitals of H(k) C = S(k) C e at the k-points of a field."""
    levels, vectors = [], []
    for h, s in zip(hamiltonian, field.get_ovlp(), strict=True):
        values, root = np.linalg.eigh(s)
        kept = values > DEPENDENT
        root = root[:, kept] / np.sqrt(values[kept])
        energy, rotated = np.linalg.eigh(root.conj().T @ h @ root)
        levels.append(energy)
        vectors.append(root @ rotated)
    return levels, vectors


def filled(field: Any, hamiltonian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns levels (K, n) and density (K, n, n) of H(k), the lowest of all k-points filled."""
    levels, vectors = solved(field, hamiltonian)
    occupation = field.get_occ(levels, vectors)
    density = [(c * o) @ c.conj().T for c, o in zip(vectors, occupation, strict=True)]
    width = max(map(len, levels))
    padded = [np.pad(e, (0, width - len(e)), constant_values=np.inf) for e in levels]
    return np.array(padded), np.array(density)


def crystal_physics(field: Any, hamiltonian: np.ndarray) -> CrystalPhysics:
    """Returns levels, density, energy and residual of H(k) at the k-points of a field."""
    levels, density = filled(field, hamiltonian)
    potential = field.get_veff(field.cell, density)
    fock = field.get_fock(dm=density, vhf=potential)
    energy = float(np.real(field.energy_tot(dm=density, vhf=potential)))
    return CrystalPhysics(levels, density, potential, energy, residual(field, density, fock))


def remember(field: Any, physics: CrystalPhysics) -> None:
    """Gives a field the potential of a density that it will ask for again: that of its start."""
    plain = field.get_veff

    def get_veff(cell: Any = None, dm: Any = None, *others: Any, **named: Any) -> Any:
        if dm is not None and np.array_equal(dm, physics.density):
            return physics.potential
        return plain(cell, dm, *others, **named)

    field.get_veff = get_veff


def residual(field: Any, density: Any, fock: Any = None) -> float:
    """Returns the root mean square over k-points of F D S - S D F, hartree."""
    fock = field.get_fock(dm=density) if fock is None else fock
    squares = []
    for f, d, s in zip(fock, density, field.get_ovlp(), strict=True):
        values, vectors = np.linalg.eigh(s)
        kept = values > DEPENDENT
        root = vectors[:, kept] / np.sqrt(values[kept]) @ vectors[:, kept].conj().T
        squares.append(np.mean(np.abs(root @ (f @ d @ s - s @ d @ f) @ root) ** 2))
    return float(np.sqrt(np.mean(squares)))


def cycles(field: Any, start: Any) -> tuple[int, float]:
    """Returns (SCF iterations, converged energy per cell) from a density, or a named guess."""
    density = field.get_init_guess(key=start) if isinstance(start, str) else start
    energy = field.kernel(dm0=density)
    return int(field.cycles), float(energy)


def _complex(matrices: Any) -> np.ndarray:
    return np.array([np.asarray(m, dtype=complex) for m in matrices])

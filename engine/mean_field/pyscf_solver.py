"""Hartree-Fock and Kohn-Sham orbitals by PySCF; with `basis_sets` the only module that uses it.

Two-electron integrals of a periodic cell (`mean_field.integrals`):

gdf    Gaussian density fitting: all electrons, any basis. Fitting error about 1e-5 hartree per
       atom. The cheapest wherever it was tried (LiH/cc-pVDZ at Gamma: 13 s).
rsdf   range-separated Gaussian density fitting: the same energy to 1e-7; as cheap in chains and
       layers with vacuum, far more expensive in compact crystals (LiH: 240 s).
mdf    Gaussians mixed with plane waves: about ten times closer and slower; to check a fit.
fft    plane waves only: no fitting error, but the mesh must resolve the sharpest Gaussian, which
       core electrons make huge. For hydrogen, helium and soft basis sets.

All but fft are quick where a twist is a simple fraction (grids are); an arbitrary twist of a
compact crystal takes them minutes, since PySCF looks for a mesh that holds all k-points.

A molecule uses exact integrals. Exchange in a periodic cell has the Ewald correction of the
whole supercell, so that the energy is that of the determinant under Ewald interaction.
"""

from __future__ import annotations

import logging
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyscf
from pyscf import df, dft, gto, scf
from pyscf.pbc import dft as pbc_dft
from pyscf.pbc import gto as pbc_gto
from pyscf.pbc import scf as pbc_scf
from pyscf.pbc.tools.k2gamma import kpts_to_kmesh

from engine.config import MeanFieldConfig
from engine.errors import ConfigError, NotConvergedError
from engine.io.mean_field import MeanField, Shell
from engine.mean_field.basis_sets import check_options, check_orbitals
from engine.mean_field.moments import log_moments, polarised
from engine.mean_field.occupation import aufbau
from engine.mean_field.positrons import positron_orbitals
from engine.mean_field.primitive import Sampling, sampling
from engine.mean_field.pyscf_grid import KeptOrbitals
from engine.system.geometry import Geometry
from engine.system.particles import positron_spins
from engine.system.supercell import n_cells

log = logging.getLogger(__name__)

DEGENERATE_HA = 1e-4
"""A smaller gap means a degenerate open shell."""

LARGE_MESH = 1000
"""PySCF is slow if the mesh that holds all k-points has more points."""

NONE: Mapping[str, str] = types.MappingProxyType({})
"""No pseudopotentials: all electrons."""

DEPENDENT = 1e8
"""An overlap matrix with a larger condition number is called linearly dependent."""

METHODS = {
    (False, "rhf"): scf.RHF,
    (False, "uhf"): scf.UHF,
    (False, "rohf"): scf.ROHF,
    (False, "rks"): dft.RKS,
    (True, "rhf"): pbc_scf.KRHF,
    (True, "uhf"): pbc_scf.KUHF,
    (True, "rohf"): pbc_scf.KROHF,
    (True, "rks"): pbc_dft.KRKS,
}


def solve(
    primitive: Geometry,
    S: np.ndarray,
    n_up: int,
    n_down: int,
    charge: int,
    twist: Any,
    options: MeanFieldConfig,
    positrons: int = 0,
    iterate: Callable[[Any, MeanFieldConfig], Any] | None = None,
    pseudopotentials: Mapping[str, str] = NONE,
) -> MeanField:
    """Returns the converged mean field of the primitive cell at the k-points the supercell folds.

    Args:
        primitive: Primitive cell or molecule.
        S: (3, 3) integers, supercell L = S @ a; identity for a molecule.
        n_up: Spin-up electrons of the simulation cell.
        n_down: Spin-down electrons of the simulation cell.
        charge: Net charge of the simulation cell, positrons included.
        twist: (3,) fractions of the simulation cell's reciprocal vectors.
        options: The `mean_field` section.
        positrons: Positrons of the simulation cell.
        iterate: (field, options) -> field with orbitals; `converge` when left out.
        pseudopotentials: Element -> GTH pseudopotential by its PySCF name.

    Raises:
        ConfigError: Basis, element, functional or spin that cannot be computed.
        NotConvergedError: No self-consistency, not even by the second-order method.
    """
    _check(primitive, n_up, n_down, options, pseudopotentials)
    most = max(n_up, n_down, *positron_spins(positrons))
    check_orbitals(options, primitive.symbols, n_cells(S), most, "mean_field")
    twist = np.asarray(twist, dtype=float)
    points = sampling(primitive, S, twist, options.vacuum_bohr) if primitive.periodic else None
    molecule = molecule_of(
        points.geometry if points else primitive,
        points,
        n_up - n_down,
        charge - positrons,
        options,
        pseudopotentials,
    )
    field = field_of(molecule, points, n_up, n_down, options)
    _warn_dependence(field, points is not None)
    field = (iterate or converge)(field, options)
    geometry = points.geometry if points else primitive
    coeff, energy, occupation = _channels(field, points is not None)
    _check_occupation(occupation, n_up, n_down)
    gap, total = _gap(energy, occupation), float(field.e_tot)
    if positrons:
        found = positron_orbitals(
            field, _kinetic(molecule, points), positron_spins(positrons), coeff.shape[-1]
        )
        pairs = zip((coeff, energy, occupation), found[:3], strict=True)
        coeff, energy, occupation = (np.concatenate(pair) for pair in pairs)
        total += found.total
    return MeanField(
        kpoints=points.kpoints if points else np.zeros((1, 3)),
        coeff=coeff,
        energy=energy,
        occupation=occupation,
        shells=_shells(molecule),
        symbols=geometry.symbols,
        positions=geometry.positions,
        lattice=geometry.lattice,
        twist=twist,
        total=total,
        nuclear=float(molecule.energy_nuc()),
        gap=gap,
        converged=True,
        n_cells=len(points.frac) if points else 1,
        method=options.method,
        basis=options.basis,
        pyscf_version=pyscf.__version__,
    )


def _kinetic(molecule: Any, points: Sampling | None) -> np.ndarray:
    """Returns the matrix of -nabla^2 / 2, with a k-point axis in a crystal."""
    if points is None:
        return molecule.intor("int1e_kin")
    return np.array(molecule.pbc_intor("int1e_kin", kpts=points.kpoints))


def _check(
    primitive: Geometry,
    n_up: int,
    n_down: int,
    options: MeanFieldConfig,
    pseudopotentials: Mapping[str, str],
) -> None:
    if n_up != n_down and options.method in ("rhf", "rks"):
        raise ConfigError(
            f"method {options.method} with {n_up} spin-up and {n_down} spin-down electrons",
            where="mean_field, key 'method'",
            expected="equal numbers, or method uhf or rohf",
            remedy="set method: uhf, or spin: 0",
        )
    if n_up < n_down:
        raise ConfigError(
            f"{n_up} spin-up and {n_down} spin-down electrons",
            where="spin",
            expected="spin-up electrons in the majority",
            remedy="change the sign of spin",
        )
    check_options(options, primitive.symbols, pseudopotentials=pseudopotentials)


def molecule_of(
    geometry: Geometry,
    points: Sampling | None,
    spin: int,
    charge: int,
    options: MeanFieldConfig,
    pseudopotentials: Mapping[str, str] = NONE,
) -> Any:
    """Returns PySCF's Mole or Cell; charge and spin are those of the whole supercell."""
    molecule = gto.Mole() if points is None else pbc_gto.Cell()
    molecule.atom = list(zip(geometry.symbols, geometry.positions.tolist(), strict=True))
    molecule.unit, molecule.basis, molecule.charge, molecule.spin = "B", options.basis, charge, spin
    molecule.verbose = 1  # errors; what matters is logged here
    if points is not None:
        molecule.a = points.lattice
        molecule.pseudo = dict(pseudopotentials) or None
        molecule.mesh = options.mesh
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd electron counts per primitive cell are fine
        molecule.build(dump_input=False, parse_arg=False)
    return molecule


def field_of(
    molecule: Any, points: Sampling | None, n_up: int, n_down: int, options: MeanFieldConfig
) -> Any:
    make = METHODS[points is not None, options.method]
    if points is None:
        field = make(molecule)
    else:
        field = _fitted(make(molecule, points.kpoints, exxdiv="ewald"), options)
        field.get_occ = types.MethodType(aufbau(options.method, n_up, n_down), field)
        field._keys = field._keys | {"get_occ"}  # PySCF warns about attributes it does not know
        if options.method in ("uhf", "rohf"):
            field.nelec = (n_up, n_down)
    if options.method == "rks":
        field.xc = options.functional
        if points is not None:
            field._numint = KeptOrbitals(points.kpoints)
    field.conv_tol, field.max_cycle = options.convergence_ha, options.max_cycles
    field.level_shift = options.level_shift_ha
    field.callback = _log_cycle
    return field


def _fitted(field: Any, options: MeanFieldConfig) -> Any:
    if options.integrals == "fft":
        log.info(
            "FFT integrals on a mesh of %s points; core electrons need a fine one, use gdf if "
            "this is slow",
            " x ".join(str(n) for n in field.cell.mesh),
        )
        return field
    _warn_mesh(field.cell, field.kpts)
    fit = {"rsdf": field.rs_density_fit, "gdf": field.density_fit, "mdf": field.mix_density_fit}
    return fit[options.integrals](auxbasis=options.auxiliary_basis or _auxiliary(field.cell))


def _auxiliary(cell: Any) -> Any:
    """Returns bases made for fitting; even-tempered ones where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        auxiliary = df.make_auxbasis(cell)
    made = sorted(symbol for symbol, basis in auxiliary.items() if not isinstance(basis, str))
    if made:
        log.info("even-tempered fitting basis for %s", ", ".join(made))
    return auxiliary


def _warn_mesh(cell: Any, kpoints: np.ndarray) -> None:
    mesh = kpts_to_kmesh(cell, kpoints)
    if np.prod(mesh) > LARGE_MESH:
        log.warning(
            "no small mesh holds the k-points of this twist: the integrals take minutes and "
            "gigabytes; twists that are simple fractions (such as grids) do not"
        )


def _warn_dependence(field: Any, periodic: bool) -> None:
    overlaps = field.get_ovlp() if periodic else [field.get_ovlp()]
    worst = max(np.linalg.cond(overlap) for overlap in overlaps)
    if worst > DEPENDENT:
        log.warning(
            "the basis is nearly linearly dependent (condition number %.1e): if the mean field "
            "is slow or erratic, choose a less diffuse mean_field.basis",
            worst,
        )


def _log_cycle(env: dict[str, Any]) -> None:
    cycle = env.get("cycle", env.get("imacro"))
    log.info("cycle %s: energy %.10f hartree per primitive cell", cycle, env["e_tot"])


def converge(field: Any, options: MeanFieldConfig, start: np.ndarray | None = None) -> Any:
    """Iterates a field to self-consistency.

    Args:
        field: PySCF's SCF object.
        options: The `mean_field` section.
        start: Density matrix to start from; PySCF's own guess when left out, or where this one
            leads nowhere.

    Raises:
        NotConvergedError: No self-consistency, not even by the second-order method.
    """
    if start is not None:
        try:
            return _converge(field, options, start)
        except NotConvergedError as error:
            log.warning("not from this start (%s); ordinary guess instead", error)
            field.mo_coeff = field.mo_occ = None
    if options.magnetic_moments is None:
        return _converge(field, options, None)
    field = _converge(field, options, polarised(field, options.magnetic_moments))
    log_moments(field)
    return field


def _converge(field: Any, options: MeanFieldConfig, start: np.ndarray | None) -> Any:
    if options.newton:
        second = field.newton()
        second.kernel(dm0=start)
    else:
        field.kernel(dm0=start)
        if field.converged:
            return field
        log.warning(
            "DIIS did not converge in %d cycles; trying the second-order method", options.max_cycles
        )
        second = field.newton()
        second.kernel(field.mo_coeff, field.mo_occ)
    if second.converged:
        return second
    raise NotConvergedError(
        f"{options.method} did not converge in {options.max_cycles} cycles "
        f"(last energy {second.e_tot:.8f} hartree per primitive cell)",
        where="mean_field",
        expected=f"a change below {options.convergence_ha:g} hartree",
        remedy="in mean_field raise max_cycles, set level_shift_ha: 0.3 or newton: true, or choose "
        "another basis; in a metal or an open shell try method: uhf or a shifted twist grid",
    )


def _channels(field: Any, periodic: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns coefficients, energies and occupations with axes (spin, k-point, ...)."""
    blocks = list if periodic else (lambda whole: [whole])
    coeff, energy, occupation = field.mo_coeff, field.mo_energy, field.mo_occ
    if isinstance(field, scf.uhf.UHF | pbc_scf.kuhf.KUHF):
        spins = [tuple(map(blocks, spin)) for spin in zip(coeff, energy, occupation, strict=True)]
    else:
        levels = (getattr(energy, name, energy) for name in ("mo_ea", "mo_eb"))
        spins = [
            (blocks(coeff), blocks(level), [1.0 * (o > s) for o in blocks(occupation)])
            for s, level in enumerate(levels)
        ]
    return (
        np.array([_padded(c, 0.0) for c, _, _ in spins], dtype=complex),
        np.array([_padded(e, np.inf) for _, e, _ in spins], dtype=float),
        np.array([_padded(o, 0.0) for _, _, o in spins], dtype=float),
    )


def _padded(blocks: Any, fill: float) -> np.ndarray:
    """Stacks per-k arrays whose last axis (orbitals) may differ in length."""
    width = max(np.shape(b)[-1] for b in blocks)
    return np.stack(
        [
            np.pad(
                b,
                [(0, 0)] * (np.ndim(b) - 1) + [(0, width - np.shape(b)[-1])],
                constant_values=fill,
            )
            for b in blocks
        ]
    )


def _check_occupation(occupation: np.ndarray, n_up: int, n_down: int) -> None:
    found = occupation.sum(axis=(1, 2))
    if not np.isin(occupation, (0, 1)).all() or tuple(found) != (n_up, n_down):
        raise NotConvergedError(
            f"{found[0]:g} + {found[1]:g} electrons in whole orbitals",
            where="mean_field",
            expected=f"{n_up} + {n_down}",
            remedy="choose another twist, basis or method",
        )


def _gap(energy: np.ndarray, occupation: np.ndarray) -> float:
    gaps = []
    for e, o in zip(energy, occupation, strict=True):
        occupied, empty = e[o > 0], e[o == 0]
        if occupied.size and empty.size:
            gaps.append(float(empty.min() - occupied.max()))
    gap = min(gaps, default=np.inf)
    if gap < DEGENERATE_HA:
        log.warning(
            "the gap is %.1e hartree: a degenerate open shell; the occupied orbitals are one "
            "choice of several, and may break symmetries",
            gap,
        )
    return gap


def _shells(molecule: Any) -> tuple[Shell, ...]:
    return tuple(
        Shell(
            int(molecule.bas_atom(i)),
            int(molecule.bas_angular(i)),
            molecule.bas_exp(i).copy(),
            np.array(molecule._libcint_ctr_coeff(i)),
        )
        for i in range(molecule.nbas)
    )

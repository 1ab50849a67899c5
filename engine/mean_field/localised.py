"""The Wigner crystal: a determinant of one Gaussian per lattice site, one polarised electron each.

    phi_j(r) = sum_T exp(i theta.T) exp(-|r - R_j - T|^2 / (2 w^2)),

R_j the sites in the simulation cell, T its lattice vectors. The determinant is that of the Bloch
sums over the sites, one for each k the crystal folds into the twist,

    psi_k(r) = sum_g c_kg exp(i (k + g).r),    c_kg ~ exp(-w^2 |k + g|^2 / 2),    sum_g c_kg^2 = 1,

g over the crystal's reciprocal vectors. They are orthogonal, so the energy is a finite sum,

    E = sum_kg c_kg^2 |k + g|^2 / 2 + (2 pi / V) sum_{g != 0} |rho_g|^2 / g^2
        - (2 pi / V) sum_{k k' g, q != 0} |sum_p c_kp c_k'(p+g)|^2 / |q|^2 + N xi / 2,

rho_g = sum_kp c_kp c_k(p+g) and q = k - k' - g. The width w is the one of lowest energy. As w grows
the lowest plane wave of each k is left.
Source: W. J. Carr, Phys. Rev. 122, 1437 (1961); the sums are those of any Hartree-Fock state.
"""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize_scalar

from engine.config.electron_gas import check_sites
from engine.io.mean_field import MeanField, Shell
from engine.mean_field.lattice_sums import WAVE_COST, Triples
from engine.mean_field.plane_waves import xi
from engine.system.images import distance_to_cell
from engine.system.system import System
from engine.types import Basis, Reference

METHOD = "localised"
NEGLIGIBLE = 1e-9
"""Share of a Gaussian's value, or of its Fourier transform, that is left out."""
WIDTHS = (0.08, 0.9)
"""Range of the width that is searched, in units of the distance of neighbouring sites."""


def solve(lattice: np.ndarray, n_electrons: int, twist, sites: list[int]) -> MeanField:
    """Returns the crystal of lowest energy at a twist.

    Args:
        lattice: (3, 3) rows of the simulation cell, bohr.
        n_electrons: All of one spin, one per site.
        twist: (3,) fractions of the reciprocal vectors.
        sites: How often the crystal repeats along each lattice vector.

    Raises:
        ConfigError: Not one site per electron.
    """
    check_sites(sites, n_electrons, "section 'structure', key 'sites'")
    twist, sites = np.asarray(twist, float), np.asarray(sites)
    spacing = _nearest(lattice / sites[:, None])
    own = xi(lattice)
    found = minimize_scalar(
        lambda log: energy(lattice, twist, sites, spacing * np.exp(log), own),
        bounds=np.log(WIDTHS),
        method="bounded",
        options={"xatol": 1e-4},
    )
    width = spacing * float(np.exp(found.x))
    return _file(lattice, twist, sites, width, float(found.fun))


def site_positions(lattice: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Returns the (N, 3) sites in the simulation cell, bohr."""
    return (_grid(sites) / np.asarray(sites)) @ lattice


def energy(
    lattice: np.ndarray, twist: np.ndarray, sites: np.ndarray, width: float, own: float
) -> float:
    """Returns the energy of the determinant of Gaussians of a width, hartree per cell.

    Args:
        lattice: (3, 3) rows of the simulation cell, bohr.
        twist: (3,) fractions of the reciprocal vectors.
        sites: (3,) repetitions of the crystal.
        width: w, bohr.
        own: xi of the simulation cell, hartree.
    """
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T
    k, volume = _grid(sites) + twist, abs(np.linalg.det(lattice))
    box = _box(lattice / sites[:, None], width)
    g = _grid(2 * box + 1) - box
    vectors = (k[:, None] + g * sites) @ reciprocal
    square = np.sum(vectors**2, axis=-1)
    lowest = square.min(axis=1, keepdims=True)
    c = np.exp(-0.5 * width**2 * (square - lowest))
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    transform = np.fft.fftn(c.reshape(-1, *(2 * box + 1)), 4 * box + 1, axes=(1, 2, 3))
    kinetic = 0.5 * np.sum(c**2 * square)
    pairs = sum(
        np.sum(np.divide(weight, q2, where=q2 > 0, out=np.zeros_like(q2)))
        for q2, weight in _overlaps(transform, k, sites, reciprocal, box)
    )
    return float(kinetic + 2 * np.pi / volume * pairs + 0.5 * len(k) * own)


def _overlaps(transform: np.ndarray, k: np.ndarray, sites, reciprocal, box):
    """Yields |q|^2 and the factor of 1/|q|^2 for all g: |rho_g|^2, then minus exchange of each k.

    The correlation sum_p c_kp c_k'(p+g) is a product of Fourier transforms.
    """
    full = 4 * box + 1
    g = np.stack(np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in full), indexing="ij"), -1)
    g = np.round(g) * sites
    density = np.fft.ifftn(np.sum(np.abs(transform) ** 2, axis=0)).real
    yield _length(g @ reciprocal), density**2
    for first, one in zip(k, transform, strict=True):
        overlap = np.fft.ifftn(np.conj(one) * transform, axes=(1, 2, 3)).real
        shift = first - k
        q = _length((shift[:, None, None, None] - g) @ reciprocal)
        yield q, -(overlap**2)


def _length(vectors: np.ndarray) -> np.ndarray:
    """Returns squared lengths; rounding at zero becomes zero."""
    square = np.sum(vectors**2, axis=-1)
    return np.where(square < 1e-12 * square.max(), 0.0, square)


def _grid(counts) -> np.ndarray:
    """Returns (prod counts, 3) integers from zero."""
    return np.array(list(itertools.product(*(range(int(n)) for n in counts))))


def _box(crystal: np.ndarray, width: float) -> np.ndarray:
    """Returns (3,) largest integers of the crystal's reciprocal vectors that matter."""
    reach = np.sqrt(-2 * np.log(NEGLIGIBLE)) / width
    return np.ceil(reach * np.linalg.norm(crystal, axis=1) / (2 * np.pi)).astype(int) + 1


def _nearest(crystal: np.ndarray) -> float:
    """Returns the distance of neighbouring sites, bohr."""
    points = (_grid((5, 5, 5)) - 2) @ crystal
    lengths = np.linalg.norm(points, axis=1)
    return float(lengths[lengths > 0].min())


def _file(lattice, twist, sites, width: float, total: float) -> MeanField:
    """Returns the mean-field file: Gaussians as the basis, one orbital each."""
    n = int(np.prod(sites))
    shells = tuple(
        Shell(j, 0, np.array([0.5 / width**2]), np.array([[1.0]]) / width**1.5) for j in range(n)
    )
    unit = np.eye(n, dtype=complex)[None, None]
    occupation = np.zeros((2, 1, n))
    occupation[0] = 1
    return MeanField(
        kpoints=(twist @ (2 * np.pi * np.linalg.inv(lattice).T))[None],
        coeff=np.concatenate([unit, unit]),
        energy=np.zeros((2, 1, n)),
        occupation=occupation,
        shells=shells,
        symbols=(),
        positions=site_positions(lattice, sites),
        lattice=lattice,
        twist=twist,
        total=total,
        nuclear=0.0,
        gap=np.inf,
        converged=True,
        n_cells=1,
        method=METHOD,
        basis=f"{n} Gaussians of width {width:.6g} bohr",
    )


def make_reference(mean_field: MeanField, system: System, dtype) -> Reference:
    """Returns the Gaussians of all sites; complex where there is a twist.

    Sharp ones are summed over images, broad ones over plane waves, whichever is cheaper.
    """
    twisted = bool(np.any(mean_field.twist))
    number = np.result_type(dtype, np.complex64) if twisted else dtype
    n, lattice = len(mean_field.positions), np.asarray(system.cell.lattice, float)
    width = (0.5 / mean_field.shells[0].exponents[0]) ** 0.5
    fixed = {
        "coefficients": tuple(jnp.eye(n, dtype=number)[: s.count] for s in system.species),
        "kpoints": tuple(jnp.zeros((s.count, 3), dtype) for s in system.species),
    }
    images = _images(lattice, width * np.sqrt(-2 * np.log(NEGLIGIBLE)))
    waves = _waves(lattice, mean_field.twist, np.sqrt(-2 * np.log(NEGLIGIBLE)) / width)
    if WAVE_COST * len(waves) < n * len(images):
        values = _transform(waves, mean_field, lattice, width)
        wide = np.result_type(dtype, np.complex64)
        return Reference(
            **fixed,
            basis=Basis((), (), (), ()),
            images=((0, 0, 0),),
            wave_coefficients=tuple(jnp.asarray(values[: s.count], wide) for s in system.species),
            waves=waves,
        )
    shells = mean_field.shells
    basis = Basis(
        exponents=tuple(jnp.asarray(s.exponents, dtype) for s in shells),
        coefficients=tuple(jnp.asarray(s.coefficients, dtype) for s in shells),
        atoms=tuple(range(n)),
        angular=(0,) * n,
    )
    centres = jnp.asarray(mean_field.positions, dtype)
    return Reference(**fixed, basis=basis, images=images, centres=centres)


def _waves(lattice: np.ndarray, twist: np.ndarray, reach: float) -> Triples:
    """Returns the plane waves G + twist shorter than `reach`, 1/bohr, as integers G."""
    box = np.ceil(reach * np.linalg.norm(lattice, axis=1) / (2 * np.pi)).astype(int) + 1
    points = _grid(2 * box + 1) - box
    length = np.linalg.norm((points + twist) @ (2 * np.pi * np.linalg.inv(lattice).T), axis=1)
    return tuple(tuple(int(x) for x in row) for row in points[length <= reach])


def _transform(waves: Triples, mean_field: MeanField, lattice, width: float) -> np.ndarray:
    """Returns (N, G) coefficients exp(-w^2 q^2 / 2 - i q.R_j), q = G + twist."""
    q = (np.array(waves) + mean_field.twist) @ (2 * np.pi * np.linalg.inv(lattice).T)
    phase = np.exp(-1j * mean_field.positions @ q.T)
    return phase * np.exp(-0.5 * width**2 * np.sum(q**2, axis=1))


def _images(lattice: np.ndarray, reach: float) -> Triples:
    """Returns the translations within reach of the cell around a site, (0, 0, 0) first."""
    box = np.ceil(reach / (1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)) + 1).astype(int)
    points = _grid(2 * box + 1) - box
    kept = points[distance_to_cell(lattice, points.astype(float)) <= reach]
    order = np.argsort(np.abs(kept).sum(axis=1), kind="stable")
    return tuple(tuple(int(x) for x in row) for row in kept[order])

"""Twists: which boundary phases to run, folded by symmetry, with their weights."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Sequence

import numpy as np
import spglib

from engine.config import TwistConfig
from engine.errors import ConfigError
from engine.system.geometry import Geometry
from engine.system.supercell import centred

TOLERANCE_BOHR = 1e-4
"""Atoms are equivalent when symmetry maps them onto each other within this distance."""

_GAMMA_ONLY = "no twist: grid [1, 1, 1] without shift, or the point [0, 0, 0]"


@dataclasses.dataclass(frozen=True)
class Twist:
    """One boundary phase of the simulation cell.

    Attributes:
        index: Position in the list; names the folder `twist-<index>`.
        frac: Fractions of the simulation cell's reciprocal vectors, in (-1/2, 1/2].
        weight: Share of the zone it stands for; the weights of a list sum to 1.
        spin: N_up - N_down where it is not the material's.
    """

    index: int
    frac: tuple[float, float, float]
    weight: float
    spin: int | None = None

    @property
    def is_own_opposite(self) -> bool:
        """Whether it is 0 or 1/2 along every vector: boundary conditions are real, up to a sign."""
        return all(abs(2 * x - round(2 * x)) < 1e-9 for x in self.frac)


def enumerate_twists(
    options: TwistConfig,
    geometry: Geometry | None,
    *,
    where: str,
    sites: Sequence[int] | None = None,
) -> list[Twist]:
    """Returns the inequivalent twists of a material, Gamma first when it is among them.

    Points are (n_i + shift_i) / N_i, or the given list. E(theta) = E(-theta) by time reversal
    (the Hamiltonian is real), and E is invariant under the space group of the nuclei in the
    simulation cell. Magnetic order that a mean field may break the symmetry with is not looked
    at: use `symmetry: time-reversal` for it. The weight of a twist counts all points it stands for.

    Args:
        options: The `twists` section.
        geometry: The *simulation* cell; None or an open geometry for a molecule.
        where: The material's file, for error messages.
        sites: Repetitions of an electron crystal along each lattice vector, where there is one:
            symmetries have to map it onto itself, too.

    Raises:
        ConfigError: The section is inconsistent, or twists an open system.
    """
    where = f"{where}, key 'twists'"
    points, weights = _points(options, where)
    if geometry is None or not geometry.periodic:
        if np.any(points != 0) or len(points) > 1:
            raise ConfigError(
                "a molecule cannot have twists",
                where=where,
                expected=_GAMMA_ONLY,
                remedy="delete the section",
            )
        return [Twist(0, (0.0, 0.0, 0.0), 1.0)]
    operations = _operations(options.symmetry, geometry, where)
    if sites is not None:
        size = np.array(sites, float)
        moved = size[:, None] * operations / size
        operations = operations[np.all(np.abs(moved - np.round(moved)) < 1e-9, axis=(1, 2))]
    if options.points is None:
        order = sorted(range(len(points)), key=lambda i: _preference(points[i]))
        points, weights = points[order], weights[order]
    folded = _fold(points, weights, operations)
    folded.sort(key=lambda item: any(item[0]))  # stable: only moves Gamma to the front
    if options.points is None:
        folded[1:] = sorted(folded[1:], key=lambda item: _size(item[0]))
    spins = [None] * len(folded) if options.spins is None else options.spins
    if len(spins) != len(folded):
        raise ConfigError(
            f"{len(spins)} spins",
            where=f"{where}, key 'spins'",
            expected=f"{len(folded)}, of the inequivalent twists "
            + ", ".join(str([float(x) for x in frac]) for frac, _ in folded),
        )
    rows = zip(folded, spins, strict=True)
    return [Twist(i, frac, weight, spin) for i, ((frac, weight), spin) in enumerate(rows)]


def enumerate_zone(options: TwistConfig, geometry: Geometry | None, *, where: str) -> list[Twist]:
    """Returns the inequivalent points of the grid `zone`, Gamma first; none without it.

    Args:
        options: The `twists` section.
        geometry: The simulation cell; None or an open geometry for a molecule.
        where: The material's file, for error messages.

    Raises:
        ConfigError: No grid, or a system without one to converge.
    """
    if options.zone is None:
        return []
    if geometry is None or not geometry.periodic or not geometry.symbols:
        raise ConfigError(
            f"found {options.zone}",
            where=f"{where}, key 'twists', key 'zone'",
            expected="a crystal; an electron gas has its twist correction without",
            remedy="delete the key",
        )
    if len(options.zone) != 3 or min(options.zone) < 1 or max(options.zone) == 1:
        raise ConfigError(
            f"found {options.zone}",
            where=f"{where}, key 'twists', key 'zone'",
            expected="three integers of at least 1, finer than the grid, e.g. [16, 1, 1]",
        )
    coarse = options.points is None and any(
        fine < used for fine, used in zip(options.zone, options.grid, strict=True)
    )
    if coarse:
        raise ConfigError(
            f"found {options.zone}",
            where=f"{where}, key 'twists', key 'zone'",
            expected=f"finer than the grid {options.grid} along every reciprocal vector",
        )
    dense = TwistConfig(grid=options.zone, symmetry=options.symmetry)
    return enumerate_twists(dense, geometry, where=where)


def _points(options: TwistConfig, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns (T, 3) points in (-1/2, 1/2] and (T,) weights that sum to 1, before folding."""
    if options.points is not None:
        return _listed(options, where)
    if options.weights is not None:
        raise ConfigError(
            "weights without points",
            where=f"{where}, key 'weights'",
            expected="'points' beside it; a grid has its own weights",
            remedy="delete the weights, or list the points",
        )
    if len(options.grid) != 3 or min(options.grid) < 1:
        raise ConfigError(
            f"found {options.grid}",
            where=f"{where}, key 'grid'",
            expected="three integers of at least 1, e.g. [4, 1, 1]",
        )
    if len(options.shift) != 3:
        raise ConfigError(
            f"found {options.shift}",
            where=f"{where}, key 'shift'",
            expected="three numbers, in units of the grid spacing, e.g. [0.5, 0, 0]",
        )
    integers = np.array(list(itertools.product(*map(range, options.grid))), dtype=float)
    points = centred((integers + options.shift) / options.grid)
    return points, np.full(len(points), 1.0 / len(points))


def _listed(options: TwistConfig, where: str) -> tuple[np.ndarray, np.ndarray]:
    if options.grid != [1, 1, 1] or any(options.shift):
        raise ConfigError(
            "'points' together with a grid or a shift",
            where=where,
            expected="either 'grid' (and 'shift') or 'points'",
            remedy="delete one of them",
        )
    if not options.points:
        raise ConfigError(
            "the list is empty",
            where=f"{where}, key 'points'",
            expected="at least one twist, e.g. [[0, 0, 0]]",
        )
    for i, point in enumerate(options.points):
        if len(point) != 3 or not all(-0.5 < x <= 0.5 for x in point):
            raise ConfigError(
                f"twist {point} is outside its range",
                where=f"{where}, key 'points'[{i}]",
                expected="three fractions of the simulation cell's reciprocal "
                "vectors, each in (-1/2, 1/2]",
                remedy="add or subtract whole numbers; twists have period 1",
            )
    points = np.array(options.points, dtype=float)
    return points, _weights(options.weights, len(points), f"{where}, key 'weights'")


def _weights(weights: list[float] | None, count: int, where: str) -> np.ndarray:
    if weights is None:
        return np.full(count, 1.0 / count)
    if len(weights) != count:
        raise ConfigError(
            f"{len(weights)} weights for {count} points",
            where=where,
            expected=f"{count} numbers, one per point",
        )
    if min(weights) < 0 or sum(weights) <= 0:
        raise ConfigError(
            f"found {weights}",
            where=where,
            expected="no negative weight and a positive sum; they are normalised",
        )
    return np.array(weights) / sum(weights)


def _operations(symmetry: str, geometry: Geometry, where: str) -> np.ndarray:
    """Returns (M, 3, 3) integer matrices W that act on twists as theta @ W.

    A rotation moves fractional coordinates as x -> W x. The phase theta.x of the moved point
    is that of theta @ W at the old one; inverses are in the group too, so all of theta's
    equivalents are {theta @ W}.
    """
    identity = np.eye(3, dtype=int)
    if symmetry == "none":
        return identity[None]
    rotations = identity[None]
    if symmetry == "full":
        rotations = _rotations(geometry, where)
    return np.unique(np.concatenate([rotations, -rotations]), axis=0)


def _rotations(geometry: Geometry, where: str) -> np.ndarray:
    """Returns the space group's rotations (M, 3, 3) in fractional coordinates of the cell.

    Without nuclei they are those of the lattice.
    """
    frac, kinds = geometry.positions @ np.linalg.inv(geometry.lattice), geometry.charges
    if not geometry.symbols:
        frac, kinds = np.zeros((1, 3)), np.ones(1, int)
    reason = "no symmetry found"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about spglib's own error handling
        try:
            found = spglib.get_symmetry_dataset(
                (geometry.lattice, frac, kinds), symprec=TOLERANCE_BOHR
            )
        except spglib.SpglibError as error:
            found, reason = None, str(error)
    if found is None:
        raise ConfigError(
            f"spglib cannot analyse the cell: {reason}",
            where=where,
            expected="a structure with a well-defined space group",
            remedy="set symmetry: time-reversal",
        )
    return np.unique(found.rotations, axis=0)


def _fold(
    points: np.ndarray, weights: np.ndarray, operations: np.ndarray
) -> list[tuple[tuple[float, float, float], float]]:
    """Adds the weight of each point to the first equivalent one."""
    total: dict[tuple[int, ...], float] = {}
    name: dict[tuple[int, ...], np.ndarray] = {}
    owner: dict[tuple[int, ...], tuple[int, ...]] = {}
    for point, weight in zip(points, weights, strict=True):
        label = _label(point)
        if label not in owner:
            owner |= {_label(image): label for image in point @ operations}
            total[label], name[label] = 0.0, point
        total[owner[label]] += float(weight)
    return [(tuple(float(x) + 0.0 for x in name[k]), total[k]) for k in total]


def _label(point: np.ndarray) -> tuple[int, ...]:
    """Returns integers that are equal for equal twists, whatever their rounding errors."""
    return tuple(int(n) for n in np.round(centred(point) * 1e8))


def _preference(point: np.ndarray) -> tuple:
    """Orders equivalent points: no minus signs, then small, then by coordinates."""
    return (int(np.sum(point < 0)), *_size(point))


def _size(point) -> tuple:
    return (round(float(np.abs(point).sum()), 9), *(round(float(-x), 9) for x in point))

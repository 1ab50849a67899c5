"""Geometries to learn from: displaced ones, or a trajectory at constant temperature."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from engine.config.learned import LabelsConfig
from engine.system.geometry import MIN_DISTANCE_BOHR, Geometry
from engine.units import ATOMIC_TIME_NS, BOHR_ANGSTROM, HARTREE_EV

BOLTZMANN_EV = 8.617333262e-5
"""eV per kelvin, exact in SI."""
FRICTION_FS = 50.0
"""Damping time of the thermostat."""
CROWDED_BOHR = 5 * MIN_DISTANCE_BOHR
"""Displaced atoms closer than this are drawn again."""


class Frame(NamedTuple):
    """A geometry, and the velocities with which a trajectory goes on.

    Attributes:
        positions: (A, 3) bohr.
        velocities: (A, 3) bohr per atomic unit of time; zero without dynamics.
    """

    positions: np.ndarray
    velocities: np.ndarray


Solve = Callable[[np.ndarray], Any]


def trajectory(
    geometry: Geometry, masses: np.ndarray, data: LabelsConfig, solve: Solve
) -> Callable[[int, Frame | None], tuple[Frame, Any]]:
    """Builds (number, previous frame) -> (frame, its label); random numbers follow the number.

    Args:
        geometry: Where it starts.
        masses: (A,) electron masses.
        data: The section `labels`.
        solve: positions -> label with `forces`, hartree / bohr.
    """

    def perturbed(number: int, last: Frame | None) -> tuple[Frame, Any]:
        del last
        rng = np.random.default_rng([data.seed, 0, number])
        positions = displaced(geometry, masses, data.displacement_angstrom, rng)
        return Frame(positions, np.zeros_like(positions)), solve(positions)

    def md(number: int, last: Frame | None) -> tuple[Frame, Any]:
        rng = np.random.default_rng([data.seed, 0, number])
        thermal = np.sqrt(_temperature_ha(data) / masses)[:, None]
        if last is None:
            start = Frame(geometry.positions, thermal * rng.normal(size=geometry.positions.shape))
            return start, solve(start.positions)
        return langevin(last, masses, thermal, data, rng, solve)

    return md if data.sampling == "md" else perturbed


def displaced(
    geometry: Geometry, masses: np.ndarray, hydrogen_angstrom: float, rng: np.random.Generator
) -> np.ndarray:
    """Returns positions with Gaussian displacements of size ~ 1 / sqrt(mass), atoms kept apart."""
    width = hydrogen_angstrom / BOHR_ANGSTROM * np.sqrt(PROTON / masses)[:, None]
    while True:
        moved = geometry.positions + width * rng.normal(size=geometry.positions.shape)
        if closest(moved, geometry.lattice) > CROWDED_BOHR:
            return moved


def closest(positions: np.ndarray, lattice: np.ndarray | None) -> float:
    """Returns the smallest distance of two atoms, in a crystal also of their nearest images."""
    apart = positions[:, None] - positions[None]
    cells = np.zeros((1, 3))
    if lattice is not None:
        cells = np.array(list(itertools.product((-1, 0, 1), repeat=3))) @ lattice
    distance = np.linalg.norm(apart + cells[:, None, None], axis=-1)
    return float(distance[distance > 0].min(initial=np.inf))


PROTON = 1837.36
"""Mass of a hydrogen atom, electron masses: what displacements are measured for."""


def langevin(
    frame: Frame,
    masses: np.ndarray,
    thermal: np.ndarray,
    data: LabelsConfig,
    rng: np.random.Generator,
    solve: Solve,
) -> tuple[Frame, Any]:
    """Moves a frame by `stride` steps of the BAOAB integrator.

    Source: B. Leimkuhler, C. Matthews, Appl. Math. Res. eXpress 2013, 34.
    """
    step = data.time_step_fs * 1e-6 / ATOMIC_TIME_NS
    kept = np.exp(-data.time_step_fs / FRICTION_FS)
    r, v = frame
    label = solve(r)
    for _ in range(data.stride):
        v = v + step / 2 * label.forces / masses[:, None]
        r = r + step / 2 * v
        v = kept * v + np.sqrt(1 - kept**2) * thermal * rng.normal(size=v.shape)
        r = r + step / 2 * v
        label = solve(r)
        v = v + step / 2 * label.forces / masses[:, None]
    return Frame(r, v), label


def _temperature_ha(data: LabelsConfig) -> float:
    return data.temperature_k * BOLTZMANN_EV / HARTREE_EV

"""Stage `labels`: geometries around a molecule and their mean-field matrices.

Every geometry is a file of its own in the `state` folder until all are there: a killed job goes
on with the next one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine import __version__
from engine.config import MeanFieldConfig, fingerprint, parse
from engine.config.learned import LabelsConfig
from engine.errors import ConfigError, DataError, Interrupted
from engine.io import hdf5
from engine.io.checkpoint import locked
from engine.io.labels import LabelledSet, write_labels
from engine.io.system import SystemFile, read_system
from engine.mean_field import pyscf_labels
from engine.mean_field.pyscf_labels import Label
from engine.stage import runtime
from engine.stage.deadline import Deadline
from engine.stage.sampling import Frame, trajectory
from engine.system.geometry import Geometry

log = logging.getLogger(__name__)

PIECE = "label"
"""Kind of the file of one geometry."""


def labels(
    sections: Mapping[str, Any], *, system: Path, labels: Path, state_dir: Path
) -> LabelledSet:
    """Makes the labelled set of one molecule and writes it.

    Args:
        sections: "material", "mean_field", "labels" and "charge".
        system: Input system.h5 of the material.
        labels: Output, kind "labels".
        state_dir: Scratch: one file per finished geometry.

    Raises:
        ConfigError: The material is no closed-shell molecule of electrons.
        Interrupted: A stop signal; finished geometries are kept.
    """
    runtime.configure()
    file = read_system(system)
    _check(file, sections["material"])
    options = parse(MeanFieldConfig, sections["mean_field"], where="mean_field")
    data = parse(LabelsConfig, sections["labels"], where="labels")
    mark = fingerprint({"engine": __version__, **_relevant(sections)}, [file.fingerprint])
    with locked(state_dir):
        frames = list(_all(file.primitive, sections, options, data, state_dir, mark))
    found = _gathered(file.primitive, sections, options, data, frames)
    write_labels(labels, found, mark)
    log.info("%s: %d geometries", sections["material"], len(frames))
    return found


def _relevant(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a single geometry depends on: more of them, or another split, keep it."""
    kept = {k: v for k, v in sections["labels"].items()}
    for name in ("materials", "geometries", "train", "validation"):
        kept.pop(name)
    return {**sections, "labels": kept}


def _check(file: SystemFile, material: str) -> None:
    counts = {species.name: species.count for species in file.system.species}
    periodic = file.primitive.periodic
    if periodic or counts.get("up", 0) != counts.get("down", 0) or len(counts) > 2:
        raise ConfigError(
            f"'{material}' is {'a crystal' if periodic else 'no closed shell of electrons'}",
            where="labels, key 'materials'",
            expected="a molecule with spin 0 and without positrons",
            remedy="delete it from the list",
        )


def _all(
    geometry: Geometry,
    sections: Mapping[str, Any],
    options: MeanFieldConfig,
    data: LabelsConfig,
    folder: Path,
    mark: str,
) -> Iterator[tuple[Frame, Label]]:
    """Yields every geometry with its label; those on disk are read."""

    def solve(positions: np.ndarray) -> Label:
        moved = dataclasses.replace(geometry, positions=positions)
        return pyscf_labels.label(moved, sections["charge"], options, data.guess)

    frames = trajectory(geometry, pyscf_labels.masses(geometry), data, solve)
    deadline, last = Deadline(), None
    with runtime.stop_requests() as stop:
        for number in range(data.geometries):
            path = folder / f"geometry-{number:06d}.h5"
            found = _read(path, mark)
            if found is None:
                clock = runtime.Clock()
                found = frames(number, last)
                _write(path, *found, mark)
                if stop() or deadline.near(2 * clock.lap(), 0):
                    raise Interrupted(
                        f"stopped after geometry {number + 1} of {data.geometries}",
                        where=f"labels {sections['material']}",
                        remedy="start it again: it resumes there",
                    )
                if number % max(data.geometries // 10, 1) == 0:
                    log.info("geometry %d of %d", number + 1, data.geometries)
            last = found[0]
            yield found


def _write(path: Path, frame: Frame, label: Label, mark: str) -> None:
    arrays = {f"frame/{k}": v for k, v in frame._asdict().items()}
    arrays |= {f"label/{k}": v for k, v in dataclasses.asdict(label).items()}
    hdf5.write(path, PIECE, arrays, fingerprint=mark)


def _read(path: Path, mark: str) -> tuple[Frame, Label] | None:
    """Returns a finished geometry; None where it is missing, damaged or of other settings."""
    if not path.exists():
        return None
    try:
        record = hdf5.read(path, PIECE)
    except DataError as error:
        log.warning("computed again: %s", error)
        return None
    if record.fingerprint != mark:
        log.warning("%s belongs to other settings or another molecule: computed again", path)
        return None
    names = [f.name for f in dataclasses.fields(Label)]
    return (
        Frame(*(record.data[f"frame/{name}"] for name in Frame._fields)),
        Label(**{name: record.data[f"label/{name}"] for name in names}),
    )


def _gathered(
    geometry: Geometry,
    sections: Mapping[str, Any],
    options: MeanFieldConfig,
    data: LabelsConfig,
    pieces: list[tuple[Frame, Label]],
) -> LabelledSet:
    stacked = {
        f.name: np.stack([np.asarray(getattr(label, f.name)) for _, label in pieces])
        for f in dataclasses.fields(Label)
    }
    order = np.random.default_rng([data.seed, 1]).permutation(data.geometries)
    split = np.full(data.geometries, 2)
    split[order[: data.train]] = 0
    split[order[data.train : data.train + data.validation]] = 1
    facts = {
        "material": sections["material"],
        "mean_field": dict(sections["mean_field"]),
        "guess": data.guess,
        "pyscf_version": pyscf_labels.VERSION,
        "engine_version": __version__,
        "commit": runtime.commit(),
    }
    return LabelledSet(
        symbols=geometry.symbols,
        shells=pyscf_labels.shells_of(geometry, sections["charge"], options),
        charge=sections["charge"],
        positions=np.stack([frame.positions for frame, _ in pieces]),
        split=split,
        facts=facts,
        **stacked,
    )

"""Stage `labels`: geometries around a molecule or crystal and their mean-field matrices.

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
from engine.io.crystal_labels import CrystalSet
from engine.io.labels import LabelledSet, read_labels, write_labels
from engine.io.system import SystemFile, read_system
from engine.mean_field import pyscf_labels
from engine.mean_field.pyscf_labels import Label
from engine.stage import runtime
from engine.stage.crystal_labels import crystal_job
from engine.stage.deadline import Deadline
from engine.stage.label_job import Job, stacked
from engine.stage.sampling import Frame, trajectory
from engine.system.geometry import Geometry

log = logging.getLogger(__name__)

PIECE = "label"
"""Kind of the file of one geometry."""


def labels(
    sections: Mapping[str, Any], *, system: Path, labels: Path, state_dir: Path
) -> LabelledSet | CrystalSet:
    """Makes the labelled set of one molecule or crystal and writes it.

    Args:
        sections: "material", "mean_field", "labels" and "charge"; of a crystal "pseudopotentials".
        system: Input system.h5 of the material.
        labels: Output, kind "labels" or "crystal_labels".
        state_dir: Scratch: one file per finished geometry.

    Raises:
        ConfigError: The material has no closed shell of electrons, or is a crystal without mesh.
        Interrupted: A stop signal; finished geometries are kept.
    """
    runtime.configure()
    file = read_system(system)
    _check(file, sections["material"])
    data = parse(LabelsConfig, sections["labels"], where="labels")
    job = crystal_job if file.primitive.periodic else molecule_job
    found = job(file.primitive, sections, data)
    mark = fingerprint({"engine": __version__, **_relevant(sections)}, [file.fingerprint])
    with locked(state_dir):
        pieces = list(_all(found, sections["material"], data.geometries, state_dir, mark))
    facts = _facts(sections, data)
    found.write(labels, pieces, _split(data), facts, mark)
    log.info("%s: %d geometries", sections["material"], len(pieces))
    return found.read(labels)


def _relevant(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a single geometry depends on: more of them, or another split, keep it."""
    kept = {k: v for k, v in sections["labels"].items()}
    for name in ("materials", "geometries", "train", "validation", "shared_with"):
        kept.pop(name, None)
    return {**sections, "labels": kept}


def _check(file: SystemFile, material: str) -> None:
    counts = {species.name: species.count for species in file.system.species}
    if counts.get("up", 0) != counts.get("down", 0) or len(counts) > 2:
        raise ConfigError(
            f"'{material}' has no closed shell of electrons",
            where="labels, key 'materials'",
            expected="a material with spin 0 and without positrons",
            remedy="delete it from the list",
        )


def molecule_job(geometry: Geometry, sections: Mapping[str, Any], data: LabelsConfig) -> Job:
    """Returns how molecules are labelled."""
    options = parse(MeanFieldConfig, sections["mean_field"], where="mean_field")
    charge = sections["charge"]

    def solve(positions: np.ndarray) -> Label:
        moved = dataclasses.replace(geometry, positions=positions)
        return pyscf_labels.label(moved, charge, options, data.guess)

    def write(path: Path, pieces: list, split: np.ndarray, facts: dict, mark: str) -> None:
        labelled = LabelledSet(
            symbols=geometry.symbols,
            shells=pyscf_labels.shells_of(geometry, charge, options),
            charge=charge,
            positions=np.stack([frame.positions for frame, _ in pieces]),
            split=split,
            facts=facts,
            **stacked(Label, pieces),
        )
        write_labels(path, labelled, mark)

    frames = trajectory(geometry, pyscf_labels.masses(geometry), data, solve)
    return Job(Label, frames, write, read_labels)


def _all(
    job: Job, material: str, count: int, folder: Path, mark: str
) -> Iterator[tuple[Frame, Any]]:
    """Yields every geometry with its label; those on disk are read."""
    deadline, last = Deadline(), None
    with runtime.stop_requests() as stop:
        for number in range(count):
            path = folder / f"geometry-{number:06d}.h5"
            found = _read(path, job.label, mark)
            if found is None:
                clock = runtime.Clock()
                found = job.frames(number, last)
                _write(path, *found, mark)
                if stop() or deadline.near(2 * clock.lap(), 0):
                    raise Interrupted(
                        f"stopped after geometry {number + 1} of {count}",
                        where=f"labels {material}",
                        remedy="start it again: it resumes there",
                    )
                if number % max(count // 10, 1) == 0:
                    log.info("geometry %d of %d", number + 1, count)
            last = found[0]
            yield found


def _write(path: Path, frame: Frame, label: Any, mark: str) -> None:
    arrays = {f"frame/{k}": v for k, v in frame._asdict().items()}
    arrays |= {f"label/{k}": v for k, v in dataclasses.asdict(label).items()}
    hdf5.write(path, PIECE, arrays, fingerprint=mark)


def _read(path: Path, kind: type, mark: str) -> tuple[Frame, Any] | None:
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
    names = [f.name for f in dataclasses.fields(kind)]
    return (
        Frame(*(record.data[f"frame/{name}"] for name in Frame._fields)),
        kind(**{name: record.data[f"label/{name}"] for name in names}),
    )


def _split(data: LabelsConfig) -> np.ndarray:
    """Returns (G,) 0 train, 1 validation, 2 test: by the seed, in order along a trajectory.

    Neighbours on a trajectory are alike: scattered over the parts, they would make errors small.
    """
    order = np.arange(data.geometries)
    if data.sampling != "md":
        order = np.random.default_rng([data.seed, 1]).permutation(order)
    split = np.full(data.geometries, 2)
    split[order[: data.train]] = 0
    split[order[data.train : data.train + data.validation]] = 1
    return split


def _facts(sections: Mapping[str, Any], data: LabelsConfig) -> dict[str, Any]:
    return {
        "material": sections["material"],
        "mean_field": dict(sections["mean_field"]),
        "pseudopotentials": dict(sections.get("pseudopotentials", {})),
        "guess": data.guess,
        "pyscf_version": pyscf_labels.VERSION,
        "engine_version": __version__,
        "commit": runtime.commit(),
    }

"""Pytrees in files: finished checkpoints, and the scratch state a killed stage resumes from.

Running state lives in a folder that Snakemake does not know (`state/` beside the outputs),
because declared outputs are deleted before every retry. A fingerprint of the stage's input
guards against state of another run.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import devices
from engine.errors import DataError
from engine.io import hdf5

log = logging.getLogger(__name__)

KEEP = 2
"""Saved states kept while running; the older one serves where the newer is damaged."""


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """Returns path -> array for the leaves of a pytree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_path(path): devices.fetch(leaf) for path, leaf in leaves}


def unflatten(template: Any, data: Mapping[str, Any], *, where: str = "") -> Any:
    """Returns a pytree of the template's structure and placement with leaves from `data`.

    Raises:
        DataError: A leaf is missing or has another shape.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    restored = []
    for path, leaf in leaves:
        name, shape = _path(path), np.shape(leaf)
        if name not in data or np.shape(data[name]) != shape:
            found = np.shape(data[name]) if name in data else "nothing"
            raise DataError(
                f"dataset '{name}' has shape {found}",
                where=where,
                expected=f"shape {shape}",
                remedy="the file belongs to another ansatz or system: delete it and run again",
            )
        restored.append(devices.like(np.asarray(data[name], jnp.result_type(leaf)), leaf))
    return jax.tree_util.tree_unflatten(structure, restored)


def canonical(tree: Any) -> Any:
    """Returns the tree as it would come back from a file, so that fresh and resumed runs agree."""
    return unflatten(tree, flatten(tree))


def prefixed(prefix: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `data` with `prefix/` before every path."""
    return {f"{prefix}/{name}" if name else prefix: value for name, value in data.items()}


def under(prefix: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of `data` below `prefix/`, with the prefix removed."""
    inside = {
        name[len(prefix) + 1 :]: v for name, v in data.items() if name.startswith(f"{prefix}/")
    }
    return inside | ({"": data[prefix]} if prefix in data else {})


def _path(path: tuple) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "/", jax.tree_util.keystr(path)).strip("/")


# --- scratch state ---------------------------------------------------------------------


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder for this process; the lock goes with the process, however it ends.

    Raises:
        DataError: Another process holds it: a second copy of the same job.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f"{folder.name}.lock")
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(
                "another process is running this stage",
                where=str(folder),
                expected="one process per stage and twist",
                remedy="wait for it, or stop it, then run again: it resumes",
            ) from error
        except OSError as error:
            raise DataError(
                f"the folder cannot be locked: {error.strerror}",
                where=str(folder),
                expected="a file system with flock, which keeps a job from running twice",
                remedy="mount it with locks (Lustre: -o flock), or keep results on another one",
            ) from error
        yield
        path.unlink(missing_ok=True)


def save_state(
    folder: Path, step: int, data: Mapping[str, Any], fingerprint: str, *, keep: int = KEEP
) -> Path:
    """Writes `folder/step-<step>.h5` and removes all but the newest `keep` states."""
    path = folder / f"step-{step:09d}.h5"
    hdf5.write(path, "state", data, fingerprint=fingerprint)
    for old in _states(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def load_state(folder: Path, fingerprint: str) -> tuple[int, dict[str, Any]] | None:
    """Returns (step, data) of the newest good state, or None.

    A damaged state is renamed and said so, and the one before it is used; a folder of another
    fingerprint is moved aside.
    """
    for path in reversed(_states(folder)):
        try:
            record = hdf5.read(path, "state")
        except DataError as error:
            path.rename(path.with_suffix(".damaged"))
            log.warning("saved state skipped and renamed to .damaged: %s", error)
            continue
        if record.fingerprint != fingerprint:
            aside = _aside(folder)
            folder.rename(aside)
            log.warning(
                "%s: saved state belongs to other settings or inputs; moved to %s, starting fresh",
                folder,
                aside.name,
            )
            return None
        return _step(path), record.data
    return None


def newest_state(folder: Path) -> str:
    """Returns the path of the newest saved state for messages, or a sentence that there is none."""
    states = _states(folder)
    return str(states[-1]) if states else "none was saved yet"


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.h5"), key=_step)


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _aside(folder: Path) -> Path:
    number = 1
    while (candidate := folder.with_name(f"{folder.name}.stale-{number}")).exists():
        number += 1
    return candidate

"""Logging set-up for the workflow scripts; the engine itself only calls `getLogger`."""

from __future__ import annotations

import logging
import platform
import sys
from importlib import metadata
from pathlib import Path

from engine import __version__
from engine.errors import PsilatticeError


def to_file(path: str | Path) -> None:
    """Sends all log records of level INFO and above to `path` (appended) and stderr."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [logging.FileHandler(path), logging.StreamHandler(sys.stderr)]
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=handlers,
        force=True,
    )
    for noisy in ("jax", "matplotlib", "absl"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("engine").info(versions())


def versions() -> str:
    """Returns one line with the versions that decide a result."""
    names = ["jax", "jaxlib", "flax", "kfac-jax", "folx", "pyscf", "h5py", "numpy"]
    found = [f"{name} {_version(name)}" for name in names if _version(name)]
    return f"psilattice {__version__}, python {platform.python_version()}, " + ", ".join(found)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def failure(kind: type[BaseException], error: BaseException, trace) -> None:
    """Puts what stopped a job into its log: the message of our own errors, else the traceback."""
    expected = isinstance(error, PsilatticeError)
    details = None if expected else (kind, error, trace)
    logging.getLogger("engine").critical("%s: %s", kind.__name__, error, exc_info=details)

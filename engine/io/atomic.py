"""Files that are either whole or not there: written under another name, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from engine.errors import DataError


@contextlib.contextmanager
def replaced(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`, which it becomes when the block ends without error.

    The name is the same each time, so that what a killed writer left is overwritten by the next
    one. Nobody but one job writes a target.

    Args:
        path: Target; its folder is created.

    Raises:
        DataError: The disk is full or the folder cannot be written; an older file stays as it was.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # HDF5 makes a RuntimeError of a full disk
        _discard(temporary)
        raise DataError(
            f"could not write: {error}",
            where=str(path),
            expected="a writable disk with room",
            remedy="free space or fix permissions, then run again; finished work is kept",
        ) from error
    except BaseException:
        _discard(temporary)
        raise
    with contextlib.suppress(OSError):  # not every file system lets a folder be flushed
        _flush(path.parent)


def _flush(path: Path) -> None:
    """Waits until the content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()

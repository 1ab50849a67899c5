"""HDF5 files: written whole and renamed, read with kind, schema and checksum verified.

A file is a flat mapping from dataset path to array (or text) plus attributes. Every file
carries `kind`, `schema_version`, `engine_version`, `fingerprint`, a SHA-256 checksum over all
datasets, and a seal over that and the attributes; a dataset may carry its `unit`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from engine import __version__
from engine.config import SCHEMA_VERSION
from engine.errors import DataError
from engine.io import atomic


class Record(NamedTuple):
    """The content of one file.

    Attributes:
        data: Dataset path -> numpy array or str.
        attributes: What was stored about the file as a whole.
        fingerprint: Identifies the input the file was made from.
    """

    data: dict[str, Any]
    attributes: dict[str, Any]
    fingerprint: str


def write(
    path: str | Path,
    kind: str,
    data: Mapping[str, Any],
    *,
    fingerprint: str,
    units: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Writes a file atomically: either the old content or the whole new one is there.

    Args:
        path: Target; its folder is created.
        kind: What the file is, e.g. "system".
        data: Dataset path ("cell/lattice") -> array, number or str.
        fingerprint: Fingerprint of the stage that wrote it.
        units: Dataset path -> unit.
        attributes: JSON-able facts about the file as a whole.

    Raises:
        DataError: The disk is full or the folder cannot be written; an older file stays as it was.
    """
    head = {
        "kind": kind,
        "fingerprint": fingerprint,
        "checksum": _checksum(data),
        "attributes": json.dumps(dict(attributes or {}), sort_keys=True),
    }
    with atomic.replaced(path) as temporary, h5py.File(temporary, "w") as file:
        for name, value in data.items():
            file[name] = value if isinstance(value, str) else np.asarray(value)
            if units and name in units:
                file[name].attrs["unit"] = units[name]
        file.attrs.update(
            head, schema_version=SCHEMA_VERSION, engine_version=__version__, seal=_seal(head)
        )


def read(path: str | Path, kind: str) -> Record:
    """Reads a file and verifies that it is whole.

    Raises:
        DataError: Missing, unreadable, of another kind or schema, or damaged.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(
            "no such file",
            where=str(path),
            expected=f"a file of kind '{kind}'",
            remedy="run the rule that makes it",
        )
    try:
        with h5py.File(path, "r") as file:
            head = dict(file.attrs)
            data: dict[str, Any] = {}
            file.visititems(
                lambda name, item: (
                    data.update({name: _value(item)}) if isinstance(item, h5py.Dataset) else None
                )
            )
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(
            f"unreadable: {error}",
            where=str(path),
            expected=f"an HDF5 file of kind '{kind}'",
            remedy="delete it and run again",
        ) from error
    if head.get("kind") != kind:
        raise DataError(
            f"the file is of kind '{head.get('kind')}'", where=str(path), expected=f"kind '{kind}'"
        )
    if head.get("schema_version") != SCHEMA_VERSION:
        raise DataError(
            f"schema version {head.get('schema_version')}",
            where=str(path),
            expected=f"version {SCHEMA_VERSION}",
            remedy="delete it and run again",
        )
    sealed = head.get("seal", _seal(head)) == _seal(head)  # older files have none
    if head.get("checksum") != _checksum(data) or not sealed:
        raise DataError(
            "checksum differs: the file is damaged",
            where=str(path),
            expected="the content that was written",
            remedy="delete it and run again",
        )
    return Record(data, json.loads(head["attributes"]), str(head["fingerprint"]))


@contextlib.contextmanager
def complete(path: str | Path) -> Iterator[None]:
    """Turns what is missing in a file that is read inside into an error that names it.

    Raises:
        DataError: A dataset or an attribute is missing.
    """
    try:
        yield
    except KeyError as error:
        raise DataError(
            f"{error} is missing",
            where=str(path),
            expected="a complete file, of this version",
            remedy="delete it and run again",
        ) from error


def kind(path: str | Path) -> str | None:
    """Returns what a file is; None where it is missing or unreadable, which `read` explains."""
    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("kind"))
    except OSError:
        return None


def content(path: str | Path) -> str:
    """Returns the checksum a file carries: equal content, equal text."""
    with h5py.File(path, "r") as file:
        return str(file.attrs["checksum"])


def _value(item: h5py.Dataset) -> Any:
    value = item[()]
    return value.decode() if isinstance(value, bytes) else value


def _seal(head: Mapping[str, Any]) -> str:
    """Returns the checksum of what a file says of itself."""
    names = ("kind", "fingerprint", "checksum", "attributes")
    return hashlib.sha256("|".join(str(head.get(name)) for name in names).encode()).hexdigest()


def _checksum(data: Mapping[str, Any]) -> str:
    digest = hashlib.sha256()
    for name in sorted(data):
        value = data[name]
        array = (
            np.frombuffer(value.encode(), np.uint8) if isinstance(value, str) else np.asarray(value)
        )
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()

"""Short tables: CSV files with one header line, written whole and renamed."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import DataError
from engine.io import atomic

Row = dict[str, Any]


def write(
    path: str | Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Writes `rows` atomically; None becomes an empty field, floats keep all their digits.

    Args:
        path: Target; its folder is created.
        rows: One mapping per line.
        columns: Names in order; those of the first row when left out.

    Raises:
        DataError: The file cannot be written; an older one stays as it was.
    """
    columns = list(columns if columns is not None else rows[0])
    with (
        atomic.replaced(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as f,
    ):
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_text(row.get(name)) for name in columns] for row in rows)


def read(path: str | Path) -> list[Row]:
    """Reads a table; numbers and truth values become such, empty fields None.

    Raises:
        DataError: Missing, or a line has another number of fields than the header.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot be read: {error}",
            where=str(path),
            expected="a CSV table",
            remedy="run the rule that makes it",
        ) from error
    if not lines:
        raise DataError(
            "is empty", where=str(path), expected="a header line", remedy="delete it and run again"
        )
    header = lines[0]
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise DataError(
                f"line {number} has {len(line)} fields",
                where=str(path),
                expected=f"{len(header)} fields as in the header",
                remedy="delete it and run again",
            )
    return [{n: _typed(n, v) for n, v in zip(header, line, strict=True)} for line in lines[1:]]


TEXT = frozenset(
    {
        "family",
        "material",
        "method",
        "twist",
        "contrast",
        "job_ids",
        "hosts",
        "commit",
        "fingerprint",
        "engine_version",
        "device",
        "literature_source",
        "literature_what",
    }
)
"""Columns that stay text even where they look like numbers (a material may be called '2')."""


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else str(value)


def _typed(name: str, text: str) -> Any:
    if name in TEXT:
        return text
    if text == "":
        return None
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text

"""Prints energies for people: `python -m engine.stage.show results/tables/energies.csv`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.io import table

HEADER = (
    "material",
    "method",
    "twists",
    "energy (Ha/cell)",
    "literature",
    "difference (mHa)",
    "sigma",
)


def compact(value: float, error: float) -> str:
    """Returns "value(error)" with two digits of error: -1.17449(12) is -1.17449 +- 0.00012."""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.6f}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    scaled = round(error * 10**digits)
    if scaled == 100:  # 0.0996 rounds up to three digits
        digits, scaled = max(0, digits - 1), 10
    return f"{value:.{digits}f}({scaled})"


def sigma(row: Mapping[str, Any]) -> float | None:
    """Returns the difference to the literature over the combined error; None without both."""
    difference, error = row.get("difference_ha_per_cell"), row["error_ha_per_cell"]
    combined = math.hypot(error, row.get("literature_error_ha_per_cell") or 0.0)
    return difference / combined if difference is not None and combined > 0 else None


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the text of one line of the printed table."""
    literature, error = row.get("literature_ha_per_cell"), row["error_ha_per_cell"]
    compared = literature is not None
    deviation = sigma(row)
    return (
        row["material"],
        row["method"],
        str(row["n_twists"]),
        compact(row["energy_ha_per_cell"], error),
        f"{literature:.6f}" if compared else "-",
        f"{1e3 * row['difference_ha_per_cell']:+.2f} +- {1e3 * error:.2f}" if compared else "-",
        f"{deviation:+.1f}" if deviation is not None else "-",
    )


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the table as text, columns aligned."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    text = [
        "  ".join(_pad(line[i], width, i) for i, width in enumerate(widths)).rstrip()
        for line in lines
    ]
    return "\n".join([text[0], "  ".join("-" * w for w in widths), *text[1:]])


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints one or several tables and where the report is."""
    parser = argparse.ArgumentParser(description="Print tables of energies.")
    parser.add_argument("tables", nargs="+", type=Path, help="energies.csv or energy.csv files")
    parser.add_argument("--report", type=Path, help="report to point to")
    options = parser.parse_args(arguments)
    print(render([row for path in options.tables for row in table.read(path)]))
    if options.report and options.report.exists():
        print(f"\nreport: {options.report.resolve()}")


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


if __name__ == "__main__":
    main()

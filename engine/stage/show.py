"""Prints energies for people: `python -m engine.stage.show --campaign campaign.yaml`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.campaign import load
from engine.errors import PsilatticeError
from engine.io import table

HEADER = (
    "material",
    "method",
    "twists",
    "energy (Ha/cell)",
    "literature (Ha/cell)",
    "difference (mHa/cell)",
    "sigma",
)
CELL = "cell: the primitive cell; for a molecule, the molecule"
MISSED = "* max_steps were not enough for target_error_ha_per_cell (section evaluate)"
GAINING_HA = 1e-3
"""A gain per primitive cell that is printed."""
GAINING = "+ training was not at its end: its second half still gained more than 1 mHa per cell"


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


def marks(row: Mapping[str, Any]) -> str:
    """Returns what is to be said of an energy: * a large error, + unfinished training."""
    gained, error = (row.get(f"training_gain_{x}ha_per_cell") for x in ("", "error_"))
    gaining = gained is not None and gained - 2 * error > GAINING_HA
    return ("" if row["target_reached"] else "*") + ("+" if gaining else "")


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the text of one line of the printed table."""
    literature, error = row.get("literature_ha_per_cell"), row["error_ha_per_cell"]
    compared = literature is not None
    deviation = sigma(row)
    return (
        row["material"],
        row["method"],
        str(row["n_twists"]),
        f"{compact(row['energy_ha_per_cell'], error)} {marks(row)}".rstrip(),
        f"{literature:.6f}" if compared else "-",
        f"{1e3 * row['difference_ha_per_cell']:+.2f} +- {1e3 * error:.2f}" if compared else "-",
        f"{deviation:+.1f}" if deviation is not None else "-",
    )


def gamma_cells(row: Mapping[str, Any], twists: Iterable[Mapping[str, Any]]) -> list[tuple]:
    """Returns the line of Gamma alone below an average that holds it, else no line."""
    if row["n_twists"] == 1:
        return []
    return [
        _gamma(row, twist)
        for twist in twists
        if (twist["material"], twist["method"]) == (row["material"], row["method"])
        and not any(twist[f"frac_{i}"] for i in (1, 2, 3))
    ]


def render(rows: Sequence[Mapping[str, Any]], twists: Sequence[Mapping[str, Any]] = ()) -> str:
    """Returns the table as text, columns aligned.

    Args:
        rows: Rows of `energies.csv`.
        twists: Rows of `twists.csv`.
    """
    body = [line for row in rows for line in (cells(row), *gamma_cells(row, twists))]
    mark = max(len(_mark(line)) for line in body) if body else 0
    lines = [HEADER, *(_aligned(line, mark) for line in body)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    text = [
        "  ".join(_pad(line[i], width, i) for i, width in enumerate(widths)).rstrip()
        for line in lines
    ]
    found = "".join(map(_mark, body))
    notes = [CELL, *(note for sign, note in (("*", MISSED), ("+", GAINING)) if sign in found)]
    return "\n".join([text[0], "  ".join("-" * w for w in widths), *text[1:], "", *notes])


def show(tables: Sequence[Path], missing: Sequence[str] = ()) -> None:
    """Prints tables, with the `twists.csv` beside each, and names what is missing."""
    twists = [path.with_name("twists.csv") for path in tables]
    print(render(_rows(tables), _rows(path for path in twists if path.exists())))
    if missing:
        print(f"\nmissing: {', '.join(missing)}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints several tables, or those a campaign has so far, and where the report is."""
    parser = argparse.ArgumentParser(description="Print tables of energies.")
    parser.add_argument("tables", nargs="*", type=Path, help="energies.csv or energy.csv files")
    parser.add_argument("--campaign", help="print what there is of this campaign file instead")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of the campaign")
    parser.add_argument("--report", type=Path, help="report to point to")
    options = parser.parse_args(arguments)
    try:
        if options.campaign is None:
            show(options.tables)
        else:
            show(*_found(options.campaign, options.root))
    except PsilatticeError as error:
        raise SystemExit(str(error)) from None
    if options.report and options.report.exists():
        print(f"\nreport: {options.report.resolve()}")


def _found(campaign: str, root: Path) -> tuple[list[Path], list[str]]:
    """Returns the tables of the runs that are finished, and the names of the other runs."""
    runs = load(campaign, root).runs.items()
    names = [f"{material}/{method}" for material, methods in runs for method in methods]
    paths = {name: root / "results" / name / "energy.csv" for name in names}
    missing = [name for name, path in paths.items() if not path.exists()]
    return [path for name, path in paths.items() if name not in missing], missing


def _rows(tables: Iterable[Path]) -> list[table.Row]:
    return [row for path in tables for row in table.read(path)]


def _gamma(row: Mapping[str, Any], twist: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns Gamma compared with what the average is compared with."""
    literature = row.get("literature_ha_per_cell")
    difference = None if literature is None else twist["energy_ha_per_cell"] - literature
    line = cells({**row, **twist, "n_twists": 1, "difference_ha_per_cell": difference})
    return ("", "Gamma alone", *line[2:-1], "")


def _mark(line: tuple[str, ...]) -> str:
    return line[3].partition(" ")[2]


def _aligned(line: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Leaves room for marks, so that energies stay below each other."""
    energy, _, mark = line[3].partition(" ")
    return (*line[:3], f"{energy} {mark:{width}}" if width else energy, *line[4:])


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


if __name__ == "__main__":
    main()

"""Two outputs of benchmarks/iteration.py side by side: seconds of the second over the first.

Cases of the same system, walkers, method and settings are compared.

python benchmarks/compare.py before.json after.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

QUANTITIES = ("sample_s", "local_energy_s", "optimizer_s", "iteration_s", "compile_s", "peak_mb")


def main(before: str, after: str) -> None:
    """Prints a table of ratios over the cases that both files have."""
    one, two = (cases(json.loads(Path(path).read_text())) for path in (before, after))
    both = [case for case in one if case in two]
    if not both:
        raise SystemExit("no case is in both files")
    heading = " ".join(f"{q:>14}" for q in QUANTITIES)
    print(f"{'system':10} {'walkers':>7} {heading} method, settings")
    for case in both:
        ratios = (two[case][q] / one[case][q] for q in QUANTITIES)
        print(
            f"{case[0]:10} {case[1]:7} " + " ".join(f"{ratio:14.2f}" for ratio in ratios), *case[2:]
        )


def cases(file: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Returns the rows by system, walkers, method and what was set otherwise."""
    return {
        (row["system"], row["walkers"], row["method"], *sorted(row["set"])): row
        for row in file["rows"]
    }


if __name__ == "__main__":
    main(*sys.argv[1:3])

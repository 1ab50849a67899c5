"""Tables and figure of `fock_ablation.py`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def mha(line: dict, name: str, place: int = -1) -> float:
    """Returns an energy of the curve above the exact one, millihartree."""
    return 1e3 * (line["curve"][place][f"{name}_ha"] - line["exact_ha"])


def described(line: dict) -> str:
    """Returns one row of the table in Markdown."""
    last, factor = line["curve"][-1], line["factor"]
    cells = (
        line["system"],
        line["rule"],
        line["score"] or "-",
        "all" if factor is None else f"{factor:g}",
        f"{mha(line, 'projected'):.3f}",
        f"{mha(line, 'projected_pt2'):.3f}",
        f"{mha(line, 'asymmetric'):.3f}",
        str(last["amplitudes"]),
        f"{last['seconds']:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def reached(line: dict, target_mha: float) -> dict | None:
    """Returns the first point of a curve whose projected energy is at the target, if there is."""
    good = (k for k in range(len(line["curve"])) if mha(line, "projected", k) <= target_mha)
    place = next(good, None)
    return None if place is None else line["curve"][place]


def table(chosen: argparse.Namespace) -> None:
    """Prints final energies, and what it takes to come to the energy of one stage, by seed."""
    lines = [json.loads(line) for line in Path(chosen.input).read_text().splitlines()]
    print("| system | rule | proxy | factor | projected | with PT2 | asymmetric | amplitudes | s |")
    print("| --- " * 9 + "|")
    for line in lines:
        print(described(line))
    print()
    for system, seed in dict.fromkeys((line["system"], line["seed"]) for line in lines):
        same = [line for line in lines if (line["system"], line["seed"]) == (system, seed)]
        _compare(f"{system}, seed {seed}", same, chosen.tolerance)


def _compare(system: str, lines: list[dict], tolerance_mha: float) -> None:
    ones = [line for line in lines if line["rule"] == "one-stage"]
    if not ones:
        return
    one, target = ones[0], mha(ones[0], "projected") + tolerance_mha
    first = reached(one, target)
    print(f"{system}: one stage comes to {target:.3f} mHa after {first['amplitudes']} amplitudes")
    for line in lines:
        if line["rule"] == "two-stage":
            point = reached(line, target)
            text = "not reached"
            if point:
                share = point["amplitudes"] / first["amplitudes"]
                faster = point["seconds"] / max(first["seconds"], 1e-9)
                text = f"{share:.3f} of the amplitudes, {faster:.3f} of the seconds"
            print(f"  {line['score']} x {line['factor']:g}: {text}")


def figure(chosen: argparse.Namespace) -> None:
    """Draws the projected energy over exact amplitudes, one panel for each system; one seed."""
    sys.path.insert(0, str(ROOT / "workflow/scripts"))
    from matplotlib.ticker import LogLocator, NullFormatter
    from plots import style

    lines = [json.loads(line) for line in Path(chosen.input).read_text().splitlines()]
    lines = [line for line in lines if line["seed"] == lines[0]["seed"]]
    known = dict.fromkeys(line["system"] for line in lines)
    systems = [name for name in known if name in chosen.systems]
    canvas, panels = style.stack(len(systems))
    for ax, system in zip(panels, systems, strict=True):
        shown = [line for line in lines if line["system"] == system]
        for line in shown:
            if line["rule"] == "two-stage" and line["score"] != "epstein-nesbet":
                continue
            points = [
                (p["amplitudes"], mha(line, "projected", k)) for k, p in enumerate(line["curve"])
            ]
            label = line["rule"] if not line["score"] else f"two-stage x {line['factor']:g}"
            ax.plot(*zip(*points, strict=True), label=label, linewidth=1.2)
        ax.set(xscale="log", yscale="log", title=system, ylabel="projected - exact (mHa)")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_minor_formatter(NullFormatter())
        style.plain_numbers(ax.yaxis)
    panels[-1].set_xlabel("exact amplitudes")
    style.legend_below(canvas, [max(panels, key=lambda ax: len(ax.lines))], 3)
    style.save(canvas, svg=chosen.output, png=Path(chosen.output).with_suffix(".png"))

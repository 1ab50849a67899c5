"""The command line: `python -m engine status` and `python -m engine table`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.campaign import load
from engine.errors import ConfigError, PsilatticeError, nearest
from engine.stage import show
from engine.stage import status as stages


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; errors of use end with their message and status 1."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except PsilatticeError as error:
        raise SystemExit(str(error)) from None
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="psilattice", description="Look at a campaign.")
    commands = parser.add_subparsers(required=True)
    status = commands.add_parser("status", help="one line per material, method and twist")
    status.add_argument("materials", nargs="*", help="all when left out")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(command=_status)
    table = commands.add_parser("table", help="the energies that are finished")
    table.set_defaults(command=_table)
    for command in (status, table):
        command.add_argument("--campaign", default="campaign.yaml", help="campaign file")
        command.add_argument("--root", type=Path, default=Path(), help="folder of the campaign")
    return parser


def _status(options: argparse.Namespace) -> None:
    campaign = load(options.campaign, options.root)
    for name in options.materials:
        if name not in campaign.runs:
            raise ConfigError(
                f"no material '{name}'",
                where=str(campaign.path),
                expected=nearest(name, campaign.runs),
            )
    lines = stages.status(campaign, options.root, options.materials)
    print(stages.as_json(lines) if options.json else stages.render(lines))


def _table(options: argparse.Namespace) -> None:
    show.main(["--campaign", options.campaign, "--root", str(options.root)])


if __name__ == "__main__":
    main()

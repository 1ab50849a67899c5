"""Questions to SLURM before anything is submitted. Commands have a time limit; nothing is changed
but jobs that a killed workflow left waiting in the queue.
"""

from __future__ import annotations

import getpass
import logging
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from engine.cluster.site import Pool, Site
from engine.errors import ConfigError, DataError, nearest

log = logging.getLogger(__name__)

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
PREFIX = "psilattice"
"""Names of jobs start with it (profile: slurm-jobname-prefix)."""
POLL_S = 20


class QueuedJob(NamedTuple):
    """A job of an earlier start of the workflow in this folder."""

    number: str
    state: str
    what: str


def check_site(site: Site, where: str) -> None:
    """Asks SLURM whether what the site file says can be submitted.

    Raises:
        ConfigError: No SLURM, or a partition, account, time or number of GPUs it does not have.
    """
    missing = [name for name in COMMANDS if not shutil.which(name)]
    if missing:
        raise ConfigError(
            f"no {', '.join(missing)} on the PATH",
            where=where,
            expected="a machine from which jobs are submitted",
            remedy="log in there or load its SLURM module; on a single machine use "
            "--profile profiles/local",
        )
    partitions = _partitions()
    for name, pool in (("cpu", site.cpu), ("gpu", site.gpu)):
        if pool:
            _check_pool(pool, partitions, f"{where}, key '{name}'")
    if site.account:
        _check_account(site.account, f"{where}, key 'account'")


def _check_pool(pool: Pool, partitions: dict[str, dict[str, str]], where: str) -> None:
    if pool.partition not in partitions:
        raise ConfigError(
            f"SLURM has no partition '{pool.partition}'",
            where=f"{where}, key 'partition'",
            expected=nearest(pool.partition, partitions),
        )
    found = partitions[pool.partition]
    limit = minutes(found.get("MaxTime", "UNLIMITED"))
    if pool.max_runtime_min > limit:
        raise ConfigError(
            f"{pool.max_runtime_min} minutes",
            where=f"{where}, key 'max_runtime_min'",
            expected=f"at most {limit:g}, the limit of partition '{pool.partition}'",
        )
    gpus = _largest_gpus(pool.partition)
    if pool.gpus > gpus:
        raise ConfigError(
            f"{pool.gpus} GPUs",
            where=f"{where}, key 'gpus'",
            expected=f"at most {gpus}, what the nodes of partition '{pool.partition}' have",
        )


def _partitions() -> dict[str, dict[str, str]]:
    """Returns name -> what `scontrol show partition` says of each partition."""
    lines = _ask("scontrol", "--oneliner", "show", "partition").splitlines()
    rows = [dict(item.split("=", 1) for item in line.split() if "=" in item) for line in lines]
    return {row["PartitionName"]: row for row in rows if "PartitionName" in row}


def _largest_gpus(partition: str) -> int:
    """Returns the most GPUs that a node of a partition has."""
    rows = _ask("sinfo", "--noheader", "--partition", partition, "--format", "%G").split()
    return max((gres_gpus(row) for row in rows), default=0)


def gres_gpus(gres: str) -> int:
    """Returns the GPUs of a node's generic resources, e.g. 4 for "gpu:a100:4(S:0-1),shard:8"."""
    count = 0
    for item in _outside_brackets(gres).split(","):
        name, *rest = item.split(":")
        if name == "gpu":
            count += int(rest[-1]) if rest and rest[-1].isdigit() else 1
    return count


def _outside_brackets(text: str) -> str:
    depth, kept = 0, []
    for character in text:
        depth += (character == "(") - (character == ")")
        if not depth and character != ")":
            kept.append(character)
    return "".join(kept)


def _check_account(account: str, where: str) -> None:
    """Refuses an account the user does not have; silent where there is no accounting."""
    if not shutil.which("sacctmgr"):
        return
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "associations"]
    try:
        rows = _ask(*command, f"user={getpass.getuser()}", "format=account").split()
    except DataError:
        return
    if rows and account not in rows:
        raise ConfigError(
            f"SLURM gives you no account '{account}'", where=where, expected=nearest(account, rows)
        )


def minutes(text: str) -> float:
    """Returns the minutes of SLURM's [days-]hours:minutes:seconds; "UNLIMITED" is infinite."""
    if text == "UNLIMITED":
        return float("inf")
    days, _, clock = text.rpartition("-")
    hours, minute, second = (int(x) for x in clock.split(":"))
    return 1440 * int(days or 0) + 60 * hours + minute + second / 60


# --- jobs that a killed workflow left behind ---------------------------------------------


def left_behind(folder: Path) -> list[QueuedJob]:
    """Returns the jobs of this product that were submitted from `folder` and are not over."""
    rows = _ask("squeue", "--me", "--noheader", "--format", "%i|%T|%j|%Z|%k").splitlines()
    cells = [row.split("|", 4) for row in rows]
    here = folder.resolve()
    return [
        QueuedJob(number, state, comment.removeprefix("rule_").replace("_wildcards_", " "))
        for number, state, name, where, comment in cells
        if name.startswith(PREFIX) and Path(where).resolve() == here
    ]


def settle(folder: Path, say: Callable[[str], None], poll_s: float = POLL_S) -> None:
    """Cancels waiting jobs of a killed workflow and waits for its running ones.

    Submitting again what still runs would give a second copy; the lock of the stage would stop
    it, but only after its turn in the queue has come. Nothing is done while another workflow
    holds the folder: Snakemake itself then refuses to start.
    """
    if any((folder / ".snakemake/locks").glob("*")):
        return
    jobs = left_behind(folder)
    pending = [job.number for job in jobs if job.state == "PENDING"]
    if pending:
        say(f"cancelling {len(pending)} waiting jobs of an earlier start; they are submitted anew")
        _ask("scancel", "--state=PENDING", *pending)
    running = [job for job in jobs if job.state != "PENDING"]
    if running:
        names = ", ".join(f"{job.number} ({job.what})" for job in running)
        say(
            f"waiting for {len(running)} jobs of an earlier start: {names}. They will not be "
            "repeated. To go on at once, scancel them: they save their state and are resumed."
        )
    while any(job.state != "PENDING" for job in left_behind(folder)):
        time.sleep(poll_s)


def _ask(*command: str) -> str:
    """Returns what a SLURM command prints.

    Raises:
        DataError: It failed or did not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        words = getattr(error, "stderr", "") or error
        raise DataError(
            f"SLURM does not answer: {str(words).strip()}",
            where=" ".join(command),
            expected="a working SLURM",
            remedy="try the command by hand; then start again",
        ) from error
    return done.stdout

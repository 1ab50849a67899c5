"""One stage of the network, in this process or in several that `srun` starts.

`python -m engine.stage.worker job.json` is what runs on every node of a job of several nodes; the
file is written by `launch` and says stage, sections, paths and log.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import devices, log
from engine.errors import PsilatticeError
from engine.stage.spaces import stage_function

Paths = Mapping[str, str | Sequence[str]]


def run(stage: str, sections: Mapping[str, Any], paths: Paths) -> None:
    """Calls the function of a stage; paths, or lists of them, are its keyword arguments."""
    files = {
        name: Path(path) if isinstance(path, str) else [Path(p) for p in path]
        for name, path in paths.items()
    }
    stage_function(stage, sections)(dict(sections), **files)


def launch(
    stage: str,
    sections: Mapping[str, Any],
    paths: Paths,
    *,
    tasks: int,
    nodes: int,
    cpus: int,
    log_file: str,
) -> None:
    """Runs a stage as `tasks` processes on the nodes of this SLURM job, and waits for them.

    Raises:
        PsilatticeError: A process failed; its words are in the log.
    """
    job = Path(paths["state_dir"]) / "job.json"
    job.parent.mkdir(parents=True, exist_ok=True)
    content = {"stage": stage, "sections": sections, "paths": dict(paths), "log": log_file}
    job.write_text(json.dumps(content))
    command = ["srun", "--overlap", "--kill-on-bad-exit=1", f"--ntasks={tasks}"]
    command += [f"--nodes={nodes}", f"--cpus-per-task={cpus}", "--export=ALL"]
    command += [sys.executable, "-m", "engine.stage.worker", str(job)]
    root = str(Path(__file__).resolve().parents[2])
    paths_of_python = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    surroundings = {devices.PORT: _free_port(), "PYTHONPATH": paths_of_python}
    done = subprocess.run(command, env=os.environ | surroundings, check=False)
    if done.returncode:
        raise PsilatticeError(
            f"srun ended with {done.returncode}",
            where=f"{stage} on {nodes} nodes",
            expected="every process to finish",
            remedy=f"see {log_file}",
        )


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return str(probe.getsockname()[1])


def main(path: str) -> None:
    """Runs the job of a file in this process of several."""
    job = json.loads(Path(path).read_text())
    devices.join_processes()
    if devices.is_main():
        log.to_file(job["log"])
    try:
        run(job["stage"], job["sections"], job["paths"])
    except BaseException as error:  # an orderly exit would wait for the others, who wait for this
        log.failure(type(error), error, error.__traceback__)
        logging.shutdown()
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])

"""What every script does first: the engine importable, threads bounded, the log open."""

import logging
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def start(snakemake) -> None:
    """Bounds the threads of this process to those of its rule and opens its log.

    Called before JAX is imported: XLA reads NPROC once.
    """
    threads = str(snakemake.threads)
    os.environ["NPROC"] = threads
    os.environ.setdefault("OMP_NUM_THREADS", threads)

    from engine import log

    log.to_file(snakemake.log[0])
    sys.excepthook = _log_failure


def _log_failure(kind, error, trace) -> None:
    """Puts what stopped the job into its log: the message of our own errors, else the traceback."""
    from engine.errors import PsilatticeError

    expected = isinstance(error, PsilatticeError)
    details = None if expected else (kind, error, trace)
    logging.getLogger("engine").critical("%s: %s", kind.__name__, error, exc_info=details)

"""What every script does first: the engine importable, threads bounded, the log open."""

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
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")

    from engine import log

    log.to_file(snakemake.log[0])

"""What every script does first: the engine importable, threads bounded, the log open."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def start(snakemake) -> None:
    """Bounds the threads of this process to those of its rule and opens its log.

    Called before JAX is imported: XLA reads NPROC once.
    """
    threads = str(cores(snakemake))
    os.environ["NPROC"] = threads
    os.environ.setdefault("OMP_NUM_THREADS", threads)

    from engine import log

    log.to_file(snakemake.log[0])
    sys.excepthook = log.failure


def start_resumable(snakemake) -> Path:
    """Starts a stage that saves its state; returns the folder for it, beside the first output."""
    start(snakemake)
    asked = snakemake.resources
    os.environ["PSILATTICE_ATTEMPT"] = str(asked.get("attempt", 1))
    if "SLURM_JOB_ID" in os.environ and asked.get("runtime"):
        os.environ.setdefault("PSILATTICE_RUNTIME_MINUTES", str(asked["runtime"]))
    material = f"-{snakemake.wildcards.material}" if snakemake.rule == "labels" else ""
    return Path(snakemake.output[0]).parent / f"state{material}"


def cores(snakemake) -> int:
    """Returns the CPU cores of this job on one node."""
    return snakemake.resources.get("cpus_per_task", snakemake.threads)


def run_stage(snakemake, stage: str, outputs: dict[str, str]) -> None:
    """Runs a stage of the network: here, or on all nodes of the job.

    Args:
        snakemake: Of the script; its named inputs are the stage's.
        stage: "pretrain", "joint", "vmc" or "evaluate".
        outputs: The stage's outputs by name.
    """
    state = start_resumable(snakemake)
    asked = snakemake.resources

    from engine.stage import worker

    inputs = {
        name: path if isinstance(path, str) else list(path)
        for name, path in snakemake.input.items()
        if path
    }
    paths = {**inputs, **outputs, "state_dir": str(state)}
    sections = snakemake.params.sections
    if asked.get("tasks", 1) == 1:
        worker.run(stage, sections, paths)
    else:
        worker.launch(
            stage,
            sections,
            paths,
            tasks=asked["tasks"],
            nodes=asked["nodes"],
            cpus=cores(snakemake),
            log_file=snakemake.log[0],
        )

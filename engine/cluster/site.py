"""The site file: what a user says once about a cluster (`profiles/slurm/site.yaml`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from engine.config import key, parse
from engine.errors import ConfigError

WHERE = "profiles/slurm/site.yaml, key 'site'"
"""For messages."""

OWNED = ("--gres", "--gpus=", "--gpus ")
"""Options that the executor sets itself and refuses from others."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """A partition and the size of its nodes."""

    partition: str = key("name of the partition")
    max_runtime_min: int = key(
        "longest job to ask for; a stage that takes longer goes on in the next job",
        unit="minutes",
        at_least=1,
    )
    cpus: int = key("CPU cores of a node that a job may have", at_least=1)
    mem_mb: int = key("memory of a node that a job may have", unit="MB", at_least=500)
    gpus: int = key("GPUs of a node that a job may have", default=0, at_least=0)
    gpu_option: str = key(
        "how this site asks for GPUs, with {n} for their number per node",
        default="--gpus-per-node={n}",
    )
    extra: str = key("further options of sbatch, as they are", default="")

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if "{n}" not in self.gpu_option or self.gpu_option.startswith(OWNED):
            raise ConfigError(
                f"found {self.gpu_option!r}",
                where=f"{where}, key 'gpu_option'",
                expected="an option with {n} where the number goes, e.g. --gpus-per-node=a100:{n}",
                remedy="--gres and --gpus belong to Snakemake's executor, which refuses them",
            )


@dataclasses.dataclass(frozen=True)
class Site:
    """A cluster, as a campaign needs to know it."""

    cpu: Pool = dataclasses.field(metadata={"doc": "where mean fields run, and all without GPUs"})
    gpu: Pool | None = dataclasses.field(
        default=None, metadata={"doc": "where pretraining, optimisation and evaluation run"}
    )
    account: str | None = key("account to charge", default=None)
    qos: str | None = key("quality of service", default=None)
    gpus: int = key("GPUs per node of a job", default=1, at_least=1)
    nodes: int = key("nodes of a job: one process on each", default=1, at_least=1)
    cpus: int = key("CPU cores per node of a job of the network", default=4, at_least=1)
    memory_factor: float = key(
        "factor on the estimated memory, for unusual materials", default=1.0, above=0
    )
    runtime_factor: float = key(
        "factor on the estimated run time, for slow machines", default=1.0, above=0
    )

    @property
    def network(self) -> Pool:
        """The pool of the stages that work on the network."""
        return self.gpu or self.cpu

    def check(self, where: str) -> None:
        """Raises ConfigError where a job would not fit on a node."""
        if self.gpu and self.gpu.gpus == 0:
            raise ConfigError(
                "a pool for GPUs without GPUs",
                where=f"{where}, key 'gpu', key 'gpus'",
                expected="the number of GPUs of a node",
                remedy="set it, or delete the section 'gpu'",
            )
        if self.gpu and self.gpus > self.gpu.gpus:
            raise ConfigError(
                f"{self.gpus} GPUs per node",
                where=f"{where}, key 'gpus'",
                expected=f"at most {self.gpu.gpus}, what a node has (key 'gpu', key 'gpus')",
                remedy="ask for fewer, or for more nodes (key 'nodes')",
            )
        if self.cpus > self.network.cpus:
            raise ConfigError(
                f"{self.cpus} CPU cores per node",
                where=f"{where}, key 'cpus'",
                expected=f"at most {self.network.cpus}, what a node has",
            )


def read_site(content: Mapping[str, Any]) -> Site:
    """Returns the checked site of the section `site`.

    Raises:
        ConfigError: A wrong key or value.
    """
    return parse(Site, content, where=WHERE)

"""What a job asks for, from the size of what it computes.

Estimates are generous and crude: a stage that runs out of time goes on in the next job, one
that runs out of memory gets more at the next attempt.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from engine.cluster.site import Pool, Site
from engine.config import FockMethodConfig, MethodConfig, cpu_chunk
from engine.config.fock import FEW_SLICES

AnyMethod = MethodConfig | FockMethodConfig

CPU_FLOPS, GPU_FLOPS = 5e9, 5e11
"""Floating-point operations per second that one core or one GPU is sure to make."""
START_MIN = 10
"""Minutes for compilation, equilibration and the file system."""
LEARN_MIN = 240
"""Minutes for training a learned Hamiltonian, and for its comparison with PySCF."""
REFERENCE_MIN = 120
"""Minutes for coupled cluster, full configuration interaction and DMRG on given integrals."""
CI_VECTORS = 20
"""Vectors of the largest exact diagonalisation that are kept in memory."""
ELEMENTS, FIRST_PASSES = 5e6, 20
"""Matrix elements per second that one core is sure to make, and passes that find a first core."""
SLOT_MB = 3e-4
"""Memory of a contribution in `selection.buffer`, with what its merging takes."""
BASE_MB = {"cpu": 3000, "gpu": 12000}
"""Memory of a job without walkers: Python, JAX, compilation."""
RETRY_LIMIT = 4
"""Memory stops growing with attempts at this multiple."""


@dataclasses.dataclass(frozen=True)
class Size:
    """What decides the cost of a job.

    Attributes:
        electrons: In the simulation cell.
        atoms: In the primitive cell.
        n_cells: Primitive cells in the simulation cell.
        periodic: False for a molecule.
    """

    electrons: int
    atoms: int
    n_cells: int
    periodic: bool


def resources(
    stage: str, size: Size, site: Site, attempt: int, method: AnyMethod | None = None
) -> dict[str, Any]:
    """Returns Snakemake's resources of a job.

    Args:
        stage: "mean_field", "integrals", "reference", "pretrain", "vmc" or "evaluate".
        size: Of the material.
        site: The cluster.
        attempt: Which submission of the job this is, from 1.
        method: For the stages that have one.
    """
    if stage in ("mean_field", "integrals", "reference"):
        minutes, memory, pool = *_mean_field(size), site.cpu
        if stage == "reference":
            minutes, memory = minutes + REFERENCE_MIN, memory + _vectors(method)
        minutes *= 2 ** (attempt - 1)  # it starts from the beginning
        return _asked(site, pool, minutes, memory, attempt, cpus=min(4, pool.cpus))
    if method.space == "fock":
        minutes, memory = _fock(stage, size, method)
        if stage != "vmc":
            minutes *= 2 ** (attempt - 1)  # it starts from the beginning
        found = _asked(site, site.network, minutes, memory, attempt, cpus=1)
        return _with_gpus(found, site, 1)
    minutes, memory = _network(stage, size, site, method)
    found = _asked(site, site.network, minutes, memory, attempt, cpus=site.cpus)
    if site.nodes > 1:
        found |= {"nodes": site.nodes, "tasks": site.nodes, "mpi": "srun"}
    return _with_gpus(found, site, site.gpus)


def model_resources(stage: str, site: Site, attempt: int) -> dict[str, Any]:
    """Returns Snakemake's resources of a job of a learned Hamiltonian, whatever its size.

    Args:
        stage: "learn", which goes on in the next job when its time is over, or "learned_errors".
        site: The cluster.
        attempt: Which submission of the job this is, from 1.
    """
    if stage != "learn":
        minutes = LEARN_MIN * 2 ** (attempt - 1)
        return _asked(site, site.cpu, minutes, BASE_MB["cpu"], attempt, cpus=min(4, site.cpu.cpus))
    memory = BASE_MB["gpu" if site.gpu else "cpu"]
    return _with_gpus(_asked(site, site.network, LEARN_MIN, memory, attempt, cpus=1), site, 1)


def _with_gpus(found: dict[str, Any], site: Site, gpus: int) -> dict[str, Any]:
    if not site.gpu:
        return found
    option = site.gpu.gpu_option.format(n=gpus)
    return found | {"slurm_extra": f"{option} {found['slurm_extra']}".strip()}


def _asked(
    site: Site, pool: Pool, minutes: float, memory_mb: float, attempt: int, cpus: int
) -> dict[str, Any]:
    grown = memory_mb * site.memory_factor * min(1 + (attempt - 1) / 2, RETRY_LIMIT)
    asked = {
        "slurm_partition": pool.partition,
        "runtime": min(math.ceil(minutes * site.runtime_factor), pool.max_runtime_min),
        "mem_mb": min(math.ceil(grown), pool.mem_mb),
        "cpus_per_task": cpus,
        "slurm_extra": pool.extra,
    }
    named = {"slurm_account": site.account, "qos": site.qos}
    return asked | {name: value for name, value in named.items() if value}


def _mean_field(size: Size) -> tuple[float, float]:
    """Returns (minutes, MB): density fitting of a primitive cell at n_cells k-points."""
    electrons = size.electrons / size.n_cells
    if not size.periodic:
        return START_MIN + 1e-4 * electrons**4, BASE_MB["cpu"] + electrons**3
    work = electrons**3 * size.n_cells**2
    return START_MIN + 0.02 * work, BASE_MB["cpu"] + 2 * electrons**2 * size.n_cells**2


def _network(stage: str, size: Size, site: Site, method: MethodConfig) -> tuple[float, float]:
    """Returns (minutes, MB) of a stage that works on the network."""
    n, walkers = size.electrons, method.sampler.walkers
    passes = method.sampler.moves + {"pretrain": 4, "vmc": 6 * n + 10, "evaluate": 6 * n}[stage]
    steps = {
        "pretrain": method.pretrain.steps,
        "vmc": method.vmc.steps,
        "evaluate": method.evaluate.max_steps,
    }[stage]
    if steps or stage != "pretrain":
        steps += method.sampler.equilibration
    devices = site.nodes * (site.gpus if site.gpu else site.cpus)
    rate = devices * (GPU_FLOPS if site.gpu else CPU_FLOPS)
    minutes = START_MIN + steps * walkers * passes * forward_flops(n, method) / rate / 60
    if site.gpu:
        return minutes, BASE_MB["gpu"]
    chunk = min(method.hamiltonian.chunk or cpu_chunk(n), walkers)
    ansatz = method.ansatz
    gradients = walkers * ansatz.gradient_bytes(n) if stage != "evaluate" else 0.0
    return minutes, BASE_MB["cpu"] + 1e-6 * (chunk * ansatz.derivative_bytes(n) + gradients)


def _fock(stage: str, size: Size, method: FockMethodConfig) -> tuple[float, float]:
    """Returns (minutes, MB) of a stage in second quantisation: one device, a dense Gram matrix.

    Passes over what couples to the determinants: for the first core, at every renewal, and in the
    slices of the evaluation, there for nested lists that are twice as many together.
    """
    options = method.selection
    rows = options.core * (1 + options.survivor_factor)
    steps = {"pretrain": 0, "vmc": method.vmc.steps, "evaluate": method.evaluate.max_steps}[stage]
    contributions = rows * _connected(size.electrons)
    slices = 1 + contributions / options.buffer
    if method.evaluate.estimator in ("projected", "mcmc"):
        slices = min(slices, FEW_SLICES)
    passes = {
        "pretrain": FIRST_PASSES,
        "vmc": method.vmc.steps / options.period,
        "evaluate": 2 * slices,
    }[stage]
    minutes = steps * (rows + 1e-5 * rows**2) * 1e-5 + passes * contributions / ELEMENTS / 60
    memory = 4e-5 * rows**2 + SLOT_MB * min(options.buffer, contributions)
    return START_MIN + minutes, BASE_MB["cpu"] + memory


def _connected(electrons: int) -> float:
    """Returns the singles and doubles of a determinant, half of the orbitals filled."""
    half = electrons / 2
    pairs = half * (half - 1) / 2
    return 2 * half**2 + 2 * pairs**2 + half**4


def _vectors(method: FockMethodConfig) -> float:
    """Returns the MB of an exact diagonalisation of the largest size that is made."""
    options = method.references
    return 1e-6 * 8 * CI_VECTORS * options.fci_determinants * ("fci" in options.methods)


def forward_flops(n: int, method: MethodConfig) -> float:
    """Returns the operations of one evaluation of log psi for n particles, roughly."""
    a = method.ansatz
    single = 2 * n * a.layers * a.width * (3 * a.width + 2 * a.pair_width)
    pairs = 2 * n * n * a.layers * a.pair_width**2
    orbitals = 2 * n * n * a.width * a.determinants + a.determinants * n**3
    return single + pairs + orbitals

"""The compiled programs stages share: sampling and local energies of a batch of walkers.

System and reference are arguments, so every twist of a material runs the same program, and
the persistent cache hands it from one job to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from engine import devices, keys
from engine.config import AnsatzConfig, HamiltonianConfig, cpu_chunk, parse
from engine.hamiltonian import make_hamiltonian
from engine.stage.job import Job
from engine.types import Hamiltonian, LocalEnergy, Psi, Wavefunction


def batch_log_density(wavefunction: Wavefunction):
    """Builds (params, walkers (W, n, 3), system, reference) -> log |psi|^2 (W,)."""
    apply = jax.vmap(wavefunction.apply, in_axes=(None, 0, None, None))
    return lambda params, walkers, system, reference: (
        2 * apply(params, walkers, system, reference).log
    )


def make_sample(job: Job):
    """Builds the compiled (params, state, system, reference, key, adapt) -> (state, info)."""
    density = batch_log_density(job.wavefunction)

    @jax.jit
    def sample(params, state, system, reference, key, adapt):
        def log_density(walkers):
            return density(params, walkers, system, reference)

        return job.sampler.step(key, log_density, state, system, adapt)

    return sample


def make_local_energy(wavefunction: Wavefunction, hamiltonian: Hamiltonian, chunk: int):
    """Builds the compiled (params, walkers, system, reference, key) -> LocalEnergy of (W,) arrays.

    Each device has the energies of all walkers in the end: their statistics need no more exchange.

    At most `chunk` walkers are in flight on a device at a time, which bounds the memory.
    """

    def share(fixed, walkers: Array, walker_keys: Array) -> LocalEnergy:
        params, system, reference = fixed

        def one(walker_and_key):
            walker, walker_key = walker_and_key
            psi = Psi(wavefunction, params, system, reference)
            return hamiltonian.local_energy(psi, walker, system, walker_key)

        if len(walkers) <= chunk:
            return jax.vmap(one)((walkers, walker_keys))
        return jax.lax.map(one, (walkers, walker_keys), batch_size=chunk)

    @jax.jit
    def local_energy(params, walkers: Array, system, reference, key) -> LocalEnergy:
        walker_keys = jax.random.split(key, len(walkers))
        energy = devices.per_walker(share)((params, system, reference), walkers, walker_keys)
        return devices.gathered(energy)

    return local_energy


def in_flight(job: Job, options: HamiltonianConfig) -> int:
    """Returns how many walkers a device differentiates at a time."""
    if options.chunk:
        return options.chunk
    ansatz = parse(AnsatzConfig, job.sections["ansatz"], where="ansatz")
    n = job.system.n_particles
    return devices.fitting(ansatz.derivative_bytes(n), cpu_chunk(n))


class Programs(NamedTuple):
    """What all twists of a material run: functions of params, system and reference.

    Attributes:
        sample: See `make_sample`.
        local_energy: See `make_local_energy`.
    """

    sample: Callable[..., tuple[Any, dict[str, Array]]]
    local_energy: Callable[..., LocalEnergy]


def make_programs(job: Job) -> Programs:
    """Builds the programs of a job's material."""
    options = parse(HamiltonianConfig, job.sections["hamiltonian"], where="hamiltonian")
    hamiltonian = make_hamiltonian(job.system, options)
    chunk = in_flight(job, options)
    return Programs(make_sample(job), make_local_energy(job.wavefunction, hamiltonian, chunk))


def make_measure(job: Job, stage: str, programs: Programs | None = None):
    """Builds (equilibrate, measure) of a stage, whose name its random streams bear.

    Jobs that differ in their twist alone may share `programs`.

    equilibrate: (params, sampler state) -> sampler state, after the adaptive steps asked for.
    measure: (params, sampler state, step, adapt) -> (sampler state, LocalEnergy, row): one step
        of sampling, then the local energies of its walkers; `row` holds their averages and what
        the sampler reports.
    """
    sample, local_energy = programs or make_programs(job)
    here = (job.system, job.reference)

    def equilibrate(params, state):
        for step in range(job.sections["sampler"]["equilibration"]):
            key = keys.stream(job.key, f"{stage}-equilibration", step)
            state, _ = sample(params, state, *here, key, 1.0)
        return state

    def measure(params, state, step: int, adapt: float):
        key = keys.stream(job.key, f"{stage}-sampler", step)
        state, info = sample(params, state, *here, key, adapt)
        key = keys.stream(job.key, f"{stage}-energy", step)
        energy = local_energy(params, state.walkers, *here, key)
        return state, energy, {**summary(energy), **info}

    return equilibrate, measure


def batch_of(job: Job, walkers: Array, weights: tuple[Array, Array]) -> tuple:
    """Returns what an optimizer's step reads: walkers, weights in the job's unit of energy, where.

    Energies of a gas are measured by its plasma frequency, or a dilute one would hardly move.
    """
    unit = float(job.system.frequency)
    return (walkers, *((w / unit).astype(job.dtype) for w in weights), job.system, job.reference)


@jax.jit
def summary(energy: LocalEnergy) -> dict[str, Array]:
    """Returns the per-step numbers of a batch of local energies, unclipped."""
    variance = jnp.var(energy.real)
    row = {
        "energy_ha": energy.real.mean(),
        "error_ha": jnp.sqrt(variance / len(energy.real)),
        "variance_ha2": variance,
        "imag_ha": energy.imag.mean(),
    }
    return row | {f"{name}_ha": part.mean() for name, part in energy.parts.items()}

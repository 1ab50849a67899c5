"""What pretraining, optimisation and evaluation share: the inputs of one twist, made ready."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from engine import __version__, compiling, devices, keys
from engine.config import AnsatzConfig, SamplerConfig, fingerprint, parse
from engine.errors import DataError
from engine.io import attempt, hdf5
from engine.io.checkpoint import flatten, prefixed, under, unflatten
from engine.io.hdf5 import Record
from engine.io.mean_field import MeanField, read_mean_field
from engine.io.system import SystemFile, read_system
from engine.io.trace import write_trace
from engine.mean_field.reference import evaluate_orbitals, make_reference
from engine.sampler.initial import initial_walkers
from engine.sampler.metropolis import make_metropolis
from engine.stage import runtime
from engine.system.system import System
from engine.types import Reference, Sampler, Wavefunction
from engine.wavefunction import make_wavefunction

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Job:
    """One material, method and twist, with everything a stage of it needs.

    Attributes:
        name: "<stage> <material>/<method>/twist-<k>".
        sections: The stage's resolved configuration.
        fingerprint: Of sections and input files.
        system: At the twist of the mean-field file.
        reference: Occupied orbitals in the network's precision.
        n_cells: Primitive cells in the simulation cell.
        mean_field_ha: Mean-field energy of the simulation cell, hartree.
        mean_field_zone_ha: Its average over all twists, where the mean field knows it.
        wavefunction: The method's ansatz.
        slater: The bare mean-field determinant.
        sampler: Metropolis.
        key: Root of the run's random streams.
        dtype: Of walkers and network.
    """

    name: str
    sections: dict[str, Any]
    fingerprint: str
    system: System
    reference: Reference
    n_cells: int
    mean_field_ha: float
    mean_field_zone_ha: float | None
    wavefunction: Wavefunction
    slater: Wavefunction
    sampler: Sampler
    key: jax.Array
    dtype: Any

    @property
    def walkers(self) -> int:
        """Number of walkers."""
        return self.sections["sampler"]["walkers"]

    def fresh(self) -> tuple[Any, Any]:
        """Returns (params, sampler state) to begin with."""
        here = (self.system, self.reference)
        init = compiling.jit(self.wavefunction.init, compiling.QUICK)
        params = init(keys.stream(self.key, "params"), *here)
        key = keys.stream(self.key, "walkers")
        return self._placed(params, initial_walkers(key, self.system, self.walkers, self.dtype))

    def template(self) -> tuple[Any, Any]:
        """Returns (params, sampler state) of the right shapes, which costs no compilation."""
        here = (keys.stream(self.key, "params"), self.system, self.reference)
        params = jax.eval_shape(self.wavefunction.init, *here)
        params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), params)
        walkers = np.zeros((self.walkers, self.system.n_particles, 3), self.dtype)
        return self._placed(params, jnp.asarray(walkers))

    def _placed(self, params: Any, walkers: Array) -> tuple[Any, Any]:
        params, sampler = devices.copied((params, self.sampler.init(walkers, self.system)))
        return params, sampler._replace(walkers=devices.split(sampler.walkers))


def load(
    stage: str,
    sections: dict[str, Any],
    *,
    system: Path,
    mean_field: Path,
    start: Path | None = None,
) -> Job:
    """Reads the inputs of a stage and builds its functions.

    Args:
        stage: "pretrain", "vmc" or "evaluate".
        sections: What `engine.campaign` resolved for it.
        system: system.h5.
        mean_field: twist-<k>.h5.
        start: The previous stage's checkpoint, where there is one.

    Raises:
        DataError: The files do not belong together or to the twist asked for.
    """
    runtime.configure()
    devices.check_walkers(sections["sampler"]["walkers"])
    file, scf = read_system(system), read_mean_field(mean_field)
    _check_inputs(sections, file, scf, mean_field)
    inputs = [hdf5.content(path) for path in (system, mean_field, start) if path]
    dtype = jnp.dtype(sections["precision"])
    is_complex = sections["number"] == "complex"
    here = file.system.with_twist(scf.twist)
    if (spin := sections["twist"].get("spin")) is not None:
        here = here.with_spin(spin)
    reference = make_reference(
        scf,
        here,
        file.supercell,
        complex_orbitals=is_complex,
        antiperiodic=sections.get("antiperiodic", False),
        dtype=dtype,
    )
    ansatz = parse(AnsatzConfig, sections["ansatz"], where="ansatz")
    make = {"complex_orbitals": is_complex, "dtype": dtype, "reference_orbitals": evaluate_orbitals}
    index = f"twist-{sections['twist']['index']:03d}"
    path = (sections["material"], sections["method"], index)
    return Job(
        name=f"{stage} {'/'.join(path)}",
        sections=sections,
        fingerprint=fingerprint({"stage": stage, "engine": __version__, **sections}, inputs),
        system=devices.copied(here),
        reference=devices.copied(reference),
        n_cells=file.n_cells,
        mean_field_ha=scf.simulation_energy,
        mean_field_zone_ha=None if scf.zone is None else scf.n_cells * scf.zone,
        wavefunction=make_wavefunction(ansatz, here, reference, **make),
        slater=make_wavefunction(
            dataclasses.replace(ansatz, name="slater"), here, reference, **make
        ),
        sampler=make_metropolis(parse(SamplerConfig, sections["sampler"], where="sampler")),
        key=devices.copied(keys.root(sections["seed"], *path)),
        dtype=dtype,
    )


def _check_inputs(sections: dict[str, Any], file: SystemFile, scf: MeanField, path: Path) -> None:
    wanted = {
        "twist": (np.allclose(scf.twist, sections["twist"]["frac"]), sections["twist"]["frac"]),
        "system fingerprint": (scf.system_fingerprint == file.fingerprint, file.fingerprint),
    }
    for what, (equal, expected) in wanted.items():
        if not equal:
            raise DataError(
                f"the mean field is of another {what}",
                where=str(path),
                expected=f"{what} {expected}",
                remedy="delete it and run again",
            )


def restored(job: Job, start: Record, where: Path, member: int | None = None) -> tuple[Any, Any]:
    """Returns (params, sampler state) of a previous stage's checkpoint.

    Args:
        job: What is to be run.
        start: The checkpoint.
        where: Its file.
        member: Whose walkers, where it is that of a group.
    """
    params, sampler = job.template()
    walkers = "sampler" if member is None else f"sampler/{member}"
    return (
        unflatten(params, under("params", start.data), where=str(where)),
        unflatten(sampler, under(walkers, start.data), where=str(where)),
    )


def read_start(path: Path) -> Record:
    """Reads a previous stage's checkpoint."""
    return hdf5.read(path, "checkpoint")


def run_facts(state_dir: Path, *besides: Path) -> dict[str, Any]:
    """Returns what a stage has cost so far, for the attributes of its files.

    Args:
        state_dir: Where its attempts are recorded.
        besides: Where more of the work of the same attempts is.
    """
    spent = attempt.cost(attempt.read(state_dir))
    more = [attempt.cost(attempt.read(folder)) for folder in besides]
    spent["device_hours"] += sum(other["device_hours"] for other in more)
    return {"device": runtime.device(), **runtime.compilation(), **spent}


class Origin(Protocol):
    """What a file of training says of where it comes from: a `Job`, or a group of them."""

    name: str
    fingerprint: str


def write_training(
    job: Origin,
    columns: dict[str, Any],
    *,
    steps: int,
    checkpoint: Path,
    trace: Path,
    state_dir: Path,
    stopped: str = "",
    facts: Mapping[str, Any] | None = None,
    **trees: Any,
) -> None:
    """Writes checkpoint and trace of pretraining or optimisation; every process calls it.

    Args:
        job: What was run.
        columns: The trace.
        steps: How many steps were made.
        checkpoint: Output, kind "checkpoint".
        trace: Output, kind "trace".
        state_dir: Where the attempts are recorded.
        stopped: Why no more steps were made.
        facts: More attributes, in the place of those of this run.
        trees: Named pytrees of the checkpoint.
    """
    data: dict[str, Any] = {"step": steps}
    for name, tree in trees.items():
        data |= prefixed(name, flatten(tree))
    if devices.is_main():
        about = {"stage": job.name.split()[0], "stopped": stopped, **run_facts(state_dir)}
        about |= facts or {}
        write_trace(trace, columns, fingerprint=job.fingerprint, attributes=about)
        hdf5.write(checkpoint, "checkpoint", data, fingerprint=job.fingerprint, attributes=about)
    devices.wait("the outputs are written")

"""Joint optimisation: one set of parameters for many twists, geometries and supercells.

Every step draws one member: its walkers are sampled and measured, and the common parameters move.
Each member is drawn once in every round, in an order that changes from round to round; it keeps
its own walkers and width. Which member a step draws follows from the step number alone, so that a
killed run goes on as any other stage does. Members of one material share their programs; members
of different size have programs of their own and the same optimizer state: SPRING's is a step in
parameter space; KFAC's factors belong to layers, and are refused where their shapes differ.
"""

from __future__ import annotations

import dataclasses
import logging
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import keys
from engine.config import OptimizerConfig, TrainingConfig, fingerprint, parse
from engine.errors import DataError
from engine.io.checkpoint import flatten
from engine.optimizer import make_optimizer
from engine.optimizer.objective import clipped_weights
from engine.stage import loop, runtime
from engine.stage.checks import check_energy
from engine.stage.convergence import FEWEST, trained
from engine.stage.job import Job, load, read_start, restored, write_training
from engine.stage.programs import batch_of, make_measure, make_programs
from engine.types import Optimizer, VmcState

log = logging.getLogger(__name__)

Columns = Mapping[str, np.ndarray]
MEMBER = "member"
"""Column of the trace: whose step it was."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Jobs that share parameters.

    Attributes:
        name: "joint <group>".
        fingerprint: Of all sections and input files.
        jobs: The members.
        draws: Seed of the order in which they are drawn.
    """

    name: str
    fingerprint: str
    jobs: tuple[Job, ...]
    draws: tuple[int, ...]

    def member(self, step: int) -> int:
        """Returns whose turn a step is."""
        turn, place = divmod(step, len(self.jobs))
        return int(np.random.default_rng([*self.draws, turn]).permutation(len(self.jobs))[place])


def joint(
    sections: dict[str, Any],
    *,
    systems: Sequence[Path],
    mean_fields: Sequence[Path],
    starts: Sequence[Path],
    checkpoint: Path,
    trace: Path,
    state_dir: Path,
) -> None:
    """Minimises the sum of the members' energies from the first member's pretrained parameters.

    Args:
        sections: `group`, `seed`, `vmc`, and under `members` each one's configuration.
        systems: Input system.h5 of every member.
        mean_fields: Their mean-field files.
        starts: Their checkpoints of the pretrain stage.
        checkpoint: Output, kind "checkpoint": params, a sampler per member, optimizer, step.
        trace: Output, kind "trace": one row per step, `member` says whose.
        state_dir: Scratch for saved states.
    """
    group = load_group(sections, systems, mean_fields, starts)
    options = parse(TrainingConfig, sections["vmc"], where="vmc")
    params, samplers = _started(group, starts)
    advance, initial, prepare = make_iteration(group, params, samplers)
    plan = loop.Plan(
        group.name,
        options.steps,
        options.checkpoint_steps,
        state_dir,
        group.fingerprint,
        prepare,
        advance,
        check=lambda columns, step: _check(group, columns, options),
        finished=lambda columns, step: _trained(group, columns, step, options),
    )
    state, columns = loop.run(plan, initial)
    write_training(
        group,
        columns,
        steps=int(state.step),
        stopped=loop.ended(plan, columns),
        checkpoint=checkpoint,
        trace=trace,
        state_dir=state_dir,
        facts={"members": [job.name.split()[1] for job in group.jobs]},
        params=state.params,
        sampler=state.sampler,
        optimizer=state.optimizer,
    )
    log.info("%s: %.1f s of compilation", group.name, runtime.compile_seconds())


def load_group(
    sections: dict[str, Any],
    systems: Sequence[Path],
    mean_fields: Sequence[Path],
    starts: Sequence[Path],
) -> Group:
    """Reads the inputs of all members."""
    jobs = tuple(
        load("joint", member, system=system, mean_field=mean_field, start=start)
        for member, system, mean_field, start in zip(
            sections["members"], systems, mean_fields, starts, strict=True
        )
    )
    about = {"stage": "joint", "vmc": sections["vmc"], "group": sections["group"]}
    return Group(
        f"joint {sections['group']}",
        fingerprint(about, [job.fingerprint for job in jobs]),
        jobs,
        (sections["seed"], zlib.crc32(sections["group"].encode())),
    )


def _started(group: Group, starts: Sequence[Path]) -> tuple[Any, tuple[Any, ...]]:
    """Returns the first member's parameters and every member's walkers.

    Raises:
        DataError: The parameters of a member have other names or shapes.
    """
    found = [
        restored(job, read_start(path), path) for job, path in zip(group.jobs, starts, strict=True)
    ]
    shapes = [{(name, leaf.shape) for name, leaf in flatten(params).items()} for params, _ in found]
    for job, path, shape in zip(group.jobs, starts, shapes, strict=True):
        if other := sorted(shape ^ shapes[0]):
            raise DataError(
                f"the parameters of {job.name.split()[1]} are not those of the other members: "
                f"{other[0][0]} has shape {other[0][1]}",
                where=str(path),
                expected=f"the names and shapes of {group.jobs[0].name.split()[1]}",
                remedy="leave it out of the group",
            )
    return found[0][0], tuple(sampler for _, sampler in found)


def make_iteration(group: Group, params: Any, samplers: tuple[Any, ...]):
    """Builds (advance, initial state, prepare) of the optimisation."""
    first = _first_of_materials(group)
    options = parse(OptimizerConfig, group.jobs[0].sections["optimizer"], where="optimizer")
    programs = {k: make_programs(group.jobs[k]) for k in set(first)}
    measures = [
        make_measure(job, "joint", programs[k]) for job, k in zip(group.jobs, first, strict=True)
    ]
    optimizers, opt_state = _optimizers(group, set(first), options, params, samplers)

    def prepare(state: VmcState) -> VmcState:
        walkers = tuple(
            equilibrate(state.params, sampler)
            for (equilibrate, _), sampler in zip(measures, state.sampler, strict=True)
        )
        return state._replace(sampler=walkers)

    def advance(state: VmcState, step: int):
        params, samplers, opt_state, _ = state
        k = group.member(step)
        job = group.jobs[k]
        sampler, energy, row = measures[k][1](params, samplers[k], step, 1.0)
        weights = clipped_weights(energy.real, energy.imag, options.clip)
        params, opt_state, moved = optimizers[first[k]].step(
            params,
            opt_state,
            keys.stream(job.key, "joint-optimizer", step),
            batch_of(job, sampler.walkers, weights),
        )
        samplers = (*samplers[:k], sampler, *samplers[k + 1 :])
        return VmcState(params, samplers, opt_state, step + 1), row | moved | {MEMBER: k}

    return advance, VmcState(params, samplers, opt_state, 0), prepare


def _first_of_materials(group: Group) -> list[int]:
    """Returns, per member, the first member of the same material."""
    names = [job.sections["material"] for job in group.jobs]
    return [names.index(name) for name in names]


def _optimizers(
    group: Group,
    which: set[int],
    options: OptimizerConfig,
    params: Any,
    samplers: tuple[Any, ...],
) -> tuple[dict[int, Optimizer], Any]:
    """Returns an optimizer per material and the state they share.

    Raises:
        DataError: The state of one cannot be that of another.
    """
    made, states = {}, {}
    for k in sorted(which):
        job = group.jobs[k]
        is_complex = job.sections["number"] == "complex"
        made[k] = make_optimizer(job.wavefunction, options, is_complex=is_complex)
        zeros = jnp.zeros(job.walkers)
        batch = batch_of(job, samplers[k].walkers, (zeros, zeros))
        states[k] = made[k].init(params, keys.stream(job.key, "optimizer-init"), batch)
    shapes = {k: jax.tree.map(jnp.shape, jax.tree.leaves(state)) for k, state in states.items()}
    for k, found in shapes.items():
        if found != shapes[0]:
            raise DataError(
                f"{options.name} sees other layers in {group.jobs[k].name.split()[1]}",
                where=group.name,
                expected=f"those of {group.jobs[0].name.split()[1]}",
                remedy="set optimizer.name: spring, whose state has the shape of the parameters",
            )
    return made, states[0]


def rows_of(columns: Columns, member: int) -> dict[str, np.ndarray]:
    """Returns the rows of one member, without the column that says so."""
    mine = np.asarray(columns[MEMBER]) == member
    return {name: values[mine] for name, values in columns.items() if name != MEMBER}


def _check(group: Group, columns: Columns, options: TrainingConfig) -> None:
    for k, job in enumerate(group.jobs):
        rows = rows_of(columns, k)
        if len(rows["energy_ha"]):
            limit = options.runaway_ha_per_particle
            check_energy(rows, job.mean_field_ha, job.system.n_particles, limit)


def _trained(group: Group, columns: Columns, step: int, options: TrainingConfig) -> str:
    """Returns why training may end: no member gains more than the accuracy asked for.

    The least number of steps counts for each of them.
    """
    if options.min_steps is None or step < options.min_steps * len(group.jobs):
        return ""
    words = []
    for k, job in enumerate(group.jobs):
        rows = rows_of(columns, k)
        accuracy = options.accuracy_ha_per_cell * job.n_cells
        words.append(trained(rows, len(rows["energy_ha"]), FEWEST, accuracy))
    return f"all members {words[0]}" if all(words) else ""

"""Stages `pretrain` and `vmc` in the Fock space: the starting core, and the optimisation."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from engine import keys
from engine.config import parse
from engine.config.fock import FockOptimizerConfig, FockPretrainConfig, FockVmcConfig
from engine.errors import NumericalError
from engine.fock.natural import make_fock_optimizer
from engine.fock.selection import Selected
from engine.io.checkpoint import locked
from engine.stage import loop
from engine.stage.checks import check_finite
from engine.stage.convergence import trained
from engine.stage.fock_job import FockJob, load_fock
from engine.stage.job import read_start, write_training

log = logging.getLogger(__name__)


class FockState(NamedTuple):
    """What a saved state stores.

    Attributes:
        params: Of the network.
        optimizer: State of the optimizer.
        selected: Core and survivors of the last renewal.
    """

    params: Any
    optimizer: Any
    selected: Selected


def fock_pretrain(
    sections: dict[str, Any], *, integrals: Path, checkpoint: Path, trace: Path, state_dir: Path
) -> None:
    """Writes fresh parameters and the core that perturbation theory proposes.

    Args:
        sections: Resolved configuration.
        integrals: Input integrals.h5 of the twist.
        checkpoint: Output, kind "checkpoint": params, selected.
        trace: Output, kind "trace", without rows.
        state_dir: Scratch for saved states.
    """
    job = load_fock("pretrain", sections, integrals=integrals)
    options = parse(FockPretrainConfig, sections["pretrain"], where="pretrain")
    with locked(state_dir):
        selected = job.selection.start(job.hamiltonian)
    write_training(
        job,
        {},
        steps=options.steps,
        checkpoint=checkpoint,
        trace=trace,
        state_dir=state_dir,
        params=job.template(),
        selected=selected._asdict(),
    )


def fock_vmc(
    sections: dict[str, Any],
    *,
    integrals: Path,
    start: Path,
    checkpoint: Path,
    trace: Path,
    state_dir: Path,
) -> None:
    """Minimises the energy of the selected determinants.

    Args:
        sections: Resolved configuration.
        integrals: Input integrals.h5 of the twist.
        start: Input checkpoint of the pretrain stage.
        checkpoint: Output, kind "checkpoint": params, optimizer, selected, step.
        trace: Output, kind "trace": one row per step.
        state_dir: Scratch for saved states.
    """
    before = read_start(start)
    job = load_fock("vmc", sections, integrals=integrals, start=start)
    options = parse(FockVmcConfig, sections["vmc"], where="vmc")
    advance, initial = make_iteration(job, *job.restored(before, start))
    accuracy_ha = options.accuracy_ha_per_cell * job.integrals.n_cells
    plan = loop.Plan(
        job.name,
        options.steps,
        options.checkpoint_steps,
        state_dir,
        job.fingerprint,
        prepare=lambda state: state,
        advance=advance,
        check=lambda columns, step: _check(job, columns, options.runaway_ha_per_particle),
        finished=lambda columns, step: trained(columns, step, options.min_steps, accuracy_ha),
    )
    state, columns = loop.run(plan, initial)
    steps = len(columns.get("energy_ha", ()))
    last = max(steps - 1, 0)
    renewed = last - last % job.selection_options.period
    selected = job.selection.trained(state.selected, renewed, _functional(job))
    write_training(
        job,
        columns,
        steps=steps,
        stopped=loop.ended(plan, columns),
        checkpoint=checkpoint,
        trace=trace,
        state_dir=state_dir,
        params=state.params,
        optimizer=state.optimizer,
        selected=selected._asdict(),
    )


def _functional(job: FockJob) -> str:
    return parse(FockOptimizerConfig, job.sections["optimizer"], where="optimizer").functional


def make_iteration(job: FockJob, params: Any, selected: Selected):
    """Builds (advance, initial state); a renewal or a resume makes the subspace again."""
    options = parse(FockOptimizerConfig, job.sections["optimizer"], where="optimizer")
    key = keys.stream(job.key, "optimizer")
    optimizer = make_fock_optimizer(job.model, options, is_complex=job.is_complex, key=key)
    period, H = job.selection_options.period, job.hamiltonian
    held: dict[int, Any] = {}

    def advance(state: FockState, step: int):
        made = step - step % period
        if step and step == made:
            renewed = job.selection.renew(state.params, H, job.reference, state.selected, step)
            if renewed is state.selected and made - period in held:
                held[made] = held.pop(made - period)
            state = state._replace(selected=renewed)
        if made not in held:
            held.clear()
            held[made] = job.selection.subspace(H, state.selected, made, options.functional)
        params, optimum, info = optimizer.step(
            state.params, state.optimizer, held[made], job.reference
        )
        info |= {"core": jnp.asarray(held[made].core_size), "error_ha": jnp.zeros(())}
        return FockState(params, optimum, state.selected), info

    return advance, FockState(params, optimizer.init(params), selected)


def _check(job: FockJob, columns: dict[str, np.ndarray], runaway_ha: float) -> None:
    """Raises NumericalError where the energy is not finite or not that of bound electrons."""
    energy = columns["energy_ha"][-loop.FLUSH :]
    check_finite(energy, "the energy")
    check_finite(columns["gradient_norm"][-loop.FLUSH :], "the step")
    reach = job.space.n_electrons * runaway_ha
    middle, low = job.integrals.mean_field, job.integrals.mean_field - reach
    if not low < np.median(energy) < middle + 20 * reach:
        raise NumericalError(
            f"runaway energy {np.median(energy):.4f} Ha",
            expected=f"between {low:.4f} and {middle + 20 * reach:.4f} Ha, about the mean field",
            remedy="lower optimizer.learning_rate or raise optimizer.damping",
        )

"""What the stages of the Fock space share: one twist's Hamiltonian, ansatz and selection."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from engine import __version__, keys
from engine.config import fingerprint, parse
from engine.config.fock import FockAnsatzConfig, SelectionConfig
from engine.errors import DataError
from engine.fock import slater_condon
from engine.fock.backflow import Backflow, make_backflow, reference_orbitals
from engine.fock.determinants import FockSpace
from engine.fock.selection import Selected, Selection, make_selection
from engine.fock.slater_condon import FockHamiltonian
from engine.fock.symmetry import translations_of
from engine.io.checkpoint import under, unflatten
from engine.io.hdf5 import Record, content
from engine.io.integrals import Integrals, read_integrals
from engine.stage import runtime

os.environ.setdefault("NPROC", "1")
"""XLA's CPU threads can block one another in LAPACK; a rule sets this to its own threads."""


@dataclasses.dataclass(frozen=True)
class FockJob:
    """One material, method and twist in second quantisation.

    Attributes:
        name: "<stage> <material>/<method>/twist-<k>".
        sections: The stage's resolved configuration.
        fingerprint: Of sections and input files.
        integrals: The integrals file.
        space: Orbitals and electrons.
        hamiltonian: In arrays for the Slater-Condon rules.
        kinetic: The kinetic energy.
        model: The ansatz.
        selection: Core and survivors.
        reference: (2 n, N) reference orbitals in the network's precision.
        is_complex: Whether amplitudes are complex.
        key: Root of the run's random streams.
    """

    name: str
    sections: dict[str, Any]
    fingerprint: str
    integrals: Integrals
    space: FockSpace
    hamiltonian: FockHamiltonian
    kinetic: FockHamiltonian
    model: Backflow
    selection: Selection
    reference: jax.Array
    is_complex: bool
    key: jax.Array

    @property
    def selection_options(self) -> SelectionConfig:
        """The section `selection`."""
        return parse(SelectionConfig, self.sections["selection"], where="selection")

    def template(self) -> Any:
        """Returns fresh parameters."""
        return self.model.wavefunction.init(
            keys.stream(self.key, "params"), self.space, self.reference
        )

    def restored(self, start: Record, where: Path) -> tuple[Any, Selected]:
        """Returns (params, lists) of a previous stage's checkpoint."""
        data = start.data
        params = unflatten(self.template(), under("params", data), where=str(where))
        lists = under("selected", data)
        return params, Selected(jnp.asarray(lists["core"]), jnp.asarray(lists["survivors"]))


def load_fock(
    stage: str, sections: dict[str, Any], *, integrals: Path, start: Path | None = None
) -> FockJob:
    """Reads the inputs of a stage and builds its functions.

    Args:
        stage: "pretrain", "vmc" or "evaluate".
        sections: What `engine.campaign` resolved for it.
        integrals: integrals.h5 of the twist.
        start: The previous stage's checkpoint, where there is one.

    Raises:
        DataError: The file is of another twist or particle number.
        ConfigError: An ansatz or a core that the system cannot have.
    """
    runtime.configure()
    file = read_integrals(integrals)
    _check(sections, file, integrals)
    is_complex, dtype = sections["number"] == "complex", jnp.dtype(sections["precision"])
    space = FockSpace(file.n_orbitals, file.n_up, file.n_down)
    ansatz = parse(FockAnsatzConfig, sections["ansatz"], where="ansatz")
    number = {"is_complex": is_complex, "dtype": dtype}
    shifts = translations_of(file) if ansatz.translations else None
    model = make_backflow(ansatz, space, **number, translations=shifts)
    options = parse(SelectionConfig, sections["selection"], where="selection")
    index = f"twist-{sections['twist']['index']:03d}"
    path = (sections["material"], sections["method"], index)
    inputs = [content(p) for p in (integrals, start) if p]
    reference = reference_orbitals(file).astype(np.result_type(dtype, 1j) if is_complex else dtype)
    key = keys.root(sections["seed"], *path)
    select = make_selection(
        model.wavefunction,
        options,
        space,
        is_complex=is_complex,
        key=keys.stream(key, "selection"),
    )
    return FockJob(
        name=f"{stage} {'/'.join(path)}",
        sections=sections,
        fingerprint=fingerprint({"stage": stage, "engine": __version__, **sections}, inputs),
        integrals=file,
        space=space,
        hamiltonian=slater_condon.hamiltonian(file),
        kinetic=slater_condon.kinetic(file),
        model=model,
        selection=select,
        reference=jnp.asarray(reference),
        is_complex=is_complex,
        key=key,
    )


def _check(sections: dict[str, Any], file: Integrals, path: Path) -> None:
    wanted = sections.get("electrons", [file.n_up, file.n_down])
    if [file.n_up, file.n_down] != wanted:
        raise DataError(
            f"the integrals are of {file.n_up} + {file.n_down} electrons",
            where=str(path),
            expected=f"{wanted[0]} + {wanted[1]}, those of the material outside frozen orbitals",
            remedy="delete them and run again",
        )
    if not np.allclose(file.twist, sections["twist"]["frac"]):
        raise DataError(
            f"the integrals are of twist {file.twist.tolist()}",
            where=str(path),
            expected=f"twist {sections['twist']['frac']}",
            remedy="delete them and run again",
        )
    if file.is_complex and sections["number"] == "real":
        raise DataError(
            "complex integrals for real orbitals",
            where=str(path),
            expected="real ones",
            remedy="delete them and run again",
        )

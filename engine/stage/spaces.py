"""Which function runs a stage: that of the real space, or that of the Fock space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def stage_function(stage: str, sections: Mapping[str, Any]) -> Callable[..., None]:
    """Returns the stage `pretrain`, `vmc` or `evaluate` of the space that the sections name.
    `joint` is the optimisation of a group, in real space. All others take (sections, system,
    mean_field, ...); in Fock space the file `mean_field` holds the integrals, and the system file
    is not read again.
    """
    # Imported where chosen: a job loads the physics of one space.
    if sections.get("space", "real") == "fock":
        return _fock(stage)
    if stage == "pretrain":
        from engine.stage.pretrain import pretrain as function
    elif stage == "joint":
        from engine.stage.joint import joint as function
    elif stage == "vmc":
        from engine.stage.vmc import vmc as function
    else:
        from engine.stage.evaluate import evaluate as function
    return function


def _fock(stage: str) -> Callable[..., None]:
    if stage == "evaluate":
        from engine.stage.fock_evaluate import fock_evaluate as function
    else:
        from engine.stage import fock_train

        function = {"pretrain": fock_train.fock_pretrain, "vmc": fock_train.fock_vmc}[stage]

    def run(sections, *, system, mean_field, **files):
        del system
        function(sections, integrals=mean_field, **files)

    return run

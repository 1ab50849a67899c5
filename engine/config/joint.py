"""The sections `joint` of a campaign: runs that share one network."""

from __future__ import annotations

import dataclasses

from engine.config.schema import key


@dataclasses.dataclass(frozen=True)
class JointConfig:
    """One set of parameters for all twists of one or several materials."""

    method: str = key("a method whose ansatz is transferable")
    materials: list[str] = key("materials that run with it: supercells, geometries; one will do")
    steps: int | None = key(
        "optimisation steps in all, one twist of one material each; null: vmc.steps of the method "
        "for every twist",
        default=None,
        at_least=1,
    )
    transfer_from: str | None = key(
        "material from whose trained network of this method the group starts, of its first twist; "
        "null: from the pretrained one of its first member",
        default=None,
    )
    refine_steps: int = key(
        "steps each twist makes by itself after them, from the common network",
        default=0,
        at_least=0,
    )
    description: str = key("one line", default="")

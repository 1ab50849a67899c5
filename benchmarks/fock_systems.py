"""Small Hamiltonians with known energies, and the rules of selection that are compared on them.

Each is made by the stages of a campaign from a material of this repository, with the orbitals
that are asked for.
"""

from __future__ import annotations

import functools
import math
import tempfile
from pathlib import Path

from engine.campaign import Campaign
from engine.fock.candidates import SCORES
from engine.io.integrals import Integrals, read_integrals
from engine.stage.fock_integrals import fock_integrals
from engine.stage.mean_field import mean_field
from engine.stage.structure import structure

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = {
    "h8-weak": ("h8-open-chain", "canonical", {}),
    "h8-weak-localised": ("h8-open-chain", "oao", {}),
    "h8-stretched": ("h8-open-chain", "canonical", {"spacing_bohr": 3.6}),
    "h8-stretched-localised": ("h8-open-chain", "oao", {"spacing_bohr": 3.6}),
    "silicon": ("silicon-gth", "canonical", {}),
    "silicon-localised": ("silicon-gth", "oao", {}),
}
"""Name -> material, orbitals, keys of the structure that differ."""


def chain_of(n_atoms: int) -> tuple[str, int]:
    """Returns (name, determinants) of an open chain in canonical orbitals, R = 1.8 bohr."""
    name = f"h{n_atoms}"
    SYSTEMS[name] = ("h8-open-chain", "canonical", {"n_atoms": n_atoms})
    return name, math.comb(n_atoms, n_atoms // 2) ** 2


FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0)
EVERYTHING = 1e6
"""A survivor factor that leaves nothing out."""


def variants() -> list[dict]:
    """Returns every rule of selection that is compared."""
    two = [{"rule": "two-stage", "score": "epstein-nesbet", "factor": f} for f in FACTORS]
    two += [{"rule": "two-stage", "score": s, "factor": 1.0} for s in SCORES[:-1]]
    one = [{"rule": r, "score": "", "factor": None} for r in ("one-stage", "one-stage-vmc")]
    return one + two


@functools.cache
def integrals_of(system: str) -> Integrals:
    """Returns the integrals of one of `SYSTEMS`."""
    material, orbitals, changes = SYSTEMS[system]
    plan = Campaign(ROOT, ROOT / "campaign.yaml", 0, {material: ("fock",)})
    sections = {
        stage: plan.sections(stage, material, "fock", 0)
        for stage in ("structure", "mean_field", "integrals")
    }
    sections["structure"]["structure"] |= changes
    sections["integrals"]["integrals"]["orbitals"] = orbitals
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        files = {name: here / f"{name}.h5" for name in ("system", "mean_field", "integrals")}
        structure(sections["structure"], system=files["system"], structure=here / "s.extxyz")
        first = {name: files[name] for name in ("system", "mean_field")}
        mean_field(sections["mean_field"], **first)
        fock_integrals(sections["integrals"], **files, fcidump=here / "FCIDUMP")
        return read_integrals(files["integrals"])

"""Writes README.md of `materials`, `methods`, `learned` from the configuration's documentation.

Run it after a change of `engine/config/`: `python workflow/scripts/write_references.py`. A test
compares the files with the configuration.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from engine import config  # noqa: E402
from engine.campaign import CampaignConfig  # noqa: E402
from engine.config import fock, learned  # noqa: E402

PROSE = Path(__file__).with_name("references")
"""Folder of the text around the tables: one line `{{name}}` stands for each table."""

SCALARS = {int: "integer", float: "number", str: "text", bool: "true or false"}
REQUIRED = "required"

MATERIAL_TABLES = {
    "material": config.MaterialConfig,
    **{f"structure.{kind}": cls for kind, cls in config.STRUCTURES.items()},
    "twists": config.TwistConfig,
    "mean_field": config.MeanFieldConfig,
    "literature": config.Literature,
}
METHOD_TABLES = {
    "method": config.MethodConfig,
    "ansatz": config.AnsatzConfig,
    "hamiltonian": config.HamiltonianConfig,
    "sampler": config.SamplerConfig,
    "optimizer": config.OptimizerConfig,
    "pretrain": config.PretrainConfig,
    "vmc": config.VmcConfig,
    "evaluate": config.EvaluateConfig,
    "fock": fock.FockMethodConfig,
    "fock.integrals": fock.FockIntegralsConfig,
    "fock.ansatz": fock.FockAnsatzConfig,
    "fock.selection": fock.SelectionConfig,
    "fock.optimizer": fock.FockOptimizerConfig,
    "fock.sampler": fock.FockSamplerConfig,
    "fock.pretrain": fock.FockPretrainConfig,
    "fock.vmc": fock.FockVmcConfig,
    "fock.evaluate": fock.FockEvaluateConfig,
    "fock.references": fock.FockReferencesConfig,
    "campaign": CampaignConfig,
    "contrast": config.ContrastConfig,
    "family": config.FamilyConfig,
    "joint": config.JointConfig,
}
LEARNED_TABLES = {
    "learned": learned.LearnedConfig,
    "learned.labels": learned.LabelsConfig,
    "learned.model": learned.LearnedModelConfig,
    "learned.flow": learned.FlowConfig,
    "learned.learn": learned.LearnConfig,
    "learned.use": learned.UseConfig,
}
PAGES = {"materials": MATERIAL_TABLES, "methods": METHOD_TABLES, "learned": LEARNED_TABLES}
"""Folder -> tables of its README."""


def page(folder: str) -> str:
    """Returns the whole README of `folder`."""
    text = (PROSE / f"{folder}.md").read_text(encoding="utf-8")
    for name, cls in PAGES[folder].items():
        mark = f"{{{{{name}}}}}"
        if text.count(mark) != 1:
            raise SystemExit(f"{folder}.md: expected the line {mark} exactly once")
        text = text.replace(mark, table(cls))
    return text


def table(cls: type) -> str:
    """Returns the keys of one section as a Markdown table."""
    hints = typing.get_type_hints(cls)
    lines = ["| key | meaning | value | unit | default |", "| --- | --- | --- | --- | --- |"]
    for field in dataclasses.fields(cls):
        facts = field.metadata
        cells = (
            f"`{field.name}`",
            facts["doc"],
            values(hints[field.name], facts),
            facts.get("unit", ""),
            default(field),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def values(hint: Any, facts: Mapping[str, Any]) -> str:
    """Returns what may be written: the choices, or the type and its range."""
    if facts.get("choices"):
        return ", ".join(f"`{choice}`" for choice in facts["choices"])
    return f"{kind(hint)} {config.bounds(facts)}".rstrip()


def kind(hint: Any) -> str:
    """Returns the name of a type for people."""
    if hint == config.Structure or dataclasses.is_dataclass(hint):
        return "section"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(a) for a in arguments if a is not type(None)))
    if origin is list:
        return f"list of {kind(arguments[0]).replace('list', 'lists')}" + (
            "s" if arguments[0] in (int, float) else ""
        )
    return SCALARS.get(hint, "section")


def default(field: dataclasses.Field) -> str:
    """Returns the default as it would be written in YAML."""
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return "see below" if dataclasses.is_dataclass(value) else f"`{value}`"
    if field.default is dataclasses.MISSING:
        return REQUIRED
    if field.default is None or field.default == "":
        return "none"
    return f"`{number(field.default)}`"


def number(value: Any) -> str:
    """Returns a scalar as YAML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}".replace("e-0", "e-") if isinstance(value, float) else str(value)


if __name__ == "__main__":
    for name in PAGES:
        (ROOT / name / "README.md").write_text(page(name), encoding="utf-8")

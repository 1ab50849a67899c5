"""A campaign: which materials meet which methods, resolved to the input of every job.

Reads the campaign file, `materials/*.yaml` and `methods/*.yaml`, refuses bad input before
anything runs, and hands the Snakefile plain key-sorted sections: equal input gives equal
sections, so a job runs again exactly when something it depends on has changed. Imports no JAX.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import config, families, matching, models, number, sections
from engine.config.contrast import resolve
from engine.errors import ConfigError, nearest
from engine.io import document
from engine.joint import Group, check_group, read_groups
from engine.library import NAME, Material, find, merge, names, read_material
from engine.system.twists import Twist


@dataclasses.dataclass(frozen=True)
class CampaignConfig:
    """The campaign file."""

    runs: dict[str, Any] = config.key("per material, the list of methods to run")
    description: str = config.key("one line for the report", default="")
    seed: int = config.key("seed of all random numbers", default=0, at_least=0)
    contrasts: dict[str, Any] = config.key("name -> section: differences of energies", default={})
    families: dict[str, Any] = config.key(
        "name -> section: materials along one coordinate, compared with established methods",
        default={},
    )
    joint: dict[str, Any] = config.key(
        "name -> section: runs trained together, with one set of parameters", default={}
    )
    learned: list[str] = config.key(
        "learned Hamiltonians in the report, beside those that methods refer to", default=[]
    )


@dataclasses.dataclass(frozen=True)
class Campaign:
    """A whole campaign below `root`; materials and methods are read when first asked for.

    Attributes:
        root: Folder with `materials/` and `methods/`.
        path: The campaign file.
        seed: Seed of all random numbers.
        runs: Material -> methods, in the order of the file.
        description: One line for the report.
        contrasts: Name, terms and literature of each difference of energies.
        family_sections: Name -> materials along one coordinate.
        groups: Name -> runs that share one network.
    """

    root: Path
    path: Path
    seed: int
    runs: Mapping[str, tuple[str, ...]]
    description: str = ""
    contrasts: tuple[Mapping[str, Any], ...] = ()
    family_sections: Mapping[str, config.FamilyConfig] = dataclasses.field(default_factory=dict)
    learned_listed: tuple[str, ...] = ()
    groups: Mapping[str, Group] = dataclasses.field(default_factory=dict)
    _known: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def check(self) -> None:
        """Reads and checks everything.

        Raises:
            ConfigError: Names file, key, expectation and nearest valid name.
        """
        for group in self.groups.values():
            check_group(self, group)
        for material, methods in self.runs.items():
            for method in methods:
                matching.check_run(self, material, method)
        self.families()
        for name, family in self.family_sections.items():
            where = f"{self.path}, key 'families', family '{name}'"
            for run in families.fitted_runs(self, family) if family.corrections else ():
                matching.check_corrections(self, *run, family.corrections, where)
        for contrast in self.contrast_sections():
            where = f"{self.path}, key 'contrasts', contrast '{contrast['name']}'"
            terms = {(t["material"], t["method"]): t["coefficient"] for t in contrast["terms"]}
            matching.check_contrast(self, terms, where)
            for term in contrast["terms"]:
                if term["periodic"]:
                    run = term["material"], term["method"]
                    matching.check_corrections(self, *run, contrast["corrections"], where)
        for name in self.learned_names():
            self.learned(name)

    def learned_names(self) -> tuple[str, ...]:
        """Returns the learned Hamiltonians of the report: listed, and those methods refer to."""
        return models.names_of(self)

    def families(self, *analyses: str) -> list[dict[str, Any]]:
        """Returns the families of some analyses (of all) with what the analysis needs of a point.

        Raises:
            ConfigError: A material without a run of the right kind, or without the coordinate.
        """
        return [
            families.resolve(self, name, family)
            for name, family in self.family_sections.items()
            if not analyses or family.analysis in analyses
        ]

    def contrast_sections(self) -> list[dict[str, Any]]:
        """Returns the contrasts; each term knows whether its material is periodic."""
        return [
            dict(contrast)
            | {
                "terms": [
                    term | {"periodic": self.material(term["material"]).periodic}
                    for term in contrast["terms"]
                ]
            }
            for contrast in self.contrasts
        ]

    def material(self, name: str) -> Material:
        """Returns a material of this campaign, checked."""
        if name not in self._known:
            self._known[name] = read_material(find(self.root, "materials", name))
        return self._known[name]

    def method(self, material: str, method: str) -> config.MethodConfig:
        """Returns a method with the material's overrides merged over it."""
        if (material, method) not in self._known:
            self._known[material, method] = self._resolve(material, method)
        return self._known[material, method]

    def _resolve(self, material: str, method: str) -> config.MethodConfig:
        path = find(self.root, "methods", method)
        content = document.read(path)
        plain = config.parse(config.method_class(content), content, where=str(path))
        source = find(self.root, "materials", material)
        overrides = self.material(material).config.overrides
        for name in overrides:
            if name not in (known := names(self.root, "methods")):
                raise ConfigError(
                    f"unknown method '{name}'",
                    where=f"{source}, key 'overrides'",
                    expected=nearest(name, known),
                )
        if method not in overrides:
            return plain
        where = f"{source}, key 'overrides', method '{method}'"
        merged = merge(_suited(content, overrides[method]), overrides[method], where)
        return config.parse(config.method_class(merged), merged, where=where)

    def check_size(self, material: str, n_basis: int) -> None:
        """Refuses methods in second quantisation that a basis of this size cannot hold."""
        matching.check_size(self, material, n_basis)

    def learned(self, name: str) -> config.LearnedConfig:
        """Returns a learned Hamiltonian, checked."""
        if ("learned", name) not in self._known:
            self._known["learned", name] = models.read(self.root, name)
        return self._known["learned", name]

    def learned_sections(
        self, stage: str, name: str, material: str | None = None, twist: int | None = None
    ) -> dict[str, Any]:
        """Returns what a job of a learned Hamiltonian depends on, canonical.

        Args:
            stage: labels, learn, learned_errors, learned_hamiltonian or learned_mean_field.
            name: Of `learned/<name>.yaml`.
            material: For labels, learned_hamiltonian and learned_mean_field.
            twist: Index of a twist, for learned_mean_field.
        """
        base = self.sections("mean_field", material, twist=twist) if twist is not None else None
        return config.canonical(sections.plain(models.sections(self, stage, name, material, base)))

    def materials(self) -> list[str]:
        """Returns the materials of the runs, and those they start from, however indirectly."""
        runs = [(material, method) for material, methods in self.runs.items() for method in methods]
        for material, method in runs:
            source = self.source(material, method, 0)
            if source and (source[0], method) not in runs:
                runs.append((source[0], method))
        return list(dict.fromkeys(material for material, _ in runs))

    def twists(self, material: str) -> tuple[Twist, ...]:
        """Returns the boundary phases of a material."""
        return self.material(material).twists

    def number(self, material: str, method: str) -> str:
        """Returns whether the wavefunction is "real" or "complex"."""
        return number.number(self, material, method)

    def space(self, material: str, method: str) -> str:
        """Returns "real" or "fock"."""
        return self.method(material, method).space

    def sections(
        self, stage: str, material: str, method: str | None = None, twist: int | None = None
    ) -> dict[str, Any]:
        """Returns everything one job depends on apart from its input files, canonical."""
        return sections.sections(self, stage, material, method, twist)

    def joint_sections(self, name: str) -> dict[str, Any]:
        """Returns what the common training of a group depends on, canonical."""
        return sections.joint_sections(self, name)

    def summary(self) -> list[dict[str, Any]]:
        """Returns, per run, what a report says beside the numbers: material and method."""
        return [
            config.canonical(
                sections.plain(
                    {
                        "material": name,
                        "method": method,
                        "material_config": self.material(name).config,
                        "method_config": self.method(name, method),
                    }
                )
            )
            for name, methods in self.runs.items()
            for method in methods
        ]

    def group_of(self, material: str, method: str) -> Group | None:
        """Returns the group a run shares its network with."""
        for group in self.groups.values():
            if group.config.method == method and material in group.config.materials:
                return group
        return None

    def starts_from(self, material: str, method: str) -> str | None:
        """Returns the material whose trained network a run or its group starts from, if any."""
        if self.space(material, method) != "real":
            return None
        if group := self.group_of(material, method):
            return group.config.transfer_from
        return self.method(material, method).vmc.transfer_from

    def source(self, material: str, method: str, twist: int) -> tuple[str, int] | None:
        """Returns the material and twist from whose trained network a twist starts, if any.

        With `transfer_from` that is the same twist of the other material, or its first; of a group,
        which starts from one network, the first.
        """
        if source := self.starts_from(material, method):
            if self.group_of(material, method):
                return source, 0
            frac = self.twists(material)[twist].frac
            same = (t.index for t in self.twists(source) if math.dist(t.frac, frac) < 1e-9)
            return source, next(same, 0)
        options = self.method(material, method)
        first = options.space == "real" and options.vmc.transfer_steps is not None
        return (material, 0) if first and twist else None


def _suited(content: Mapping[str, Any], override: Any) -> Mapping[str, Any]:
    """Returns a method without the rate and bound of its optimizer if it is to be another one."""
    before = content.get("optimizer")
    after = override.get("optimizer") if isinstance(override, Mapping) else None
    if content.get("space", "real") != "real" or not (before and isinstance(after, Mapping)):
        return content
    old = before.get("name", config.OptimizerConfig.name)
    if after.get("name", old) == old:
        return content
    own = config.OPTIMIZER_SETTINGS[old]
    return {**content, "optimizer": {k: v for k, v in before.items() if k not in own}}


def load(path: str | Path = "campaign.yaml", root: str | Path = ".") -> Campaign:
    """Reads a campaign file; `check` reads what it names.

    Args:
        path: The campaign file, relative to `root`.
        root: Folder with `materials/` and `methods/`.

    Raises:
        ConfigError: The file is not a campaign, or names unknown materials or methods.
    """
    root = Path(root)
    path = root / path
    content = config.parse(CampaignConfig, document.read(path), where=str(path))
    if not content.runs:
        raise ConfigError(
            "no runs", where=f"{path}, key 'runs'", expected="lines of the form material: [method]"
        )
    known = {folder: names(root, folder) for folder in ("materials", "methods")}
    runs = {
        str(m): _methods(methods, f"{path}, key 'runs', material '{m}'", known["methods"])
        for m, methods in content.runs.items()
    }
    for material in runs:
        if material not in known["materials"]:
            raise ConfigError(
                f"unknown material '{material}'",
                where=f"{path}, key 'runs'",
                expected=nearest(material, known["materials"]),
                remedy=f"correct the name, or write materials/{material}.yaml",
            )
    contrasts = tuple(
        _contrast(str(name), section, runs, f"{path}, key 'contrasts', contrast '{name}'")
        for name, section in content.contrasts.items()
    )
    for name in (name for name in content.families if not NAME.fullmatch(str(name))):
        raise ConfigError(
            f"bad name '{name}'",
            where=f"{path}, key 'families'",
            expected="small letters, digits and hyphens",
        )
    families = {
        str(name): config.parse(
            config.FamilyConfig, section, where=f"{path}, key 'families', family '{name}'"
        )
        for name, section in content.families.items()
    }
    groups = read_groups(content.joint, runs, str(path))
    return Campaign(
        root,
        path,
        content.seed,
        runs,
        content.description,
        contrasts,
        families,
        tuple(content.learned),
        groups,
    )


def _contrast(
    name: str, section: Any, runs: Mapping[str, tuple[str, ...]], where: str
) -> dict[str, Any]:
    """Returns a contrast with its terms resolved to runs."""
    parsed = config.parse(config.ContrastConfig, section, where=where)
    terms = resolve(parsed, dict(runs), where).items()
    listed = [{"material": m, "method": k, "coefficient": c} for (m, k), c in terms]
    return dataclasses.asdict(parsed) | {"name": name, "terms": listed}


def _methods(methods: Any, where: str, known: list[str]) -> tuple[str, ...]:
    if not isinstance(methods, list) or not methods:
        raise ConfigError(
            f"found {methods!r}", where=where, expected="a list of methods, e.g. [ferminet]"
        )
    for name in methods:
        if name not in known:
            raise ConfigError(
                f"unknown method '{name}'",
                where=where,
                expected=nearest(name, known),
                remedy=f"correct the name, or write methods/{name}.yaml",
            )
    if len(set(methods)) != len(methods):
        raise ConfigError(
            f"a method is listed twice: {methods}", where=where, expected="each method once"
        )
    return tuple(methods)

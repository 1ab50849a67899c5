"""What a user may write: one frozen dataclass per YAML section, parsed strictly.

Every field carries its documentation in its metadata; `materials/README.md` and
`methods/README.md` are generated from it. Imports no JAX: the Snakefile is parsed again for
every job.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import operator
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from engine.errors import ConfigError, nearest

SCHEMA_VERSION = 1
"""Raised when the meaning of a stored file or of a section changes."""


def key(
    doc: str,
    *,
    default: Any = dataclasses.MISSING,
    unit: str = "",
    choices=(),
    at_least=None,
    above=None,
    at_most=None,
    below=None,
) -> Any:
    """Declares one YAML key with its documentation and its range."""
    metadata = {
        "doc": doc,
        "unit": unit,
        "choices": tuple(choices),
        "at_least": at_least,
        "above": above,
        "at_most": at_most,
        "below": below,
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def section(cls: type, doc: str) -> Any:
    """Declares a nested section that may be left out."""
    return dataclasses.field(default_factory=cls, metadata={"doc": doc})


# --- materials -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class PrototypeStructure:
    """A crystal prototype built by ASE."""

    kind: str = key("structure source", choices=("prototype",))
    prototype: str = key(
        "crystal prototype",
        choices=(
            "sc",
            "bcc",
            "fcc",
            "hcp",
            "diamond",
            "zincblende",
            "rocksalt",
            "cesiumchloride",
            "fluorite",
            "wurtzite",
            "graphene",
        ),
    )
    species: list[str] = key("chemical symbols, one per sublattice")
    a_angstrom: float | None = key("lattice constant a", default=None, unit="angstrom", above=0)
    a_bohr: float | None = key("lattice constant a", default=None, unit="bohr", above=0)
    c_angstrom: float | None = key("lattice constant c", default=None, unit="angstrom", above=0)
    c_bohr: float | None = key("lattice constant c", default=None, unit="bohr", above=0)
    vacuum_angstrom: float | None = key(
        "layer distance (graphene)", default=None, unit="angstrom", above=0
    )
    vacuum_bohr: float | None = key("layer distance (graphene)", default=None, unit="bohr", above=0)


@dataclasses.dataclass(frozen=True)
class FileStructure:
    """A structure file: CIF, POSCAR, extxyz or whatever ASE reads."""

    kind: str = key("structure source", choices=("file",))
    path: str = key("file, relative to the material's YAML")
    format: str | None = key("ASE format name; guessed from the file when left out", default=None)


@dataclasses.dataclass(frozen=True)
class MoleculeStructure:
    """A molecule by name, from ASE's G2 collection."""

    kind: str = key("structure source", choices=("molecule",))
    name: str = key("name in ASE's collection, e.g. LiH, H2O, C2H4")


@dataclasses.dataclass(frozen=True)
class AtomsStructure:
    """Atoms by coordinates; periodic when a lattice is given."""

    kind: str = key("structure source", choices=("atoms",))
    species: list[str] = key("chemical symbol of each atom")
    positions_angstrom: list[list[float]] | None = key(
        "Cartesian positions", default=None, unit="angstrom"
    )
    positions_bohr: list[list[float]] | None = key("Cartesian positions", default=None, unit="bohr")
    frac_positions: list[list[float]] | None = key(
        "fractional positions (needs a lattice)", default=None
    )
    lattice_angstrom: list[list[float]] | None = key(
        "lattice vectors as rows", default=None, unit="angstrom"
    )
    lattice_bohr: list[list[float]] | None = key(
        "lattice vectors as rows", default=None, unit="bohr"
    )


@dataclasses.dataclass(frozen=True)
class ChainStructure:
    """An equidistant chain along x; periodic with vacuum, or open."""

    kind: str = key("structure source", choices=("chain",))
    species: str = key("chemical symbol")
    n_atoms: int = key("atoms in the primitive cell (in the molecule, when open)", at_least=1)
    spacing_angstrom: float | None = key(
        "distance of neighbours", default=None, unit="angstrom", above=0
    )
    spacing_bohr: float | None = key("distance of neighbours", default=None, unit="bohr", above=0)
    periodic: bool = key("periodic chain, or an open one", default=True)
    vacuum_angstrom: float | None = key(
        "transverse lattice constant", default=None, unit="angstrom", above=0
    )
    vacuum_bohr: float | None = key(
        "transverse lattice constant", default=None, unit="bohr", above=0
    )


STRUCTURES = {
    "prototype": PrototypeStructure,
    "file": FileStructure,
    "molecule": MoleculeStructure,
    "atoms": AtomsStructure,
    "chain": ChainStructure,
}
Structure = PrototypeStructure | FileStructure | MoleculeStructure | AtomsStructure | ChainStructure


@dataclasses.dataclass(frozen=True)
class TwistConfig:
    """Which boundary phases to run: a grid, or a list."""

    grid: list[int] = key(
        "points along each reciprocal vector of the simulation cell", default=[1, 1, 1]
    )
    shift: list[float] = key("shift of the grid in units of its spacing", default=[0.0, 0.0, 0.0])
    points: list[list[float]] | None = key(
        "explicit twists instead of a grid, fractions in (-1/2, 1/2]", default=None
    )
    weights: list[float] | None = key(
        "weights of explicit twists; equal when left out", default=None
    )
    symmetry: str = key(
        "how equivalent twists are folded",
        default="full",
        choices=("full", "time-reversal", "none"),
    )


@dataclasses.dataclass(frozen=True)
class MeanFieldConfig:
    """The reference calculation by PySCF."""

    method: str = key(
        "mean field; in a periodic cell its k-point version",
        default="rhf",
        choices=("rhf", "uhf", "rohf", "rks"),
    )
    basis: str = key("all-electron basis set by its PySCF name", default="cc-pvdz")
    functional: str = key("exchange-correlation functional of rks", default="pbe")
    integrals: str = key(
        "two-electron integrals of a periodic cell: Gaussian, range-separated or mixed density "
        "fitting, or FFT",
        default="gdf",
        choices=("gdf", "rsdf", "mdf", "fft"),
    )
    auxiliary_basis: str | None = key(
        "density-fitting basis; PySCF chooses when left out", default=None
    )
    vacuum_bohr: float | None = key(
        "largest lattice constant along a vacuum direction, for the mean field only",
        default=None,
        unit="bohr",
        above=0,
    )
    convergence_ha: float = key("energy threshold", default=1e-9, unit="hartree", above=0)
    max_cycles: int = key("SCF cycles", default=100, at_least=1)
    level_shift_ha: float = key(
        "level shift of the virtual orbitals", default=0.0, unit="hartree", at_least=0
    )
    newton: bool = key("second-order SCF", default=False)

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if self.integrals == "fft" and self.auxiliary_basis is not None:
            raise ConfigError(
                "an auxiliary basis with FFT integrals",
                where=f"{where}, key 'auxiliary_basis'",
                expected="none: FFT fits nothing",
                remedy="delete it, or set integrals: gdf",
            )


@dataclasses.dataclass(frozen=True)
class Literature:
    """A published number the result is compared with."""

    value: float = key("the number")
    unit: str = key("unit of the number", choices=("ha_per_cell", "ha_per_atom"))
    source: str = key("where it is published")
    what: str = key("what it is: method, conditions", default="")
    uncertainty: float | None = key("its uncertainty, same unit", default=None, at_least=0)


@dataclasses.dataclass(frozen=True)
class MaterialConfig:
    """One material: `materials/<name>.yaml`."""

    structure: Structure = dataclasses.field(metadata={"doc": "the primitive cell or the molecule"})
    description: str = key("one line for tables", default="")
    supercell: list[int] | list[list[int]] = key(
        "simulation cell in units of the primitive one: three integers, or a matrix S of rows with "
        "L = S a",
        default=[1, 1, 1],
    )
    charge: int = key("net charge of the simulation cell", default=0, unit="e")
    spin: int = key("N_up - N_down in the simulation cell", default=0)
    twists: TwistConfig = section(TwistConfig, "boundary phases")
    mean_field: MeanFieldConfig = section(MeanFieldConfig, "reference calculation")
    literature: Literature | None = dataclasses.field(
        default=None, metadata={"doc": "published value to compare with"}
    )
    overrides: dict[str, Any] = key(
        "per method name, sections that replace the method's values for this material", default={}
    )

    def check_spin(self, where: str) -> None:
        """Raises ConfigError where the mean field cannot have the spin.

        Not part of `parse`: the structure stage knows the spin and not the mean field.
        """
        if self.spin != 0 and self.mean_field.method in ("rhf", "rks"):
            raise ConfigError(
                f"method {self.mean_field.method} with spin {self.spin}",
                where=f"{where}, key 'mean_field', key 'method'",
                expected="uhf or rohf where spin is not 0",
                remedy="set method: uhf in the section 'mean_field', or spin: 0",
            )


# --- methods ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class AnsatzConfig:
    """The functional family."""

    name: str = key("ansatz", default="ferminet", choices=("slater", "ferminet", "psiformer"))
    determinants: int = key("number of dense determinants", default=4, at_least=1)
    layers: int = key("layers of the backbone", default=3, at_least=1)
    width: int = key("features per particle", default=64, at_least=1)
    pair_width: int = key("features per pair (ferminet)", default=16, at_least=1)
    heads: int = key("attention heads (psiformer)", default=4, at_least=1)
    jastrow: bool = key("pair factor with the exact cusp", default=True)
    number: str = key(
        "real or complex orbitals; auto takes real where all twists are zero",
        default="auto",
        choices=("auto", "real", "complex"),
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if self.name == "psiformer" and self.width % self.heads:
            raise ConfigError(
                f"width {self.width} is not a multiple of heads {self.heads}",
                where=f"{where}, key 'width'",
                expected=f"a multiple of {self.heads}",
            )


@dataclasses.dataclass(frozen=True)
class HamiltonianConfig:
    """How the local energy is computed."""

    laplacian: str = key(
        "forward Laplacian, or a loop of Hessian columns",
        default="forward",
        choices=("forward", "loop"),
    )
    chunk: int = key("walkers per local-energy batch; bounds the memory", default=256, at_least=1)
    ewald_tolerance: float = key(
        "absolute truncation error of Ewald sums per charge pair",
        default=1e-8,
        unit="hartree",
        above=0,
    )


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """Metropolis sampling."""

    walkers: int = key("number of walkers", default=256, at_least=2)
    moves: int = key("moves of all particles between optimisation steps", default=10, at_least=1)
    width_bohr: float = key(
        "initial width of the Gaussian proposal", default=0.3, unit="bohr", above=0
    )
    acceptance: float = key("acceptance the width adapts to", default=0.525, above=0, below=1)
    equilibration: int = key(
        "steps (of `moves` moves) before averages or optimisation start", default=50, at_least=0
    )


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How parameters move."""

    name: str = key("optimizer", default="kfac", choices=("kfac", "spring", "adam"))
    learning_rate: float = key("initial rate", default=0.05, above=0)
    decay_steps: float = key(
        "rate = learning_rate / (1 + step / decay_steps)", default=1000.0, above=0
    )
    damping: float = key("damping of kfac and spring", default=1e-3, above=0)
    norm_constraint: float = key(
        "bound on the squared length of a step: Fisher norm in kfac, Euclidean in spring",
        default=1e-3,
        above=0,
    )
    curvature_decay: float = key(
        "KFAC moving average of the curvature", default=0.95, at_least=0, below=1
    )
    momentum: float = key("weight of the previous step in spring", default=0.9, at_least=0, below=1)
    inverse_period: int = key("steps between KFAC inverses", default=1, at_least=1)
    clip: float = key(
        "local energies are clipped at this many mean deviations from the median",
        default=5.0,
        above=0,
    )


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """Fit of the network orbitals to the mean field."""

    steps: int = key("Adam steps", default=300, at_least=0)
    learning_rate: float = key("Adam rate", default=3e-3, above=0)
    reference_fraction: float = key(
        "share of walkers drawn from the mean-field density, the rest from the network's",
        default=0.5,
        at_least=0,
        at_most=1,
    )
    checkpoint_steps: int = key("steps between saved states", default=200, at_least=1)


@dataclasses.dataclass(frozen=True)
class VmcConfig:
    """Variational optimisation."""

    steps: int = key("optimisation steps", default=2000, at_least=0)
    checkpoint_steps: int = key("steps between saved states", default=200, at_least=1)
    runaway_ha_per_particle: float = key(
        "stop when the energy per particle is this far below the mean field's, or twenty times as "
        "far above",
        default=0.5,
        unit="hartree",
        above=0,
    )


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Sampling with frozen parameters."""

    target_error_ha_per_cell: float = key(
        "statistical error to reach, per primitive cell", default=5e-4, unit="hartree", above=0
    )
    min_steps: int = key("least number of steps", default=200, at_least=1)
    max_steps: int = key("limit on steps", default=5000, at_least=1)
    checkpoint_steps: int = key(
        "steps between saved states and error checks", default=100, at_least=1
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if self.min_steps > self.max_steps:
            raise ConfigError(
                f"min_steps {self.min_steps} is above max_steps {self.max_steps}",
                where=f"{where}, key 'min_steps'",
                expected=f"at most max_steps, {self.max_steps}",
                remedy="lower min_steps or raise max_steps",
            )


@dataclasses.dataclass(frozen=True)
class MethodConfig:
    """One method: `methods/<name>.yaml`."""

    description: str = key("one line for tables", default="")
    reference: str = key("which mean field seeds the wavefunction", default="scf", choices=("scf",))
    precision: str = key(
        "floating-point type of the network", default="float32", choices=("float32", "float64")
    )
    ansatz: AnsatzConfig = section(AnsatzConfig, "wavefunction")
    hamiltonian: HamiltonianConfig = section(HamiltonianConfig, "local energy")
    sampler: SamplerConfig = section(SamplerConfig, "Metropolis sampling")
    optimizer: OptimizerConfig = section(OptimizerConfig, "optimisation")
    pretrain: PretrainConfig = section(PretrainConfig, "pretraining")
    vmc: VmcConfig = section(VmcConfig, "variational optimisation")
    evaluate: EvaluateConfig = section(EvaluateConfig, "evaluation")

    def check(self, where: str) -> None:
        """Raises ConfigError where sections contradict each other."""
        for stage in ("pretrain", "vmc"):
            steps = getattr(self, stage).steps
            if self.ansatz.name == "slater" and steps > 0:
                raise ConfigError(
                    f"{steps} steps for ansatz slater, which has nothing to train",
                    where=f"{where}, key '{stage}', key 'steps'",
                    expected="0",
                    remedy="set pretrain.steps and vmc.steps to 0, or choose another ansatz",
                )


# --- strict parsing --------------------------------------------------------------------


def parse(cls: type, data: Any, *, where: str = "") -> Any:
    """Builds the dataclass `cls` from a mapping; refuses unknown keys and wrong types.

    Args:
        cls: One of the dataclasses above.
        data: What YAML or JSON gave.
        where: File (and section) for error messages.

    Raises:
        ConfigError: Names the key, what was found and the nearest valid name.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"found {_show(data)}", where=where, expected="a section of key: value lines"
        )
    fields = {f.name: f for f in dataclasses.fields(cls)}
    for name in data:
        if name not in fields:
            raise ConfigError(
                f"unknown key '{name}'",
                where=where,
                expected=_expect_key(name, fields),
                remedy="correct or delete the key",
            )
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _value(hints[name], data[name], field, f"{where}, key '{name}'")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(
                f"key '{name}' is missing", where=where, expected=f"{name}: {field.metadata['doc']}"
            )
    result = cls(**values)
    if hasattr(cls, "check"):
        result.check(where)
    return result


def _expect_key(name: str, fields: Mapping[str, Any]) -> str:
    with_unit = [f for f in fields if f.startswith(f"{name}_") and fields[f].metadata.get("unit")]
    if with_unit:
        return f"the unit in the key: {' or '.join(with_unit)}"
    return nearest(name, fields)


def _value(hint: Any, value: Any, field: dataclasses.Field, where: str) -> Any:
    if hint == Structure:
        kind = value.get("kind") if isinstance(value, Mapping) else None
        if kind not in STRUCTURES:
            raise ConfigError(
                f"kind is {_show(kind)}", where=where, expected=nearest(kind, STRUCTURES)
            )
        return parse(STRUCTURES[kind], value, where=where)
    value = _typed(hint, value, where)
    _check_range(value, field.metadata, where)
    return value


def _typed(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        errors = []
        for option in (a for a in args if a is not type(None)):
            try:
                return _typed(option, value, where)
            except ConfigError as error:
                errors.append(error)
        raise errors[0]
    if dataclasses.is_dataclass(hint):
        return parse(hint, value, where=where)
    if origin is list:
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ConfigError(f"found {_show(value)}", where=where, expected=_name(hint))
        return [_typed(args[0], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if origin is dict or hint is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"found {_show(value)}", where=where, expected="a section")
        return dict(value)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        return _finite(value, where)
    if isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise ConfigError(f"found {_show(value)}", where=where, expected=_name(hint))


def _finite(value: Any, where: str) -> float:
    """Returns a number, which YAML 1.1 may have left as text (1e-3)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"found {_show(value)}", where=where, expected=_name(float))
    try:
        found = float(value)
    except ValueError:
        raise ConfigError(f"found {_show(value)}", where=where, expected=_name(float)) from None
    except OverflowError:  # an integer of more than 308 digits
        found = math.inf
    if not math.isfinite(found):
        raise ConfigError(f"found {value}", where=where, expected="a finite number")
    return found


BOUNDS = {
    "at_least": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "at_most": ("at most", operator.le),
    "below": ("below", operator.lt),
}
"""Name of a bound -> how people say it, and what a value must fulfil."""


def bounds(metadata: Mapping[str, Any]) -> str:
    """Returns the range of a key in words, e.g. "above 0 and below 1"; "" without bounds."""
    return " and ".join(
        f"{word} {metadata[name]:g}"
        for name, (word, _) in BOUNDS.items()
        if metadata.get(name) is not None
    )


def _check_range(value: Any, metadata: Mapping[str, Any], where: str) -> None:
    if value is None:
        return
    choices = metadata.get("choices")
    if choices and value not in choices:
        raise ConfigError(f"found {_show(value)}", where=where, expected=nearest(value, choices))
    for name, (_, holds) in BOUNDS.items():
        bound = metadata.get(name)
        if bound is not None and not holds(value, bound):
            raise ConfigError(
                f"found {value}", where=where, expected=f"a number {bounds(metadata)}"
            )


def _show(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"


def _name(hint: Any) -> str:
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false"}
    if typing.get_origin(hint) is list:
        return (
            "a list of "
            + _name(typing.get_args(hint)[0]).removeprefix("a ").removeprefix("an ")
            + "s"
        )
    return names.get(hint, str(hint))


# --- canonical form --------------------------------------------------------------------


def canonical(value: Any) -> Any:
    """Returns plain, key-sorted data for a (nested) section, so that equal input compares equal."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(k): canonical(value[k]) for k in sorted(value)}
    if isinstance(value, list | tuple):
        return [canonical(v) for v in value]
    return value


def fingerprint(sections: Any, inputs: Sequence[str] = ()) -> str:
    """Returns the hash that identifies a stage's input.

    Args:
        sections: The stage's configuration sections.
        inputs: Fingerprints of the files it reads.
    """
    content = {"schema": SCHEMA_VERSION, "sections": canonical(sections), "inputs": list(inputs)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

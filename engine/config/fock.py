"""The sections of a method with `space: fock`: second quantisation."""

from __future__ import annotations

import dataclasses
from typing import Any

from engine.config.evaluate import check_steps
from engine.config.learned import check_reference
from engine.config.method import MethodConfig, TrainingConfig
from engine.config.schema import key, section
from engine.errors import ConfigError, nearest


@dataclasses.dataclass(frozen=True)
class FockIntegralsConfig:
    """Which orbitals the Hamiltonian is written in."""

    orbitals: str = key(
        "canonical, natural of MP2 or of CISD, orthogonalised atomic (oao), or in a molecule "
        "localised orbitals",
        default="canonical",
        choices=("canonical", "natural", "natural-cisd", "oao", "boys", "pipek-mezey"),
    )
    frozen: int = key("doubly occupied orbitals kept frozen, lowest first", default=0, at_least=0)
    active: int | None = key("orbitals kept after those; all when left out", default=None)


@dataclasses.dataclass(frozen=True)
class FockAnsatzConfig:
    """The neural backflow."""

    name: str = key("ansatz", default="backflow", choices=("backflow",))
    determinants: int = key("number of determinants", default=1, at_least=1)
    layers: int = key("hidden layers", default=2, at_least=1)
    width: int = key("width of a hidden layer", default=64, at_least=1)
    scale: float = key(
        "size of the first random corrections of the orbitals", default=0.05, above=0
    )
    spin_flip: bool = key(
        "amplitudes equal under exchange of the spins: total spin 0, 2, ...", default=False
    )
    translations: bool = key(
        "amplitudes symmetric under the translations of the simulation cell, with the momentum of "
        "the mean field; a crystal in oao orbitals",
        default=False,
    )
    number: str = key(
        "real or complex; auto takes real where all twists are 0 or 1/2",
        default="auto",
        choices=("auto", "real", "complex"),
    )


@dataclasses.dataclass(frozen=True)
class SelectionConfig:
    """The core of determinants and the two stages of its renewal."""

    core: int = key("determinants of the core at the end", default=512, at_least=1)
    start: int | None = key(
        "determinants of the core at the beginning; as at the end when left out",
        default=None,
        at_least=1,
    )
    grow_steps: int = key("steps after which the core is doubled", default=300, at_least=1)
    survivor_factor: float = key(
        "survivors of the first stage per determinant of the core", default=4.0, at_least=0
    )
    score: str = key(
        "proxy of the first stage",
        default="epstein-nesbet",
        choices=("max", "sum", "residual", "epstein-nesbet"),
    )
    drawn: float = key(
        "share of the survivors that is drawn, with probabilities that follow the squared score, "
        "instead of the best; trains the network beyond what is selected",
        default=0.0,
        at_least=0,
        at_most=1,
    )
    period: int = key("steps between renewals", default=20, at_least=1)
    chunk: int = key(
        "determinants of the core per pass of the first stage", default=256, at_least=1
    )
    buffer: int = key(
        "contributions kept at a time; bounds the memory", default=2000000, at_least=1
    )


@dataclasses.dataclass(frozen=True)
class FockOptimizerConfig:
    """How parameters move."""

    name: str = key("optimizer", default="spring", choices=("spring", "adam"))
    functional: str = key(
        "energy that is minimised: of core and survivors (full), of both without what couples "
        "survivors to one another (symmetric), or of the core alone (projected, asymmetric)",
        default="full",
        choices=("full", "symmetric", "projected", "asymmetric"),
    )
    learning_rate: float = key("initial rate", default=0.1, above=0)
    decay_steps: float = key(
        "rate = learning_rate / (1 + step / decay_steps)", default=1000.0, above=0
    )
    damping: float = key("damping of spring", default=1e-3, above=0)
    momentum: float = key("weight of the previous step in spring", default=0.9, at_least=0, below=1)
    norm_constraint: float = key(
        "bound on the squared length of a step of spring", default=0.1, above=0
    )
    batch: int | None = key(
        "determinants in the least-squares problem of a step of spring, one of those that symmetry "
        "makes equal, drawn anew each time; all when left out",
        default=None,
        at_least=1,
    )
    krylov: int = key(
        "spring moves towards the lowest state in the space of so many powers of the Hamiltonian "
        "on psi, by the share learning_rate; 1 moves along the gradient",
        default=1,
        at_least=1,
        at_most=32,
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if self.krylov > 1 and self.functional == "asymmetric":
            raise ConfigError(
                "a Krylov space of the asymmetric functional, whose matrix is not Hermitian",
                where=f"{where}, key 'krylov'",
                expected="1, or functional: full, symmetric or projected",
                remedy="set krylov: 1",
            )


@dataclasses.dataclass(frozen=True)
class FockSamplerConfig:
    """Metropolis sampling of determinants."""

    walkers: int = key("number of walkers", default=256, at_least=2)
    moves: int = key("proposals between measurements", default=20, at_least=1)
    equilibration: int = key("steps (of `moves` proposals) before averages", default=20, at_least=0)


@dataclasses.dataclass(frozen=True)
class FockPretrainConfig:
    """The starting core; there is no orbital to fit, since the ansatz starts at the mean field."""

    steps: int = key("always 0", default=0, at_least=0, at_most=0)
    checkpoint_steps: int = key("steps between saved states", default=200, at_least=1)


@dataclasses.dataclass(frozen=True)
class FockVmcConfig(TrainingConfig):
    """Variational optimisation; every twist is trained by itself."""

    steps: int = key("optimisation steps, at most", default=1000, at_least=0)


@dataclasses.dataclass(frozen=True)
class FockEvaluateConfig:
    """Energies of the frozen network, each under its own name."""

    estimator: str = key(
        "which energy is the result: projected on the trained determinants (a bound), with "
        "second-order correction, with that correction extrapolated to zero over nested lists, "
        "asymmetric, or sampled",
        default="projected",
        choices=("projected", "projected-pt2", "extrapolated", "asymmetric", "mcmc"),
    )
    target_error_ha_per_cell: float = key(
        "statistical error to reach, per primitive cell", default=5e-4, unit="hartree", above=0
    )
    min_steps: int = key("least number of sampling steps", default=20, at_least=1)
    max_steps: int = key("limit on sampling steps", default=200, at_least=1)
    checkpoint_steps: int = key(
        "steps between saved states and error checks", default=20, at_least=1
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        check_steps(self.min_steps, self.max_steps, where)


FEW_SLICES = 8
"""Slices of the outside, at most, where its second order is not the energy that is asked for."""
REFERENCES = ("hf", "mp2", "ccsd", "ccsd-t", "fci", "dmrg")
"""Established methods that run on the same integrals."""


@dataclasses.dataclass(frozen=True)
class FockReferencesConfig:
    """Which established methods are computed on the same integrals, to compare with."""

    methods: list[str] = key(
        f"of {', '.join(REFERENCES)}; dmrg needs the optional program block2",
        default=["hf", "mp2", "ccsd", "ccsd-t", "fci"],
    )
    fci_determinants: int = key(
        "largest space in which fci is computed; above it the table has none",
        default=2000000,
        at_least=1,
    )
    bond_dimension: int = key("states per bond of dmrg", default=400, at_least=2)

    def check(self, where: str) -> None:
        """Raises ConfigError where a method is unknown or named twice."""
        for i, name in enumerate(self.methods):
            if name not in REFERENCES or name in self.methods[:i]:
                raise ConfigError(
                    f"'{name}' is {'twice in' if name in REFERENCES else 'unknown to'} the list",
                    where=f"{where}, key 'methods'",
                    expected=nearest(name, REFERENCES),
                )


@dataclasses.dataclass(frozen=True)
class FockMethodConfig:
    """One method in second quantisation: `methods/<name>.yaml` with `space: fock`."""

    space: str = key("electrons in second quantisation", choices=("fock",))
    description: str = key("one line for tables", default="")
    reference: str = key(
        "which mean field makes the orbitals: scf, or learned-<name> of `learned/<name>.yaml`",
        default="scf",
    )
    precision: str = key(
        "floating-point type of the network", default="float64", choices=("float32", "float64")
    )
    integrals: FockIntegralsConfig = section(FockIntegralsConfig, "orbitals of the Hamiltonian")
    ansatz: FockAnsatzConfig = section(FockAnsatzConfig, "wavefunction")
    selection: SelectionConfig = section(SelectionConfig, "core and survivors")
    optimizer: FockOptimizerConfig = section(FockOptimizerConfig, "optimisation")
    sampler: FockSamplerConfig = section(FockSamplerConfig, "Metropolis sampling")
    pretrain: FockPretrainConfig = section(FockPretrainConfig, "starting core")
    vmc: FockVmcConfig = section(FockVmcConfig, "variational optimisation")
    evaluate: FockEvaluateConfig = section(FockEvaluateConfig, "evaluation")
    references: FockReferencesConfig = section(
        FockReferencesConfig, "established methods on the same integrals"
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where sections contradict each other."""
        check_reference(self.reference, where)
        start, core = self.selection.start, self.selection.core
        if start is not None and start > core:
            raise ConfigError(
                f"start {start} is above core {core}",
                where=f"{where}, key 'selection', key 'start'",
                expected=f"at most core, {core}",
                remedy="lower start or raise core",
            )


def method_class(content: Any) -> type:
    """Returns the class that reads a method's YAML: what its key `space` says, else real space."""
    is_fock = isinstance(content, dict) and content.get("space") == "fock"
    return FockMethodConfig if is_fock else MethodConfig

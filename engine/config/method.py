"""The sections of a method: `methods/<name>.yaml`."""

from __future__ import annotations

import dataclasses

from engine.config.evaluate import EvaluateConfig
from engine.config.learned import LOCALISED, check_reference
from engine.config.schema import key, section
from engine.errors import ConfigError

CPU_CHUNK, CPU_PARTICLES = 8, 128
"""Walkers, and particles of all of them, that a CPU differentiates at a time at most."""
LIVE = 4
"""Arrays of a layer's size that exist at the same time while a local energy is computed."""


def cpu_chunk(particles: int) -> int:
    """Returns how many walkers a CPU differentiates at a time: derivatives stay in its caches.

    Measured (docs/performance.md): 8 of 16 electrons, 4 of 32, 2 of 64.
    """
    return max(1, min(CPU_CHUNK, CPU_PARTICLES // particles))


@dataclasses.dataclass(frozen=True)
class AnsatzConfig:
    """The functional family."""

    name: str = key(
        "ansatz", default="ferminet", choices=("slater", "ferminet", "psiformer", "transferable")
    )
    determinants: int = key("number of dense determinants", default=4, at_least=1)
    layers: int = key("layers of the backbone", default=3, at_least=1)
    width: int = key("features per particle", default=64, at_least=1)
    pair_width: int = key("features per pair (ferminet, transferable)", default=16, at_least=1)
    heads: int = key("attention heads (psiformer)", default=4, at_least=1)
    jastrow: bool = key("pair factor with the exact cusp", default=True)
    exchange: float = key(
        "where uhf has as many electrons of either spin in different orbitals, the weight that "
        "determinants with up and down exchanged start with (transferable with an even number of "
        "determinants): 1 for singlets, -1 for triplets, 0 leaves it to the energy",
        default=1.0,
    )
    number: str = key(
        "real or complex orbitals; auto takes real where all twists are zero, or 0 or 1/2 with "
        "ansatz transferable",
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

    def derivative_bytes(self, particles: int) -> float:
        """Returns the memory that the local energy of one walker takes, roughly.

        Jacobians of what a layer reads and makes, and of the determinants' matrices.
        """
        read = self.width + 2 * self.layers * self.pair_width + self.determinants * particles
        return LIVE * 4 * 3 * particles * particles * read

    def gradient_bytes(self, particles: int) -> float:
        """Returns what one walker keeps of its forward pass for a gradient, roughly."""
        stored = self.layers * (self.width + particles * self.pair_width)
        return LIVE * 4 * particles * (stored + self.determinants * particles)


@dataclasses.dataclass(frozen=True)
class HamiltonianConfig:
    """How the local energy is computed."""

    laplacian: str = key(
        "forward Laplacian, or a loop of Hessian columns",
        default="forward",
        choices=("forward", "loop"),
    )
    chunk: int | None = key(
        "walkers per local-energy batch, which bounds the memory; null: what suits a CPU's caches, "
        "or a quarter of a GPU's memory",
        default=None,
        at_least=1,
    )
    ewald_tolerance: float = key(
        "absolute truncation error of Ewald sums per charge pair",
        default=1e-8,
        unit="hartree",
        above=0,
    )


ACCEPTANCES = {"gaussian": 0.35, "langevin": 0.55}
"""Per proposal: with it walkers become independent of where they were the soonest."""


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
    """Metropolis sampling."""

    walkers: int = key("number of walkers", default=256, at_least=2)
    moves: int = key("moves of all particles between optimisation steps", default=10, at_least=1)
    width_bohr: float = key(
        "initial width of moves, of electrons beside nuclei where their length is 1 bohr",
        default=0.3,
        unit="bohr",
        above=0,
    )
    proposal: str = key(
        "how a move is proposed: gaussian, or langevin, which goes along the gradient of psi, too",
        default="gaussian",
        choices=("gaussian", "langevin"),
    )
    acceptance: float | None = key(
        "acceptance the width adapts to; when left out 0.35 of gaussian, 0.55 of langevin",
        default=None,
        above=0,
        below=1,
    )
    equilibration: int = key(
        "steps (of `moves` moves) before averages or optimisation start", default=50, at_least=0
    )

    def __post_init__(self) -> None:
        """Fills in what was left out."""
        if self.acceptance is None:
            object.__setattr__(self, "acceptance", ACCEPTANCES[self.proposal])


OPTIMIZER_SETTINGS = {
    "kfac": {"learning_rate": 0.05, "norm_constraint": 3e-3},
    "spring": {"learning_rate": 0.1, "norm_constraint": 1e-2},
    "adam": {"learning_rate": 1e-3, "norm_constraint": 1.0},
}
"""Per optimizer, what one value of does not suit all: the same for all shipped materials."""


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """How parameters move."""

    name: str = key("optimizer", default="kfac", choices=("kfac", "spring", "adam"))
    learning_rate: float | None = key(
        "initial rate; when left out 0.05 of kfac, 0.1 of spring, 0.001 of adam",
        default=None,
        above=0,
    )
    decay_steps: float = key(
        "rate = learning_rate / (1 + step / decay_steps)", default=1000.0, above=0
    )
    damping: float = key("damping of kfac and spring", default=1e-3, above=0)
    norm_constraint: float | None = key(
        "bound on the squared length of a step: Fisher norm in kfac, Euclidean in spring; when "
        "left out 0.003 of kfac, 0.01 of spring",
        default=None,
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

    def __post_init__(self) -> None:
        """Fills in what was left out."""
        for name, value in OPTIMIZER_SETTINGS.get(self.name, {}).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)


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
class TrainingConfig:
    """When an optimisation ends."""

    steps: int = key("limit on optimisation steps", default=2000, at_least=0)
    min_steps: int | None = key(
        "steps after which training ends as soon as it gains no more than the accuracy asked for; "
        "null: all steps are made",
        default=None,
        at_least=100,
    )
    accuracy_ha_per_cell: float = key(
        "gain over the second half of the steps, per primitive cell, that counts as none",
        default=1e-3,
        unit="hartree",
        above=0,
    )
    checkpoint_steps: int = key(
        "steps between saved states, at which training may end", default=200, at_least=1
    )
    runaway_ha_per_particle: float = key(
        "stop when the energy per particle is this far below the mean field's, or twenty times as "
        "far above",
        default=0.5,
        unit="hartree",
        above=0,
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        if self.steps and self.min_steps and self.min_steps > self.steps:
            raise ConfigError(
                f"min_steps {self.min_steps} is above steps {self.steps}",
                where=f"{where}, key 'min_steps'",
                expected=f"at most steps, {self.steps}",
                remedy="lower min_steps beside steps (the method may set it), or raise steps; "
                "min_steps: null makes all steps",
            )
        if self.steps and self.min_steps and self.checkpoint_steps > self.steps:
            raise ConfigError(
                f"checkpoint_steps {self.checkpoint_steps} is above steps {self.steps}",
                where=f"{where}, key 'checkpoint_steps'",
                expected="several of them in steps: training ends early at saved states alone",
                remedy="lower checkpoint_steps, or delete min_steps",
            )

    def limited(self, steps: int) -> TrainingConfig:
        """Returns these keys with another limit on the steps."""
        same = {f.name: getattr(self, f.name) for f in dataclasses.fields(TrainingConfig)}
        least = None if self.min_steps is None or self.min_steps > steps else self.min_steps
        return TrainingConfig(**same | {"steps": steps, "min_steps": least})


@dataclasses.dataclass(frozen=True)
class VmcConfig(TrainingConfig):
    """Variational optimisation, and the trained network it may start from."""

    transfer_steps: int | None = key(
        "limit on steps of what starts from a trained network: every twist after the first, or all "
        "twists with transfer_from; null: each is pretrained and trained by itself",
        default=None,
        at_least=1,
    )
    transfer_from: str | None = key(
        "material from whose network, trained by the same method at the same twist (or its first), "
        "every twist starts: another geometry of the same particles; of ansatz transferable any "
        "cell of the same elements",
        default=None,
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where keys contradict each other."""
        super().check(where)
        if self.transfer_from is not None and self.transfer_steps is None:
            raise ConfigError(
                f"transfer_from {self.transfer_from} without transfer_steps",
                where=f"{where}, key 'transfer_from'",
                expected="transfer_steps: how many steps a trained network is given",
                remedy="add transfer_steps, a quarter of steps say",
            )
        if self.transfer_steps is not None and self.transfer_steps > self.steps:
            raise ConfigError(
                f"transfer_steps {self.transfer_steps} is above steps {self.steps}",
                where=f"{where}, key 'transfer_steps'",
                expected=f"at most steps, {self.steps}: training starts from a trained network",
                remedy="lower transfer_steps, or delete it",
            )

    def of_twist(self, index: int) -> TrainingConfig:
        """Returns the training of a twist: shorter where it starts from a trained network."""
        moved = self.transfer_from is not None or index > 0
        return self.limited(
            self.transfer_steps if moved and self.transfer_steps is not None else self.steps
        )


@dataclasses.dataclass(frozen=True)
class MethodConfig:
    """One method: `methods/<name>.yaml`."""

    space: str = key(
        "electrons in real space; with `fock` the file has the sections of second quantisation",
        default="real",
        choices=("real", "fock"),
    )
    description: str = key("one line for tables", default="")
    reference: str = key(
        "which mean field seeds the wavefunction: scf, learned-<name> of `learned/<name>.yaml`, or "
        "localised, Gaussians on the sites of an electron gas (ansatz slater alone)",
        default="scf",
    )
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
        check_reference(self.reference, where)
        if self.reference == LOCALISED and self.ansatz.name != "slater":
            raise ConfigError(
                f"reference localised with ansatz {self.ansatz.name}",
                where=f"{where}, key 'reference'",
                expected="ansatz slater: a network is not told where the sites are",
                remedy="set reference: scf, or ansatz.name: slater",
            )
        if self.space != "real":
            raise ConfigError(
                f"space {self.space} with the sections of real space",
                where=f"{where}, key 'space'",
                expected="space: real",
                remedy="delete the key",
            )
        if self.ansatz.name == "transferable" and self.optimizer.name == "kfac":
            raise ConfigError(
                "optimizer kfac with ansatz transferable, whose layers kfac-jax cannot factor",
                where=f"{where}, key 'optimizer', key 'name'",
                expected="spring or adam",
                remedy="set optimizer.name: spring",
            )
        for stage in ("pretrain", "vmc"):
            steps = getattr(self, stage).steps
            if self.ansatz.name == "slater" and steps > 0:
                raise ConfigError(
                    f"{steps} steps for ansatz slater, which has nothing to train",
                    where=f"{where}, key '{stage}', key 'steps'",
                    expected="0",
                    remedy="set pretrain.steps and vmc.steps to 0, or choose another ansatz",
                )

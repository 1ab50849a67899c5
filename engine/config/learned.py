"""The sections of a learned Hamiltonian: `learned/<name>.yaml`."""

from __future__ import annotations

import dataclasses
import re

from engine.config.material import MeanFieldConfig
from engine.config.schema import key, section
from engine.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class LabelsConfig:
    """The geometries a model learns from, made around the structures of materials."""

    materials: list[str] = key(
        "molecules, or crystals, of `materials/` whose surroundings are learned"
    )
    geometries: int = key("geometries per material", default=700, at_least=3)
    sampling: str = key(
        "independent Gaussian displacements, or a Langevin trajectory on the mean-field forces",
        default="perturbed",
        choices=("perturbed", "md"),
    )
    displacement_angstrom: float = key(
        "standard deviation of the displacement of a hydrogen atom along each axis; others move "
        "less, by the root of their mass (perturbed)",
        default=0.07,
        unit="angstrom",
        above=0,
    )
    temperature_k: float = key("temperature (md)", default=300.0, unit="K", above=0)
    time_step_fs: float = key("time step (md)", default=0.5, unit="fs", above=0)
    stride: int = key("time steps between geometries (md)", default=10, at_least=1)
    guess: str = key(
        "initial guess whose Fock matrix the model corrects",
        default="minao",
        choices=("minao", "atom", "huckel"),
    )
    train: int = key("geometries per material to train on", default=500, at_least=1)
    validation: int = key("geometries per material to stop by", default=50, at_least=1)
    seed: int = key("of geometries and of the split", default=0, at_least=0)
    kmesh: list[int] | None = key(
        "k-points along each reciprocal vector of a crystal's primitive cell, Gamma among them; "
        "half of the supercell they make must be longer than model.cutoff_bohr",
        default=None,
    )
    strain: float = key(
        "standard deviation of the relative change of all lengths of a crystal",
        default=0.0,
        at_least=0,
        below=0.3,
    )
    shared_with: str | None = key(
        "another learned Hamiltonian with equal labels and mean_field, whose sets are used instead "
        "of new ones",
        default=None,
    )

    def check(self, where: str) -> None:
        """Raises ConfigError where no geometry is left for tests, or keys contradict each other."""
        self._check_crystal(where)
        used = self.train + self.validation
        if used >= self.geometries:
            raise ConfigError(
                f"{self.train} to train on and {self.validation} to stop by of {self.geometries}",
                where=f"{where}, key 'geometries'",
                expected=f"more than {used}: what is left over tests the model",
                remedy="raise geometries, or lower train",
            )
        if not self.materials or len(set(self.materials)) != len(self.materials):
            raise ConfigError(
                f"materials: {self.materials}",
                where=f"{where}, key 'materials'",
                expected="at least one material, each once",
            )

    def _check_crystal(self, where: str) -> None:
        if self.kmesh is not None and (len(self.kmesh) != 3 or min(self.kmesh) < 1):
            raise ConfigError(
                f"a mesh of {self.kmesh} k-points",
                where=f"{where}, key 'kmesh'",
                expected="three positive integers",
            )
        if self.strain and self.kmesh is None:
            raise ConfigError(
                "a strain without a lattice",
                where=f"{where}, key 'strain'",
                expected="a crystal, with a kmesh",
                remedy="delete it",
            )
        if self.kmesh is not None and self.sampling == "md":
            raise ConfigError(
                "dynamics of a crystal, whose forces are not computed",
                where=f"{where}, key 'sampling'",
                expected="perturbed",
                remedy="delete the key",
            )


@dataclasses.dataclass(frozen=True)
class LearnedModelConfig:
    """The network."""

    channels: int = key("features per irreducible representation", default=24, at_least=1)
    input_channels: int = key("channels of the input matrices", default=16, at_least=1)
    output_channels: int = key("features per block coefficient", default=16, at_least=1)
    radial: int = key("radial functions", default=24, at_least=2)
    hidden: int = key("hidden width of radial networks", default=64, at_least=1)
    layers: int = key("message-passing layers of the atoms", default=2, at_least=1)
    pair_update: str = key(
        "updates of a pair: by its distance and frame, then by products of its atoms' features "
        "(both), or one of the two alone",
        default="both",
        choices=("both", "geometry", "content"),
    )
    convolution: str = key(
        "convolution in the frame of the bond, or full tensor products with its harmonics",
        default="so2",
        choices=("so2", "tensor"),
    )
    product_degree: int = key("largest degree in products of features", default=2, at_least=1)
    guess_input: bool = key("whether the blocks of the initial guess are features", default=True)
    cutoff_bohr: float = key(
        "reach of messages, and in a crystal of the predicted blocks of H(R) - H0(R)",
        default=10.0,
        unit="bohr",
        above=0,
    )


@dataclasses.dataclass(frozen=True)
class FlowConfig:
    """Conditional flow matching; without it the network is a regression."""

    enabled: bool = key("flow matching instead of regression", default=False)
    prior: str = key(
        "noise the flow starts from: a symmetric random matrix (goe), random irreducible "
        "representations shared by all shells (tensor), or one per path with its spread (path)",
        default="path",
        choices=("goe", "tensor", "path"),
    )
    steps: int = key("Euler steps of a prediction", default=3, at_least=1)
    samples: int = key("predictions from different noise that are averaged", default=1, at_least=1)
    start: float = key("time at which the integration starts", default=0.01, above=0, below=1)


@dataclasses.dataclass(frozen=True)
class LearnConfig:
    """How the network is trained."""

    steps: int = key("optimisation steps", default=8000, at_least=1)
    batch: int = key("geometries per step", default=16, at_least=1)
    learning_rate: float = key("largest rate of AdamW", default=2e-3, above=0)
    warmup_steps: int = key("steps in which the rate rises", default=100, at_least=1)
    final_fraction: float = key(
        "rate at the end, in units of the largest", default=1e-3, above=0, at_most=1
    )
    weight_decay: float = key("of AdamW", default=1e-4, at_least=0)
    clip: float = key("largest norm of a gradient", default=1.0, above=0)
    average: float = key(
        "decay of the average of parameters that is kept", default=0.998, at_least=0, below=1
    )
    element_weight: float = key("of the error of matrix elements", default=1.0, at_least=0)
    whitened_weight: float = key(
        "of the error of S^-1/2 H S^-1/2, the orthonormalised matrix", default=0.0, at_least=0
    )
    orbital_weight: float = key(
        "of the error in the basis of the true orbitals, C^T H C", default=0.5, at_least=0
    )
    fine_tune_steps: int = key(
        "last steps, in which the orbital error counts ten times", default=0, at_least=0
    )
    seed: int = key("of parameters, batches and noise", default=0, at_least=0)
    checkpoint_steps: int = key(
        "steps between saved states and validations", default=200, at_least=1
    )
    train_limit: int | None = key(
        "geometries per material to train on, for learning curves; all of labels.train when "
        "left out",
        default=None,
        at_least=1,
    )
    patience: int = key(
        "validations without a better one after which training ends; 0: never",
        default=0,
        at_least=0,
    )


@dataclasses.dataclass(frozen=True)
class UseConfig:
    """How a prediction becomes a mean-field file (`reference: learned-<name>`)."""

    converge: bool = key(
        "iterate to self-consistency from the prediction; else its orbitals are the mean field",
        default=True,
    )
    max_residual_ha: float = key(
        "largest commutator residual, root mean square of FDS - SDF between orthonormal orbitals, "
        "at which a prediction is taken",
        default=0.01,
        unit="hartree",
        above=0,
    )
    min_gap_ha: float = key(
        "smallest gap between filled and empty predicted levels of a crystal at which a prediction "
        "is taken: in a degenerate shell the start decides which one the iteration finds",
        default=0.02,
        unit="hartree",
        at_least=0,
    )
    test_limit: int | None = key(
        "test geometries per molecule whose physics is compared; all when left out",
        default=None,
        at_least=1,
    )
    max_novelty: float = key(
        "largest novelty at which a prediction is taken: 1 is the largest one of the training set, "
        "or a distance just outside of it, 2 a distance as far outside as the training set is wide",
        default=2.0,
        above=0,
    )


@dataclasses.dataclass(frozen=True)
class LearnedConfig:
    """One learned Hamiltonian: `learned/<name>.yaml`."""

    labels: LabelsConfig = dataclasses.field(metadata={"doc": "geometries and matrices"})
    description: str = key("one line for tables", default="")
    mean_field: MeanFieldConfig = section(MeanFieldConfig, "what is learned; rhf or rks")
    model: LearnedModelConfig = section(LearnedModelConfig, "network")
    flow: FlowConfig = section(FlowConfig, "flow matching")
    learn: LearnConfig = section(LearnConfig, "training")
    use: UseConfig = section(UseConfig, "prediction as mean field")

    def check(self, where: str) -> None:
        """Raises ConfigError for a mean field that has no single closed-shell matrix."""
        if self.mean_field.method not in ("rhf", "rks"):
            raise ConfigError(
                f"method {self.mean_field.method} of a learned Hamiltonian",
                where=f"{where}, key 'mean_field', key 'method'",
                expected="rhf or rks: one matrix for both spins",
                remedy="set method: rks",
            )


REFERENCE = re.compile(r"learned-([a-z0-9-]+)")


def learned_name(reference: str) -> str | None:
    """Returns the name of the model that makes a mean field; None for `scf`."""
    found = REFERENCE.fullmatch(reference)
    return found[1] if found else None


LOCALISED = "localised"
"""Gaussians on the sites of a crystal of electrons, as a method's reference."""


def check_reference(reference: str, where: str) -> None:
    """Raises ConfigError where the key `reference` names no kind of mean field."""
    if reference not in ("scf", LOCALISED) and learned_name(reference) is None:
        raise ConfigError(
            f"reference '{reference}'",
            where=f"{where}, key 'reference'",
            expected="scf, localised, or learned-<name> for learned/<name>.yaml",
            remedy="delete the key, or name a learned Hamiltonian",
        )


def shared_keys(options: MeanFieldConfig, *, start_only: bool = False) -> tuple[str, ...]:
    """Returns the keys of `mean_field` that a model and what it is used for have in common.

    Args:
        options: One of the two sections.
        start_only: Whether iterations only start from the prediction.
    """
    if start_only:
        return ("basis",)
    return ("method", "functional", "basis") if options.method == "rks" else ("method", "basis")


def alike(one: MeanFieldConfig, other: MeanFieldConfig, name: str) -> bool:
    """Tells whether two sections have the same value of a key, in large letters or small."""
    return getattr(one, name).lower() == getattr(other, name).lower()

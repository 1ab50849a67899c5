"""What a user may write: one frozen dataclass per YAML section, parsed strictly.

Imports no JAX: the Snakefile is parsed again for every job.
"""

from engine.config.canonical import SCHEMA_VERSION, canonical, fingerprint
from engine.config.contrast import ContrastConfig
from engine.config.electron_gas import ElectronGasStructure
from engine.config.evaluate import EvaluateConfig
from engine.config.family import FamilyConfig
from engine.config.fock import FockMethodConfig, method_class
from engine.config.joint import JointConfig
from engine.config.learned import LearnedConfig
from engine.config.material import (
    STRUCTURES,
    AtomsStructure,
    ChainStructure,
    FileStructure,
    Literature,
    MaterialConfig,
    MeanFieldConfig,
    MoleculeStructure,
    PrototypeStructure,
    Structure,
    TwistConfig,
)
from engine.config.method import (
    OPTIMIZER_SETTINGS,
    AnsatzConfig,
    HamiltonianConfig,
    MethodConfig,
    OptimizerConfig,
    PretrainConfig,
    SamplerConfig,
    TrainingConfig,
    VmcConfig,
    cpu_chunk,
)
from engine.config.schema import bounds, key, one_of, parse, section

__all__ = [
    "OPTIMIZER_SETTINGS",
    "SCHEMA_VERSION",
    "STRUCTURES",
    "AnsatzConfig",
    "AtomsStructure",
    "ChainStructure",
    "ContrastConfig",
    "ElectronGasStructure",
    "EvaluateConfig",
    "FamilyConfig",
    "FileStructure",
    "FockMethodConfig",
    "HamiltonianConfig",
    "JointConfig",
    "LearnedConfig",
    "Literature",
    "MaterialConfig",
    "MeanFieldConfig",
    "MethodConfig",
    "MoleculeStructure",
    "OptimizerConfig",
    "PretrainConfig",
    "PrototypeStructure",
    "SamplerConfig",
    "Structure",
    "TwistConfig",
    "TrainingConfig",
    "VmcConfig",
    "bounds",
    "canonical",
    "cpu_chunk",
    "fingerprint",
    "key",
    "method_class",
    "one_of",
    "parse",
    "section",
]

"""The configuration, typed: one class a section, all of them strict. `conf/` holds the values, this holds the rules."""

from __future__ import annotations

from fovea.config.schema.base import Section, Seed
from fovea.config.schema.callbacks import AveragingConfig, CallbacksConfig, CheckpointConfig, EarlyStoppingConfig
from fovea.config.schema.data import AugmentConfig, DataConfig, FileConfig, LoaderConfig, MixConfig, PrepareConfig
from fovea.config.schema.delivery import ExportConfig, PredictConfig, PromoteConfig, RegistryConfig
from fovea.config.schema.evaluation import CrossvalConfig, EnsembleConfig, EvaluateConfig
from fovea.config.schema.optim import (
    AdadeltaConfig,
    AdamConfig,
    AdamWConfig,
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    MultiStepConfig,
    OneCycleConfig,
    OptimizerConfig,
    PlateauConfig,
    PolynomialConfig,
    ScheduleConfig,
    SgdConfig,
    StepConfig,
    TorchConfig,
)
from fovea.config.schema.parse import ConfigError, parse
from fovea.config.schema.training import (
    DistillConfig,
    FinetuneConfig,
    LaunchConfig,
    LossConfig,
    ModelConfig,
    TrackingConfig,
    TrainerConfig,
)

__all__ = [
    "AdadeltaConfig",
    "AdamConfig",
    "AdamWConfig",
    "AugmentConfig",
    "AveragingConfig",
    "CallbacksConfig",
    "CheckpointConfig",
    "Config",
    "ConfigError",
    "ConstantConfig",
    "CosineConfig",
    "CrossvalConfig",
    "DataConfig",
    "DistillConfig",
    "EarlyStoppingConfig",
    "EnsembleConfig",
    "EvaluateConfig",
    "ExponentialConfig",
    "ExportConfig",
    "FileConfig",
    "FinetuneConfig",
    "LaunchConfig",
    "LoaderConfig",
    "LossConfig",
    "MixConfig",
    "ModelConfig",
    "MultiStepConfig",
    "OneCycleConfig",
    "OptimizerConfig",
    "PlateauConfig",
    "PolynomialConfig",
    "PredictConfig",
    "PrepareConfig",
    "PromoteConfig",
    "RegistryConfig",
    "ScheduleConfig",
    "SgdConfig",
    "StepConfig",
    "TorchConfig",
    "TrackingConfig",
    "TrainerConfig",
    "parse",
]


class Config(Section):
    """The whole configuration, one attribute a section of `conf/`.

    Attributes:
        seed: Of weights, shuffling, augmentation and dropout; the split has its own in `prepare`.
    """

    seed: Seed
    data: DataConfig
    prepare: PrepareConfig
    loader: LoaderConfig
    augment: AugmentConfig
    model: ModelConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    loss: LossConfig
    finetune: FinetuneConfig
    trainer: TrainerConfig
    callbacks: CallbacksConfig
    evaluate: EvaluateConfig
    export: ExportConfig
    predict: PredictConfig
    crossval: CrossvalConfig
    ensemble: EnsembleConfig
    registry: RegistryConfig
    promote: PromoteConfig
    tracking: TrackingConfig

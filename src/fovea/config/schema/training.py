"""The sections of the network, its training, its evaluation and the record of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from fovea.config.schema.base import BelowOne, Count, Positive, Section, Share, Text, Whole


class ModelConfig(Section):
    """The network.

    Attributes:
        name: A name of `fovea.models.registry`.
        in_channels: Channels that the network takes; None: as the data has.
        init: How weights begin; None: PyTorch's default.
        dropout: Part of the units that are left out at a training step.
    """

    name: Text
    in_channels: Count | None
    init: Literal["he", "xavier"] | None
    dropout: BelowOne


class FinetuneConfig(Section):
    """Which layers are trained, and how."""

    mode: Literal["from_scratch"]


class TrainerConfig(Section):
    """How long, on what and how exactly training runs; None leaves a limit out."""

    max_epochs: Count
    accelerator: Literal["cpu", "gpu", "auto"]
    devices: int
    precision: Literal["32", "bf16", "16"]
    deterministic: bool
    channels_last: bool
    accumulate_batches: Count
    gradient_clip_norm: Positive | None
    limit_batches: Count | None
    overfit_batches: Count | None
    threads: Count | None

    @field_validator("devices")
    @classmethod
    def _one_device(cls, devices: int) -> int:
        if devices != 1:
            raise ValueError("1, as training on several devices is not available yet")
        return devices

    @field_validator("precision", mode="before")
    @classmethod
    def _bits(cls, precision: Any) -> Any:
        """A command line cannot easily quote: `trainer.precision=16` arrives as a number."""
        return str(precision) if type(precision) is int else precision


class CheckpointConfig(Section):
    """When the state of training is saved, and which weights are delivered."""

    every_n_steps: Count | None
    every_minutes: Positive | None
    keep: Literal["best", "last"]
    monitor: Literal["val/acc", "val/loss"]
    mode: Literal["max", "min"]


class EarlyStoppingConfig(Section):
    """When training stops before its last epoch; `patience` None: never."""

    patience: Count | None


class CallbacksConfig(Section):
    """What watches over training."""

    checkpoint: CheckpointConfig
    early_stopping: EarlyStoppingConfig
    progress: Literal["auto", "bar", "lines", "none"]


class EvaluateConfig(Section):
    """How the model is measured.

    Attributes:
        batch_size: Pictures per batch.
        confidence: Of the intervals, as in 0.95.
        gallery: How many misclassified pictures are shown.
    """

    batch_size: Count
    confidence: Share
    gallery: Whole


class TrackingConfig(Section):
    """Where runs are recorded.

    Attributes:
        experiment: The MLflow experiment.
        uri: The tracking server; None: the database at the project's root.
        on_error: What follows when the server is out of reach.
    """

    experiment: Text
    uri: Text | None
    on_error: Literal["continue", "stop"]

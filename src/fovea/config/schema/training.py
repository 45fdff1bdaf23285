"""The sections of the network, its training and the record of it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from fovea.config.schema.base import (
    BelowOne,
    Count,
    Fraction,
    Positive,
    Section,
    Text,
    Whole,
)

_UpToOne = Annotated[float, Field(gt=0, le=1)]


class ModelConfig(Section):
    """The network.

    Attributes:
        library: Whose network `name` is: `fovea` (the names of `fovea.models.registry`), `torchvision` or `timm`.
        name: Its name there.
        in_channels: Channels that the network takes; None: as the data has.
        init: How weights begin; None: PyTorch's default.
        dropout: Part of the units that are left out at a training step; None: the network's own.
        stem: What the first layers are: `standard`, `small` (for pictures below 96 pixels: a 3x3 convolution without
            stride, no pool), or `auto`, by the size of the pictures.
        weights: What the network begins with: `imagenet` (the published ones), a file of tensors (.safetensors or
            .pth), or the folder of a model that was trained before; None: new weights.
        sha256: Of that file, at least its first 8 digits; None: not checked, or the published one.
        mean: Per channel, of pixels in 0..1, as the weights expect them; None: as published, or those of the data.
        std: Likewise.
    """

    library: Literal["fovea", "torchvision", "timm"]
    name: Text
    in_channels: Count | None
    init: Literal["he", "xavier"] | None
    dropout: BelowOne | None
    stem: Literal["auto", "standard", "small"]
    weights: Text | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None
    mean: list[float] | None
    std: list[Annotated[float, Field(gt=0)]] | None


class FinetuneConfig(Section):
    """Which layers are trained, and how.

    Attributes:
        mode: `from_scratch`: all layers alike; `head`: the new layers alone; `discriminative`: new layers at
            `optimizer.lr`, reused ones below it; `gradual`: like it, reused layers join epoch by epoch, the last ones
            first; `full`: all layers, reused ones too, at `optimizer.lr`.
        backbone_lr_factor: Of `optimizer.lr`, for reused layers (`discriminative`, `gradual`).
        layer_decay: Factor on the rate from each block of layers to the one before it; 1: none.
        unfreeze_every: Epochs after which the next block joins (`gradual`).
        cache_features: Compute what a frozen backbone gives once, and train the head on that (`head`).
        views: How many differently augmented views of each training picture are kept (`head` with `cache_features`);
            1: the picture as evaluation sees it.
    """

    mode: Literal["from_scratch", "head", "discriminative", "gradual", "full"]
    backbone_lr_factor: _UpToOne
    layer_decay: _UpToOne
    unfreeze_every: Count
    cache_features: bool
    views: Count


class DistillConfig(Section):
    """Learning from a teacher (Hinton, Vinyals and Dean 2015).

    Attributes:
        teacher: The folder of a trained model; None: no teacher.
        temperature: By which both logits are divided.
        weight: Of the teacher's part of the loss.
    """

    teacher: Text | None
    temperature: Positive
    weight: Fraction


class LossConfig(Section):
    """What training makes small.

    Attributes:
        name: `cross_entropy`, or `bce`: a binary decision a class (Wightman, Touvron and Jegou 2021).
        label_smoothing: Part of a label that is spread over all classes (Szegedy et al. 2016, section 7).
        class_weights: Weight of each class's pictures; `balanced`: inverse to their number; None: all alike.
        distill: The teacher.
    """

    name: Literal["cross_entropy", "bce"]
    label_smoothing: BelowOne
    class_weights: list[float] | Literal["balanced"] | None
    distill: DistillConfig

    @field_validator("class_weights", mode="plain")
    @classmethod
    def _list_or_balanced(cls, value: Any) -> Any:
        """As a union pydantic would tell a mistake once for each of its members."""
        if value is None or value == "balanced":
            return value
        numbers: list[Any] = value if isinstance(value, list) else [None]
        if not all(type(number) in (int, float) and 0 < number < math.inf for number in numbers):
            raise ValueError("null, 'balanced', or a list of numbers greater than 0, one for each class")
        return [float(number) for number in numbers]


class LaunchConfig(Section):
    """How several processes are kept running.

    Attributes:
        max_restarts: How often processes that died are replaced before training fails.
        timeout_seconds: A process that makes no step for so long, while others wait for it, counts as hung.
        nodes: Machines that train together, each with `trainer.devices`; for `kedro submit`.
        min_nodes: As few may go on when others leave; None: all of them are needed.
    """

    max_restarts: Whole
    timeout_seconds: Positive
    nodes: Count
    min_nodes: Count | None

    @field_validator("min_nodes")
    @classmethod
    def _not_more(cls, least: int | None, info: ValidationInfo) -> int | None:
        nodes = info.data.get("nodes")
        if least is not None and nodes is not None and least > nodes:
            raise ValueError(f"at most trainer.launch.nodes ({nodes}), or null")
        return least


class TrainerConfig(Section):
    """How long, on what and how exactly training runs; None leaves a limit out.

    Attributes:
        max_epochs: Times that every training picture is seen.
        max_minutes: After which training ends, at the end of a step, and delivers what it has.
        accelerator: What it runs on; `auto`: a GPU where there is one.
        devices: GPUs of this machine, or processes where there are none; `auto`: every GPU, else one process.
        strategy: How several devices share the work: `ddp`: each holds the whole network (Li et al. 2020); `fsdp`: each
            holds a part of it (Zhao et al. 2023), on GPUs alone.
        sync_batch_norm: Whether batch norms see the whole batch instead of one device's share.
        gradient_compression: What gradients travel as between devices.
        precision: Bits of the floats: `32`, `64`; `bf16` and `16` mixed with 32 (`16` on a GPU alone); `bf16-true` and
            `16-true` throughout (`16-true` on a GPU alone).
        deterministic: Whether the same run gives the same bits on the same machine.
        channels_last: The memory layout that is faster for most convolutions.
        accumulate_batches: Batches per optimiser step.
        gradient_clip_norm: Norm that the gradient of all parameters together is cut to; None: not cut.
        gradient_clip_value: Size that each number of the gradient is cut to; None: not cut.
        compile: Let torch compile the network; checkpoints and weights stay those of the plain one.
        limit_batches: At most so many batches of each kind in an epoch.
        overfit_batches: Train and validate on so many first batches alone, unshuffled and unaugmented.
        threads: Of the processor, for one process; None: as many as torch chooses.
    """

    max_epochs: Count
    max_minutes: Positive | None
    accelerator: Literal["cpu", "gpu", "auto"]
    devices: Count | Literal["auto"]
    strategy: Literal["ddp", "fsdp"]
    sync_batch_norm: bool
    gradient_compression: Literal["none", "bf16", "fp16"]
    launch: LaunchConfig
    precision: Literal["32", "bf16", "16", "64", "bf16-true", "16-true"]
    deterministic: bool
    channels_last: bool
    accumulate_batches: Count
    gradient_clip_norm: Positive | None
    gradient_clip_value: Positive | None
    compile: bool
    limit_batches: Count | None
    overfit_batches: Count | None
    threads: Count | None

    @field_validator("devices", mode="plain")
    @classmethod
    def _count_or_auto(cls, devices: Any) -> Any:
        """As a union pydantic would tell a mistake once for each of its members."""
        if devices == "auto" or (type(devices) is int and devices >= 1):
            return devices
        raise ValueError("a whole number from 1, or auto")

    @field_validator("gradient_clip_value")
    @classmethod
    def _one_clip(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("gradient_clip_norm") is not None:
            raise ValueError("null where trainer.gradient_clip_norm is set: gradients are clipped one way")
        return value

    @field_validator("precision", mode="before")
    @classmethod
    def _bits(cls, precision: Any) -> Any:
        """A command line cannot easily quote: `trainer.precision=16` arrives as a number."""
        return str(precision) if type(precision) is int else precision


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

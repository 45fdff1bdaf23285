"""Optimisers and learning-rate schedules: one class each, told apart by `name`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from fovea.config.schema.base import BelowOne, Count, Fraction, NotNegative, Positive, Section, Share, Whole

_PositiveFraction = Annotated[float, Field(gt=0, le=1)]


class _Optimizer(Section):
    """What every optimiser has.

    Attributes:
        lr: The highest rate, before it is scaled.
        lr_scaling: How the rate follows the number of pictures that a step has seen, over all processes, divided by
            `lr_base_batch`: `linear`: in proportion (Goyal et al. 2017, section 2.1); `sqrt`: to its root (Krizhevsky
            2014, section 5); `none`: not at all.
        lr_base_batch: So many pictures a step leave `lr` as it is.
        weight_decay: Not on biases and norms.
    """

    lr: Positive
    lr_scaling: Literal["none", "linear", "sqrt"]
    lr_base_batch: Count
    weight_decay: NotNegative


class SgdConfig(_Optimizer):
    """Stochastic gradient descent with momentum.

    Attributes:
        momentum: Part of the last step's direction that is kept; 0: none.
        nesterov: Whether the gradient is taken ahead, where the momentum leads (Nesterov 1983).
    """

    name: Literal["sgd"]
    momentum: BelowOne
    nesterov: bool

    @field_validator("nesterov")
    @classmethod
    def _needs_momentum(cls, nesterov: bool, info: ValidationInfo) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ValueError("false where optimizer.momentum is 0")
        return nesterov


class AdamConfig(_Optimizer):
    """Adam (Kingma and Ba 2015).

    Attributes:
        betas: Decay of the running means of gradients and of their squares.
        eps: Added to the root of the mean square, so that it never divides by 0.
    """

    name: Literal["adam"]
    betas: Annotated[list[BelowOne], Field(min_length=2, max_length=2)]
    eps: Positive


class AdamWConfig(_Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Attributes:
        betas: Decay of the running means of gradients and of their squares.
        eps: Added to the root of the mean square, so that it never divides by 0.
    """

    name: Literal["adamw"]
    betas: Annotated[list[BelowOne], Field(min_length=2, max_length=2)]
    eps: Positive


class AdadeltaConfig(_Optimizer):
    """Adadelta (Zeiler 2012).

    Attributes:
        rho: Decay of the running means of squares.
        eps: Added to the means before their roots are taken.
    """

    name: Literal["adadelta"]
    rho: BelowOne
    eps: Positive


class TorchConfig(_Optimizer):
    """Any other optimiser of `torch.optim`.

    Attributes:
        target: Its dotted name, as in ``torch.optim.RMSprop``.
        args: Its other arguments by name.
    """

    name: Literal["torch"]
    target: Annotated[str, Field(pattern=r"^torch\.optim\.[A-Za-z_.0-9]+$")]
    args: dict[str, Any]


class ConstantConfig(Section):
    """The same rate all along, after a linear warm-up.

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
    """

    name: Literal["constant"]
    warmup_epochs: NotNegative


class OneCycleConfig(Section):
    """Up along a cosine to `optimizer.lr`, then down (Smith and Topin 2018).

    Attributes:
        peak_at: Part of the run after which the rate is highest.
        start_factor: Of `optimizer.lr`, at the first step.
        end_factor: Of `optimizer.lr`, at the last step.
    """

    name: Literal["one_cycle"]
    peak_at: Share
    start_factor: _PositiveFraction
    end_factor: Fraction


class CosineConfig(Section):
    """Down along half a cosine, after a linear warm-up (Loshchilov and Hutter 2017).

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
        end_factor: Of `optimizer.lr`, at the last step.
    """

    name: Literal["cosine"]
    warmup_epochs: NotNegative
    end_factor: Fraction


class StepConfig(Section):
    """The rate times `gamma` after every `every_epochs` epochs.

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
        every_epochs: Epochs between two falls.
        gamma: Factor of each fall.
    """

    name: Literal["step"]
    warmup_epochs: NotNegative
    every_epochs: Count
    gamma: _PositiveFraction


class MultiStepConfig(Section):
    """The rate times `gamma` after each of the epochs that `milestones` counts.

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
        milestones: Epochs, counted from 1, after which the rate falls.
        gamma: Factor of each fall.
    """

    name: Literal["multi_step"]
    warmup_epochs: NotNegative
    milestones: Annotated[list[Count], Field(min_length=1)]
    gamma: _PositiveFraction

    @field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: list[int]) -> list[int]:
        if sorted(set(milestones)) != milestones:
            raise ValueError("epochs in rising order, none twice")
        return milestones


class ExponentialConfig(Section):
    """The rate times `gamma` every epoch, a little at each step.

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
        gamma: Factor of an epoch.
    """

    name: Literal["exponential"]
    warmup_epochs: NotNegative
    gamma: _PositiveFraction


class PolynomialConfig(Section):
    """Down to `end_factor` along a polynomial (Chen et al. 2018, arXiv:1606.00915, section 4.1: `power` 0.9).

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
        power: Of the polynomial; 1: a straight line.
        end_factor: Of `optimizer.lr`, at the last step.
    """

    name: Literal["polynomial"]
    warmup_epochs: NotNegative
    power: Positive
    end_factor: Fraction


class PlateauConfig(Section):
    """The rate times `factor` whenever `monitor` has not become better for more than `patience` epochs.

    Attributes:
        warmup_epochs: Epochs in which the rate rises linearly from zero.
        monitor: What is looked at.
        factor: Of each fall.
        patience: Epochs without a better value that are waited for before the rate falls.
        threshold: What counts as better, in the unit of `monitor`.
        min_factor: Of `optimizer.lr`, below which the rate does not fall.
    """

    name: Literal["plateau"]
    warmup_epochs: NotNegative
    monitor: Literal["val/loss", "val/acc"]
    factor: Share
    patience: Whole
    threshold: NotNegative
    min_factor: Fraction


OptimizerConfig = Annotated[
    SgdConfig | AdamConfig | AdamWConfig | AdadeltaConfig | TorchConfig, Field(discriminator="name")
]
ScheduleConfig = Annotated[
    ConstantConfig
    | OneCycleConfig
    | CosineConfig
    | StepConfig
    | MultiStepConfig
    | ExponentialConfig
    | PolynomialConfig
    | PlateauConfig,
    Field(discriminator="name"),
]

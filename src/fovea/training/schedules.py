"""Learning-rate schedules as pure functions of the optimiser step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fovea.config.schema import (
    ConstantConfig,
    CosineConfig,
    ExponentialConfig,
    MultiStepConfig,
    OneCycleConfig,
    PlateauConfig,
    PolynomialConfig,
    ScheduleConfig,
    StepConfig,
    TrainerConfig,
)

Factor = Callable[[int], float]


@dataclass(frozen=True)
class Steps:
    """How long the run is, in optimiser steps."""

    per_epoch: int
    total: int

    @classmethod
    def of(cls, batches: int, trainer: TrainerConfig) -> Steps:
        """Of a run with so many batches an epoch; what is left over of `accumulate_batches` makes a step of its own."""
        per_epoch = -(-batches // trainer.accumulate_batches)
        return cls(per_epoch, per_epoch * trainer.max_epochs)


def lr_factor(schedule: ScheduleConfig, steps: Steps) -> Factor:
    """The factor on `optimizer.lr` as a function of the step, counted from 0.

    The one-cycle shape is that of Smith and Topin (2018, arXiv:1708.07120) with cosine flanks, the cosine decay that of
    Loshchilov and Hutter (2017, arXiv:1608.03983) without restarts, the polynomial that of Chen et al. (2018,
    arXiv:1606.00915, section 4.1), linear warm-up that of Goyal et al. (2017, arXiv:1706.02677, section 2.2). The steps
    of a warm-up are part of the run: milestones count from its first step. What a plateau takes away comes on top and
    is not known beforehand (`fovea.training.plateau`).
    """
    if isinstance(schedule, OneCycleConfig):
        return _one_cycle(schedule, steps)
    warm = schedule.warmup_epochs * steps.per_epoch
    after = _after_warmup(schedule, steps, warm)
    return lambda step: (step + 1) / (warm + 1) if step < warm else after(step)


def _after_warmup(schedule: ScheduleConfig, steps: Steps, warm: float) -> Factor:
    last = max(steps.total - 1, 1)

    def part(step: int) -> float:
        """How much of the run after the warm-up is over, 0..1."""
        return min((step - warm) / max(last - warm, 1e-9), 1.0)

    match schedule:
        case CosineConfig(end_factor=end):
            return lambda step: _cosine(1.0, end, part(step))
        case PolynomialConfig(end_factor=end, power=power):
            return lambda step: end + (1 - end) * (1 - part(step)) ** power
        case StepConfig(gamma=gamma, every_epochs=every):
            return lambda step: gamma ** (step // (every * steps.per_epoch))
        case MultiStepConfig(gamma=gamma, milestones=milestones):
            return lambda step: gamma ** sum(step >= milestone * steps.per_epoch for milestone in milestones)
        case ExponentialConfig(gamma=gamma):
            return lambda step: gamma ** (step / steps.per_epoch)
        case ConstantConfig() | PlateauConfig() | OneCycleConfig():
            return lambda _: 1.0


def _one_cycle(schedule: OneCycleConfig, steps: Steps) -> Factor:
    last = max(steps.total - 1, 1)
    peak = max(schedule.peak_at * last, 1e-9)

    def factor(step: int) -> float:
        if step < peak:
            return _cosine(schedule.start_factor, 1.0, step / peak)
        return _cosine(1.0, schedule.end_factor, (step - peak) / max(last - peak, 1e-9))

    return factor


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(part, 0.0), 1.0))) / 2

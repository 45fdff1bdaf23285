"""Learning-rate schedules as pure functions of the optimiser step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fovea.config.schema import ScheduleConfig, TrainerConfig


@dataclass(frozen=True)
class Steps:
    """How long the run is, in optimiser steps."""

    per_epoch: int
    total: int

    @classmethod
    def of(cls, batches: int, trainer: TrainerConfig) -> Steps:
        """Of a run with so many batches an epoch."""
        per_epoch = -(-batches // trainer.accumulate_batches)
        return cls(per_epoch, per_epoch * trainer.max_epochs)


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(max(part, 0.0), 1.0))) / 2


def lr_factor(  # noqa: PLR0911
    schedule: ScheduleConfig, steps: Steps
) -> Callable[[int], float]:
    """The factor on `optimizer.lr` as a function of the step, counted from 0.

    The one-cycle shape is that of Smith and Topin (2018, arXiv:1708.07120) with cosine flanks, the cosine decay that of
    Loshchilov and Hutter (2017, arXiv:1608.03983) without restarts, linear warm-up that of Goyal et al. (2017,
    arXiv:1706.02677, section 2.2).
    """
    last = max(steps.total - 1, 1)
    match schedule.name:
        case "one_cycle":
            peak = max(schedule.peak_at * last, 1e-9)

            def one_cycle(step: int) -> float:
                if step < peak:
                    return _cosine(schedule.start_factor, 1.0, step / peak)
                return _cosine(1.0, schedule.end_factor, (step - peak) / max(last - peak, 1e-9))

            return one_cycle
        case "cosine":
            return _warmed(
                schedule.warmup_epochs * steps.per_epoch,
                lambda step, warm: _cosine(1.0, schedule.end_factor, (step - warm) / max(last - warm, 1e-9)),
            )
        case "step":
            return _warmed(
                schedule.warmup_epochs * steps.per_epoch,
                lambda step, _: schedule.gamma ** (step // (schedule.every_epochs * steps.per_epoch)),
            )
        case "multi_step":
            milestones = [epoch * steps.per_epoch for epoch in schedule.milestones]
            return _warmed(
                schedule.warmup_epochs * steps.per_epoch,
                lambda step, _: schedule.gamma ** sum(step >= milestone for milestone in milestones),
            )
        case "exponential":
            return _warmed(
                schedule.warmup_epochs * steps.per_epoch,
                lambda step, _: schedule.gamma ** (step / steps.per_epoch),
            )
        case "polynomial":
            return _warmed(
                schedule.warmup_epochs * steps.per_epoch,
                lambda step, warm: (
                    schedule.end_factor
                    + (1 - schedule.end_factor) * max(1 - (step - warm) / max(last - warm, 1e-9), 0.0) ** schedule.power
                ),
            )
        case "constant" | "plateau":
            return _warmed(schedule.warmup_epochs * steps.per_epoch, lambda *_: 1.0)


def _warmed(warm: float, after: Callable[[int, float], float]) -> Callable[[int], float]:
    return lambda step: (step + 1) / (warm + 1) if step < warm else after(step, warm)

"""The section of what watches over training."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationInfo, field_validator

from fovea.config.schema.base import BelowOne, Count, NotNegative, Positive, Section


class CheckpointConfig(Section):
    """When the state of training is saved, and which weights are delivered.

    Attributes:
        keep_last: How many of the newest checkpoints are kept; training goes on from the one before a damaged one.
        on_error: What follows when one cannot be written: `stop`, or `continue` training without it.
    """

    every_n_steps: Count | None
    every_minutes: Positive | None
    keep_last: Count
    on_error: Literal["stop", "continue"]
    keep: Literal["best", "last"]
    monitor: Literal["val/acc", "val/loss"]
    mode: Literal["max", "min"]

    @field_validator("mode")
    @classmethod
    def _better(cls, mode: str, info: ValidationInfo) -> str:
        monitor = info.data.get("monitor")
        if monitor is not None and (mode == "max") != (monitor == "val/acc"):
            raise ValueError(
                f"{'max' if monitor == 'val/acc' else 'min'} where callbacks.checkpoint.monitor is {monitor}"
            )
        return mode


class EarlyStoppingConfig(Section):
    """When training stops before its last epoch.

    Attributes:
        patience: Epochs without a better value; None: never stops early.
        monitor: What is looked at.
        min_delta: What counts as better, in the unit of `monitor`.
    """

    patience: Count | None
    monitor: Literal["val/loss", "val/acc"]
    min_delta: NotNegative


class AveragingConfig(Section):
    """Averaging of the weights over steps; validated and delivered are the averaged ones.

    Attributes:
        kind: `none`; `ema`: an exponential moving average (Polyak and Juditsky 1992), updated after every step; `swa`:
            the plain mean over the ends of the epochs from `start` on (Izmailov et al. 2018).
        decay: Of the moving average; it begins lower and grows, so that the first weights are soon forgotten.
        start: Part of the run after which averaging begins.
    """

    kind: Literal["none", "ema", "swa"]
    decay: BelowOne
    start: BelowOne


class CallbacksConfig(Section):
    """What watches over training."""

    checkpoint: CheckpointConfig
    early_stopping: EarlyStoppingConfig
    averaging: AveragingConfig
    progress: Literal["auto", "bar", "lines", "none"]

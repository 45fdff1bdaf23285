"""The learning-rate range test (Smith 2017, arXiv:1506.01186, section 3.3): which rates a training can bear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray

from fovea.training.assembly import assemble
from fovea.training.fit import make_trainer, quiet
from fovea.training.out_of_memory import memory_told
from fovea.training.randomness import StepRandomness

if TYPE_CHECKING:
    from fovea.shards import PreparedData
    from fovea.training.job import TrainJob

_DIVERGED = 4.0  # times the best loss
_WIDTH = 0.03  # of the ramp: standard deviation of the weights by which losses are averaged
_LEAST_WIDTH = 2.0  # in steps, so that few steps are smoothed too
_NOISE = 3.0  # standard deviations of the loss of a step, which its fall must exceed


@dataclass(frozen=True)
class Ramp:
    """Rates that grow by the same factor at every step.

    Attributes:
        low: The first.
        high: The last.
        steps: How many, at least 2.
    """

    low: float
    high: float
    steps: int

    def rate(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return float(self.low * (self.high / self.low) ** (step / (self.steps - 1)))


@dataclass(frozen=True)
class Suggestion:
    """Two rates that are read off the curve.

    Attributes:
        steepest: Where the smoothed loss falls fastest against the logarithm of the rate.
        tenth: A tenth of the rate at which it is least.
    """

    steepest: float
    tenth: float


@dataclass(frozen=True)
class LrRange:
    """What the test saw, up to the step at which the loss ran away.

    Attributes:
        rates: float64 [S], the learning rate of every step.
        losses: float64 [S], the training loss of its batches before it; the last may be NaN.
        smoothed: float64 [S], the same without most of its noise.
        suggestion: None where the loss falls nowhere by more than its noise.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: Suggestion | None


def smooth(losses: Sequence[float] | NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Averages with Gaussian weights around every step, which unlike a moving average does not lag behind.

    Args:
        losses: [S].
        width: Standard deviation of the weights, in steps.

    Returns:
        float64 [S]; at the ends over the steps that there are.
    """
    values = np.asarray(losses, np.float64)
    steps = np.arange(len(values))
    weights = np.exp(-0.5 * ((steps[:, None] - steps[None, :]) / width) ** 2)
    averages: NDArray[np.float64] = (weights @ values) / weights.sum(axis=1)
    return averages


def diverged(losses: Sequence[float], width: float) -> bool:
    """Whether the loss has run away: it is no number, or smoothed more than 4 times its best."""
    if not np.isfinite(losses[-1]):
        return True
    smoothed = smooth(losses, width)
    return bool(smoothed[-1] > _DIVERGED * smoothed.min())


def judge(rates: NDArray[np.float64], losses: NDArray[np.float64], width: float) -> LrRange:
    """Reads the curve up to the least value of the smoothed loss; what follows is the way to divergence.

    Args:
        rates: float64 [S], growing.
        losses: float64 [S], of which none but the last may be infinite or NaN.
        width: Of the smoothing, in steps.
    """
    known = np.isfinite(losses)
    smoothed = np.full(len(losses), np.nan)
    smoothed[known] = smooth(losses[known], width)
    return LrRange(rates, losses, smoothed, _suggestion(rates[known], losses[known], smoothed[known]))


def _suggestion(
    rates: NDArray[np.float64], losses: NDArray[np.float64], smoothed: NDArray[np.float64]
) -> Suggestion | None:
    least = int(np.argmin(smoothed)) if len(smoothed) else 0
    before = slice(0, least + 1)
    if least == 0 or np.ptp(smoothed[before]) <= _NOISE * np.std(losses[before] - smoothed[before]):
        return None
    slopes = np.gradient(smoothed[before], np.log(rates[before]))
    return Suggestion(float(rates[int(np.argmin(slopes))]), float(rates[least]) / 10)


def find(job: TrainJob, prepared: PreparedData, ramp: Ramp) -> LrRange:
    """Trains the job's network from its first weights while the rate climbs the ramp; nothing of it is kept.

    Parameter groups keep their factors on the rate, and schedule and validation stand aside.

    Raises:
        UserError: The model does not fit the data, or the precision the machine.
        RunError: A picture cannot be read, weights can be had nowhere, or memory ran out.
        Interrupted: A signal ended it.
    """
    width = max(_WIDTH * ramp.steps, _LEAST_WIDTH)
    climb = Climb(ramp, job.lr, width)
    assembly = assemble(job, prepared)
    once = {"max_epochs": -1, "max_steps": ramp.steps, "limit_val_batches": 0, "enable_checkpointing": False}
    with memory_told(job, prepared), quiet():
        trainer = make_trainer(job, Path(), [StepRandomness(job.seed), climb], **once)
        trainer.fit(assembly.module, datamodule=assembly.data)
    rates = np.array([ramp.rate(step) for step in range(len(climb.losses))])
    return judge(rates, np.array(climb.losses), width)


class Climb(pl.Callback):
    """Sets the rate of every step and notes its loss; ends the training when the loss has run away.

    Args:
        ramp: The rates.
        lr: The training's rate, of which each parameter group has its part.
        width: Of the smoothing, in steps.
    """

    def __init__(self, ramp: Ramp, lr: float, width: float) -> None:
        self.losses: list[float] = []
        self._ramp, self._lr, self._width = ramp, lr, width
        self._batches: list[float] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Overrules the schedule."""
        rate = self._ramp.rate(trainer.global_step)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate * group["initial_lr"] / self._lr

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Notes the loss once the optimiser has made its step; Lightning hands out the loss by accumulated batch."""
        self._batches.append(float(outputs["loss"]) * trainer.accumulate_grad_batches)
        if trainer.global_step == len(self.losses):
            return
        self.losses.append(float(np.mean(self._batches)))
        self._batches.clear()
        trainer.should_stop = diverged(self.losses, self._width)

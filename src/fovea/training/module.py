"""The LightningModule: one classifier, its loss, its sums."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
import torchmetrics
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional

from fovea.augment import mixing
from fovea.config.schema import OptimizerConfig, ScheduleConfig
from fovea.loading import Batch
from fovea.training.optimizers import build_optimizer
from fovea.training.schedules import Steps, lr_factor


class Tally(torchmetrics.Metric):
    """Loss and accuracy over an epoch, as sums that add up over processes and survive a checkpoint."""

    full_state_update = False
    loss_sum: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("loss_sum", "correct", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum", persistent=True)

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Adds a batch.

        Args:
            loss: Mean loss of the batch, scalar.
            logits: [B, classes].
            labels: int64 [B].
        """
        self.loss_sum += loss.detach() * len(labels)
        self.correct += (logits.detach().argmax(1) == labels).sum()
        self.count += len(labels)

    def compute(self) -> dict[str, float]:
        """`loss` and `acc` so far; NaN where nothing was counted."""
        count = float(self.count)
        if count == 0:
            return {"loss": float("nan"), "acc": float("nan")}
        return {"loss": float(self.loss_sum) / count, "acc": float(self.correct) / count}


class ClassifierModule(pl.LightningModule):
    """Trains a network by cross entropy.

    Args:
        net: Takes pictures [B, C, H, W] of 0..255, gives logits [B, classes].
        optimizer: The optimiser's section of the config.
        schedule: The schedule's section of the config.
        steps: Length of the run in optimiser steps, for the schedule.
        channels_last: Feed the network in channels-last memory layout.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig,
        steps: Steps,
        *,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.net: nn.Module = net.to(memory_format=self._memory_format)
        self._optimizer = optimizer
        self._schedule = schedule
        self._steps = steps
        self.train_tally = Tally()
        self.val_tally = Tally()

    def _step(self, batch: Batch, tally: Tally) -> Tensor:
        images = batch.images if batch.mix is None else mixing.apply(batch.images, batch.mix)
        logits = self.net(images.contiguous(memory_format=self._memory_format))
        loss = _loss(logits, batch)
        tally.update(loss, logits, batch.labels)
        return loss

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The mean cross entropy of a batch, scalar; of mixed pictures that of both labels by their shares.

        The accuracy counts a mixed picture as right where its own label is said, whatever its share.
        """
        return self._step(batch, self.train_tally)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds a batch to the validation sums."""
        self._step(batch, self.val_tally)

    def on_train_epoch_start(self) -> None:
        """Starts the sums anew; not called when an epoch goes on after a resume, whose sums are in the checkpoint."""
        self.train_tally.reset()

    def on_validation_epoch_start(self) -> None:
        """Starts the sums anew."""
        self.val_tally.reset()

    def on_validation_epoch_end(self) -> None:
        """Hands the validation metrics to callbacks that monitor them."""
        for name, value in self.val_tally.compute().items():
            self.log(f"val/{name}", value)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimiser, and its schedule by the step."""
        optimizer = build_optimizer(self.net, self._optimizer)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_factor(self._schedule, self._steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 1}}


def _loss(logits: Tensor, batch: Batch) -> Tensor:
    if batch.mix is None:
        return functional.cross_entropy(logits, batch.labels)
    own = functional.cross_entropy(logits, batch.labels, reduction="none")
    other = functional.cross_entropy(logits, batch.labels[batch.mix.partner], reduction="none")
    return torch.lerp(other, own, batch.mix.share.to(own.dtype)).mean()

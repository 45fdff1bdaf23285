"""The LightningModule: one classifier, its recipe, its sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytorch_lightning as pl
import torch
import torchmetrics
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn import functional

from fovea.augment import mixing
from fovea.config.schema import OptimizerConfig, ScheduleConfig
from fovea.loading import Batch
from fovea.loading.sampler import Share
from fovea.models import auxiliary
from fovea.training.accord import of_all
from fovea.training.groups import parameter_groups
from fovea.training.loss import Loss
from fovea.training.optimizers import build_optimizer
from fovea.training.schedules import Steps, lr_factor
from fovea.training.teacher import Teacher


class Tally(torchmetrics.Metric):
    """Loss and accuracy over an epoch, as sums that add up over processes."""

    full_state_update = False
    loss_sum: Tensor
    correct: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("loss_sum", "correct", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

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

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        """Moves the sums and keeps their type: in 16 bits, where Lightning puts a whole module, they stop to grow."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), exclude_state)

    def sums(self) -> list[float]:
        """The sums of this process."""
        return [float(self.loss_sum), float(self.correct), float(self.count)]

    def take_up(self, sums: Sequence[float]) -> None:
        """Goes on from the sums of an earlier process."""
        self.reset()
        self.loss_sum, self.correct, self.count = (torch.as_tensor(one, dtype=torch.float64) for one in sums)
        self.to(self.device)
        self._update_count = int(any(sums))

    def compute(self) -> dict[str, float]:
        """`loss` and `acc` so far; NaN where nothing was counted."""
        count = float(self.count)
        if count == 0:
            return {"loss": float("nan"), "acc": float("nan")}
        return {"loss": float(self.loss_sum) / count, "acc": float(self.correct) / count}


class ClassifierModule(pl.LightningModule):
    """Trains a network as a recipe says.

    Args:
        net: Takes pictures [B, C, H, W] of 0..255, gives logits [B, classes].
        optimizer: The optimiser's section of the config.
        schedule: The schedule's section of the config.
        steps: Length of the run in optimiser steps, for the schedule.
        loss: What is made small.
        groups: Parameter groups as `build_optimizer` takes them; None: `parameter_groups` of the network.
        teacher: Gives the logits of the same pictures, which the loss compares with; None: there is none.
        channels_last: Feed the network in channels-last memory layout.

    Attributes:
        net: The network in training.
        averaged: The averaged tensors that are delivered instead of the network's own; None: its own are.
        groups: The parameter groups.
        lr_scale: A factor on the learning rate that the schedule does not know beforehand.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: OptimizerConfig,
        schedule: ScheduleConfig,
        steps: Steps,
        *,
        loss: Loss,
        groups: list[dict[str, Any]] | None = None,
        teacher: Teacher | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.net: nn.Module = net.to(memory_format=self._memory_format)
        self.averaged: Mapping[str, Tensor] | None = None
        self.groups = parameter_groups(net, optimizer.weight_decay) if groups is None else groups
        self.lr_scale = 1.0
        self._optimizer = optimizer
        self._factor = lr_factor(schedule, steps)
        self._loss = loss
        self._teacher = teacher
        self.train_tally = Tally()
        self.val_tally = Tally()

    @property
    def share(self) -> Share:
        """What this process has of every batch."""
        return self._loss.share

    def delivered(self) -> Mapping[str, Tensor]:
        """The tensors that are validated and delivered, by their names in the network."""
        return self.net.state_dict() if self.averaged is None else self.averaged

    def logits(self, batch: Batch) -> Tensor:
        """What the network says of a batch, mixed where the batch says so."""
        return auxiliary.parts(self.net(self._pictures(batch)))[0]

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of a batch, scalar; that of each auxiliary head, which learns from the labels alone, is added.

        The accuracy counts a mixed picture as right where its own label is said, whatever its share.
        """
        images = self._pictures(batch)
        logits, heads = auxiliary.parts(self.net(images))
        taught = None if self._teacher is None else self._teacher(images)
        loss = self._loss(logits, batch.labels, batch.mix, taught)
        for head in heads:
            loss = loss + auxiliary.WEIGHT * self._loss(head, batch.labels, batch.mix)
        self.train_tally.update(loss.detach() / self.share.weight, logits, batch.labels)
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Adds a batch to the validation sums, by plain cross entropy, whatever the loss of training is."""
        logits = self.logits(batch)
        self.val_tally.update(functional.cross_entropy(logits.float(), batch.labels), logits, batch.labels)

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
        """The optimiser, and its schedule by the step: the same factor on the rate of every group."""
        optimizer = build_optimizer(self.groups, self._optimizer)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self._factor(step) * self.lr_scale)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 1}}

    def scale_lr(self, scale: float) -> None:
        """Sets `lr_scale`, from the next step on."""
        self.lr_scale = scale
        schedule = cast(torch.optim.lr_scheduler.LambdaLR, self.lr_schedulers())
        factor = self._factor(schedule.last_epoch) * scale
        for group, rate in zip(schedule.optimizer.param_groups, schedule.base_lrs, strict=True):
            group["lr"] = rate * factor

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps what is in no tensor of rank 0; every process comes by."""
        checkpoint["lr_scale"] = self.lr_scale
        checkpoint["train_sums"] = of_all(self.train_tally.sums())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up what is in no tensor of rank 0; of another number of processes, rank 0 takes up all sums."""
        self.lr_scale = checkpoint["lr_scale"]
        sums, world_size = checkpoint["train_sums"], self.trainer.world_size
        if len(sums) != world_size:
            nothing = [0.0] * len(sums[0])
            sums = [[sum(column) for column in zip(*sums, strict=True)], *[nothing] * (world_size - 1)]
        self.train_tally.take_up(sums[self.trainer.global_rank])

    def _pictures(self, batch: Batch) -> Tensor:
        images = batch.images if batch.mix is None else mixing.apply(batch.images, batch.mix)
        return images.contiguous(memory_format=self._memory_format)

"""Training that has left all sense is stopped at the step where it shows, before its weights are saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch

from fovea.core.errors import RunError
from fovea.training.module import ClassifierModule

_STEPS_BETWEEN = 50  # looks at a loss that lies on a GPU: each makes the processor wait for it


class DivergedError(RunError):
    """Training has left all sense."""


class Divergence(pl.Callback):
    """Looks at the loss and, before they are saved, at the weights.

    Args:
        lr: The configured learning rate, for the sentence.
        newest: Gives the newest checkpoint, for the sentence too.
        scaled: That rate as `optimizer.lr_scaling` makes it; None: the same.
    """

    def __init__(self, lr: float, newest: Callable[[], Path | None], scaled: float | None = None) -> None:
        self._rate = f"{lr:g}" if scaled in (None, lr) else f"{lr:g}, scaled {scaled:g}"
        self._newest = newest

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Looks at the loss of every step, on a GPU at the sum of all now and then.

        Raises:
            DivergedError: It is not a number, or infinite.
        """
        loss = outputs["loss"]
        if loss.device.type != "cpu":
            if (batch_idx + 1) % _STEPS_BETWEEN:
                return
            loss = cast(ClassifierModule, pl_module).train_tally.loss_sum
        self._look(trainer, "train/loss", float(loss))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Looks at the losses of the epoch.

        Raises:
            DivergedError: One is not a number, or infinite.
        """
        module = cast(ClassifierModule, pl_module)
        self._look(trainer, "train/loss", module.train_tally.compute()["loss"])
        self._look(trainer, "val/loss", module.val_tally.compute()["loss"])

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Looks at the weights, which a step may have spoilt though its loss was right; the file stays as it was.

        Raises:
            DivergedError: A weight is not a number, or infinite.
        """
        for name, tensor in cast(ClassifierModule, pl_module).net.state_dict().items():
            if not torch.isfinite(tensor).all():
                self._look(trainer, f"the largest weight of '{name}'", float(tensor.abs().max()))

    def _look(self, trainer: pl.Trainer, what: str, value: float) -> None:
        if math.isfinite(value):
            return
        newest = self._newest()
        kept = f"; the last good checkpoint is kept at {newest}" if newest is not None else ""
        clip = "" if trainer.gradient_clip_val else " or set trainer.gradient_clip_norm=1.0"
        raise DivergedError(
            f"training diverged: {what} is {value} at step {trainer.global_step} (epoch {trainer.current_epoch + 1}); "
            f"lower optimizer.lr (now {self._rate}){clip}{kept}"
        )

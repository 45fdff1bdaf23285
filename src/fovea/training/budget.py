"""A training that ends when its time is used up."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytorch_lightning as pl

from fovea.training.accord import Accord

log = logging.getLogger("fovea")


class Budget(pl.Callback):
    """Ends training at the end of the step in which the time runs out; validation and delivery follow.

    The minutes of earlier processes count too, up to their last checkpoint. The schedule is not made shorter: it stays
    that of all epochs, so that the rate at the end depends on the machine.

    Args:
        minutes: Of training, with its validations.
    """

    def __init__(self, minutes: float) -> None:
        self._minutes = minutes
        self._before = 0.0
        self._start = time.monotonic()
        self._is_over = False
        self._accord = Accord()

    def state_dict(self) -> dict[str, Any]:
        """The seconds used so far, and whether they were too many."""
        return {"seconds": self._used, "is_over": self._is_over}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Counts the seconds of the earlier processes."""
        self._before, self._is_over = state_dict["seconds"], state_dict["is_over"]

    @property
    def _used(self) -> float:
        return self._before + time.monotonic() - self._start

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock; trains no further where the checkpoint is that of the end."""
        self._start = time.monotonic()
        self._accord = Accord(pl_module.device)
        trainer.should_stop = trainer.should_stop or self._is_over

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ends training after a step of the optimiser when the time is used up."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begins no further epoch when validation took the rest of the time."""
        self._look(trainer, now=True)

    def _look(self, trainer: pl.Trainer, *, now: bool = False) -> None:
        if trainer.should_stop or not self._accord.reached([self._used >= 60 * self._minutes], now=now)[0]:
            return
        trainer.should_stop = self._is_over = True
        log.info(
            "train: trainer.max_minutes=%g is used up at step %d, in epoch %d of %d; the weights so far are delivered "
            "(the schedule was that of the whole run: the learning rate ends at %.2g)",
            self._minutes,
            trainer.global_step,
            trainer.current_epoch + 1,
            trainer.max_epochs,
            trainer.optimizers[0].param_groups[0]["lr"],
        )

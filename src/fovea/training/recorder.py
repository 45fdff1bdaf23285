"""A row an epoch: kept in the checkpoint, sent to MLflow, shown to the user."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytorch_lightning as pl

from fovea.training.module import ClassifierModule

Row = dict[str, float]


class Recorder(pl.Callback):
    """Collects the metrics of each epoch.

    Args:
        report: Called once an epoch with the row and the throughput (training pictures per second).
    """

    def __init__(self, report: Callable[[Row, float], None]) -> None:
        self.rows: list[Row] = []
        self._report = report
        self._pictures = 0
        self._seconds = 0.0
        self._batch_start = 0.0

    def state_dict(self) -> dict[str, Any]:
        """The rows so far; a resumed run goes on with them."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts the clock of the epoch."""
        self._pictures, self._seconds, self._batch_start = 0, 0.0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts pictures and time, loading included."""
        now = time.perf_counter()
        if self._batch_start:
            self._pictures += len(batch.labels) * trainer.world_size
            self._seconds += now - self._batch_start
        self._batch_start = now

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Closes the row of the epoch."""
        module = cast(ClassifierModule, pl_module)
        train, val = module.train_tally.compute(), module.val_tally.compute()
        row: Row = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "train/loss": train["loss"],
            "train/acc": train["acc"],
            "val/loss": val["loss"],
            "val/acc": val["acc"],
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
        }
        self.rows.append(row)
        self._report(row, self._pictures / self._seconds if self._seconds else float("nan"))

"""What the user sees while it trains: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fovea.training.recorder import Row

log = logging.getLogger("fovea")

# Redrawing is dear beside a step of a small network: two minutes an epoch have been seen with a bar drawn at each step.
_REDRAW_SECONDS = 0.2


def epoch_line(row: Row, epochs: int, pictures_per_second: float) -> str:
    """The line that an epoch leaves behind."""
    return (
        f"epoch {row['epoch']:.0f}/{epochs}  "
        f"train/loss {row['train/loss']:.4f}  train/acc {row['train/acc']:.4f}  "
        f"val/loss {row['val/loss']:.4f}  val/acc {row['val/acc']:.4f}  "
        f"lr {row['lr']:.2e}  {pictures_per_second:,.0f} images/s"
    )


def wants_bar(mode: Literal["auto", "bar", "lines", "none"]) -> bool:
    """Whether to draw a bar: as told, or when standard error is a terminal."""
    return mode == "bar" or (mode == "auto" and sys.stderr.isatty())


class ProgressBar(pl.Callback):
    """A bar over the steps of the epoch, on standard error."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=None)
        self._drawn = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts the bar of an epoch up."""
        description = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._progress.reset(self._task, total=int(trainer.num_training_batches), description=description)
        self._progress.start()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar, now and then."""
        now = time.monotonic()
        if now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        self._progress.update(self._task, completed=batch_idx + 1)
        self._progress.refresh()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the bar away, so that the line of the epoch has the place."""
        self._progress.stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Takes the bar away."""
        self._progress.stop()

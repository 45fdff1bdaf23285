"""Signs of life from the loops of Lightning."""

from __future__ import annotations

import logging
from typing import Any

import pytorch_lightning as pl

from fovea.training.heartbeat import Heart

log = logging.getLogger("fovea.training")


class Beating(pl.Callback):
    """Beats at each batch of training and validation."""

    def __init__(self, heart: Heart) -> None:
        self._heart = heart
        self._has_begun = False

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """At the start of a batch."""
        if not self._has_begun:
            self._has_begun = True
            log.debug("at the first step of this process")
        self._beat(trainer, computing=True)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """At the end of a batch."""
        self._beat(trainer, computing=False)

    def on_validation_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """At the end of a batch of validation."""
        self._beat(trainer, computing=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """From here on nobody waits for this process."""
        self._heart.beat(0, 0, 0)

    def _beat(self, trainer: pl.Trainer, *, computing: bool) -> None:
        batch = trainer.fit_loop.epoch_loop.batch_idx + 1
        self._heart.beat(trainer.current_epoch + 1, batch, int(computing))

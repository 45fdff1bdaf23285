"""What happens when validation has stopped to become better: training ends, or the learning rate falls."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytorch_lightning as pl

from fovea.config.schema import EarlyStoppingConfig, PlateauConfig
from fovea.training.module import ClassifierModule

log = logging.getLogger("fovea")


class Patience:
    """Counts the epochs since a metric was better than ever before.

    Args:
        monitor: `val/loss`, of which less is better, or `val/acc`, of which more is.
        least: By how much a value must be better than the best to count.

    Attributes:
        best: The best value so far.
        waited: Epochs since.
    """

    def __init__(self, monitor: str, least: float) -> None:
        self._monitor = monitor
        self._least = least
        self.best: float | None = None
        self.waited = 0

    def see(self, value: float) -> int:
        """Takes the value of an epoch; returns how many epochs now have not been better."""
        gain = 0.0 if self.best is None else value - self.best
        if self.best is None or (gain if self._monitor == "val/acc" else -gain) > self._least:
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.waited


class _Watch(pl.Callback):
    """Sees the metric of each epoch, and goes on counting after a resume."""

    def __init__(self, monitor: str, least: float) -> None:
        self._metric = monitor.removeprefix("val/")
        self._patience = Patience(monitor, least)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and the epochs since."""
        return {"best": self._patience.best, "waited": self._patience.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the count of the checkpoint."""
        self._patience.best, self._patience.waited = state_dict["best"], state_dict["waited"]

    def _see(self, pl_module: pl.LightningModule) -> int:
        return self._patience.see(cast(ClassifierModule, pl_module).val_tally.compute()[self._metric])


class EarlyStopping(_Watch):
    """Ends training after `patience` epochs without a better value (Prechelt 1998).

    Lightning's own forgets that it stopped: a run that is killed between its last epoch and the delivery of its weights
    would train on.

    Args:
        config: With a patience.
    """

    def __init__(self, config: EarlyStoppingConfig) -> None:
        super().__init__(config.monitor, config.min_delta)
        self._config = config

    @property
    def _is_over(self) -> bool:
        return self._config.patience is not None and self._patience.waited >= self._config.patience

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Trains no further where the checkpoint is that of the end."""
        trainer.should_stop = trainer.should_stop or self._is_over

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ends training when the time has come."""
        self._see(pl_module)
        if self._is_over:
            trainer.should_stop = True
            log.info(
                "train: stopped after epoch %d, as %s has not become better than %.4g for %d epoch(s)",
                trainer.current_epoch + 1,
                self._config.monitor,
                self._patience.best,
                self._patience.waited,
            )


class Plateau(_Watch):
    """Multiplies the learning rate by `factor` after more than `patience` epochs without a better value.

    As `torch.optim.lr_scheduler.ReduceLROnPlateau`, which needs validation to know: with a patience of 2 the rate falls
    at the end of the third epoch in a row that is not better.

    Args:
        config: The `schedule` section.
    """

    def __init__(self, config: PlateauConfig) -> None:
        super().__init__(config.monitor, config.threshold)
        self._config = config

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lowers the rate when the time has come."""
        if self._see(pl_module) <= self._config.patience:
            return
        self._patience.waited = 0
        module = cast(ClassifierModule, pl_module)
        before = module.lr_scale
        module.scale_lr(max(before * self._config.factor, min(self._config.min_factor, before)))
        if module.lr_scale < before:
            log.info(
                "train: %s stands still at %.4g; the learning rate falls to %.2g of optimizer.lr",
                self._config.monitor,
                self._patience.best,
                module.lr_scale,
            )

"""When the state of training is saved, and which weights are the best."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from fovea.config.schema import CheckpointConfig
from fovea.core.errors import Interrupted, RunError
from fovea.training.accord import Accord
from fovea.training.checkpoint_store import CheckpointStore
from fovea.training.module import ClassifierModule
from fovea.training.sharding import delivered
from fovea.training.strategies import first_of_all

log = logging.getLogger(__name__)


class StopSignals:
    """Turns SIGTERM and Ctrl-C into a wish that training heeds at the end of a step; a second one stops at once.

    Where a launcher passes signals on, the first may come twice: SLURM may send it to all processes of a step.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)
    _ECHO_SECONDS = 5

    def __init__(self) -> None:
        self.signum: int | None = None
        self._echoes_until = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        self._before = {signum: signal.getsignal(signum) for signum in self._SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            for signum, handler in self._before.items():
                signal.signal(signum, handler)

    def listen(self) -> None:
        """Takes over the signals until the block ends; only in the main thread, elsewhere Python allows no handlers."""
        if threading.current_thread() is threading.main_thread():
            for signum in self._SIGNALS:
                signal.signal(signum, self._heard)

    def _heard(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            if time.monotonic() < self._echoes_until:
                return
            raise Interrupted(signum)
        self.signum = signum
        if "TORCHELASTIC_RUN_ID" in os.environ:
            self._echoes_until = time.monotonic() + self._ECHO_SECONDS
        log.info("%s: stopping after this step; once more stops at once", signal.Signals(signum).name)


class Checkpointer(Checkpoint):
    """Has everything that is needed to go on, and the best weights, kept in a store.

    A checkpoint is never taken at the last batch before a validation: Lightning would skip it on resume.

    Args:
        store: Where to; the trainer's plugin too.
        config: When to save, and what "best" means.
        stop: The signals that end the run; a checkpoint is saved first.
    """

    def __init__(self, store: CheckpointStore, config: CheckpointConfig, stop: StopSignals) -> None:
        self._store = store
        self._config = config
        self._stop = stop
        self.best: dict[str, float] | None = None
        self._saved_at = time.monotonic()
        self._accord = Accord()

    def state_dict(self) -> dict[str, Any]:
        """The best value so far and its epoch."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best value of the checkpoint."""
        self.best = state_dict["best"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the signals over from Lightning, which would let a killed run pass for a finished one."""
        self._stop.listen()
        self._accord = Accord(pl_module.device)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves when it is due, or when the run is told to stop."""
        stepped = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if trainer.is_last_batch or trainer.should_stop or not stepped:
            return
        told, late = self._accord.reached([self._stop.signum or 0, self._is_late])
        if told or late or self._falls_on(trainer.global_step):
            self._save(trainer)
        _heed(told)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keeps the weights if they are the best so far, and the state of the run."""
        module = cast(ClassifierModule, pl_module)
        values = {f"val/{name}": value for name, value in module.val_tally.compute().items()}
        if self._is_better(values[self._config.monitor]):
            self.best = {"epoch": trainer.current_epoch + 1, **values}
            tensors = delivered(trainer, module)
            if trainer.is_global_zero:
                self._store.offer_best(trainer.current_epoch + 1, tensors)
        self._save(trainer)
        _heed(self._accord.reached([self._stop.signum or 0], now=True)[0])

    @property
    def _is_late(self) -> bool:
        minutes = self._config.every_minutes
        return minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes

    def _falls_on(self, step: int) -> bool:
        every = self._config.every_n_steps
        return every is not None and step % every == 0

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return True
        best = self.best[self._config.monitor]
        return value > best if self._config.mode == "max" else value < best

    def _save(self, trainer: pl.Trainer) -> None:
        """Every process takes part, one writes.

        Raises:
            RunError: It cannot be written, and `callbacks.checkpoint.on_error` is `stop`.
        """
        trainer.save_checkpoint(self._store.path(trainer.global_step), weights_only=False)
        self._saved_at = time.monotonic()
        error = self._store.take_error()
        newest = self._store.newest()
        kept = f"the checkpoint to go on from is {newest}" if newest is not None else "there is no earlier checkpoint"
        if self._config.on_error == "stop":
            said = first_of_all(None if error is None else f"{error}; {kept}")
            if said is not None:  # on all alike: a process whose neighbour ends takes that for a crash
                raise RunError(said)
        elif error is not None:
            log.warning("%s; training goes on without it, %s", str(error).partition(";")[0], kept)


def _heed(signum: int) -> None:
    if signum:
        raise Interrupted(signum)

"""Checkpoints: the state to go on from, and the weights to deliver."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from safetensors.torch import save
from torch import Tensor, nn

from fovea.config.schema import CheckpointConfig
from fovea.core.errors import Interrupted
from fovea.core.files import atomic_file, explained
from fovea.training.accord import Accord
from fovea.training.module import ClassifierModule

log = logging.getLogger(__name__)


def save_weights(network: nn.Module, path: Path) -> None:
    """Writes the tensors of a network to a safetensors file: see `save_tensors`."""
    save_tensors(network.state_dict(), path)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes tensors to a safetensors file, in one piece or not at all; floating ones as float32.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    plain = {name: _float32(tensor.detach().cpu()).contiguous() for name, tensor in tensors.items()}
    with atomic_file(path) as temporary:
        temporary.write_bytes(save(plain))  # safetensors' own writing hides why the disk refused


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def usable_checkpoint(path: Path) -> Path | None:
    """The checkpoint at `path` if there is a whole one; one that cannot be read is put aside with a word.

    Nothing in the file is executed: it is read with `weights_only=True`.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        reason = None if isinstance(content, dict) and {"state_dict", "loops"} <= content.keys() else "not a checkpoint"
    except Exception as error:  # a foreign file can fail to load in any way
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if reason is None:
        return path
    aside = path.with_name(path.name + ".bad")
    path.replace(aside)
    log.warning("%s cannot be read (%s); it is kept as %s and training starts over", path, reason[:120], aside.name)
    return None


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
    """Keeps `last.ckpt` (everything that is needed to go on) and the best weights, in a work folder.

    A checkpoint is never taken at the last batch before a validation: Lightning would skip it on resume.

    Args:
        folder: The work folder.
        config: When to save, and what "best" means.
        stop: The signals that end the run; a checkpoint is saved first.
    """

    LAST = "last.ckpt"
    BEST = "best.safetensors"

    def __init__(self, folder: Path, config: CheckpointConfig, stop: StopSignals) -> None:
        self._folder = folder
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
            if trainer.is_global_zero:
                save_tensors(module.delivered(), self._folder / self.BEST)
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
        path = self._folder / self.LAST
        if trainer.is_global_zero:
            with explained(f"writing the checkpoint {path}"), atomic_file(path) as temporary:
                trainer.save_checkpoint(temporary, weights_only=False)
        else:
            trainer.save_checkpoint(path, weights_only=False)  # takes part, and writes nothing
        self._saved_at = time.monotonic()


def _heed(signum: int) -> None:
    if signum:
        raise Interrupted(signum)

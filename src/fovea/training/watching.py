"""Who watches a training may end it: a search that has seen that others do better."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytorch_lightning as pl

from fovea.training.recorder import Recorder, Row

if TYPE_CHECKING:
    from fovea.tracking import Run

Watch = Callable[[Row], str | None]
"""Sees the row of each epoch, in order; returns why training is to end, or None to let it go on."""

HALTED = "halted"
"""The tag of a run whose training was ended so; its value is the reason."""


class Halted(BaseException):
    """A training was ended by who watched it.

    Not an `Exception`: nothing failed, and the MLflow run ends KILLED, as its training was cut short.
    """


class Watching(pl.Callback):
    """Shows each epoch to who watches; after a resume first those of the checkpoint.

    Args:
        watch: Who watches.
        recorder: Has the rows; it must stand before this callback.
        run: The run of the training.
    """

    def __init__(self, watch: Watch, recorder: Recorder, run: Run) -> None:
        self._watch, self._recorder, self._run = watch, recorder, run

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows what an earlier process recorded."""
        for row in self._recorder.rows:
            self._show(row)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Shows the epoch.

        Raises:
            Halted: Training is to end.
        """
        self._show(self._recorder.rows[-1])

    def _show(self, row: Row) -> None:
        reason = self._watch(row)
        if reason is not None:
            self._run.set_tags({HALTED: reason})
            raise Halted(reason)

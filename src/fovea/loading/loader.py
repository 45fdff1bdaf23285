"""Loaders over batch keys; the one for training can say where it stands and go on from there."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader

from fovea.augment import single_threaded
from fovea.core.errors import RunError
from fovea.core.processes import die_with, heed_parent_alone
from fovea.loading.dataset import Batch, Failure
from fovea.loading.sampler import BatchKey, EpochBatches, EveryRow


@dataclass(frozen=True)
class Workers:
    """The processes that make batches.

    Attributes:
        count: 0 makes them in the process that asks.
        prefetch: Batches that each makes ahead.
    """

    count: int = 0
    prefetch: int = 2


def ready_made(batch: Batch) -> Batch:
    """Stands in for collation: the data set makes whole batches."""
    return batch


def start_worker(_: int) -> None:
    """Runs first in every worker."""
    # Ctrl-C goes to all processes of a terminal; the one that asks for batches decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    heed_parent_alone()
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        die_with(parent.pid)
    torch.set_num_threads(1)
    single_threaded()


class Batches(Protocol):
    """A data set that makes whole batches, as `fovea.loading.dataset.BatchDataset`."""

    @property
    def per_picture(self) -> bool:
        """Whether each picture needs work, which processes can share."""

    def ready(self) -> None:
        """Does what is to be done once, before workers are started."""

    def __getitems__(self, key: BatchKey) -> Batch | Failure:
        """The batch of a key."""


class BatchLoader(DataLoader[Batch]):
    """A loader of ready-made batches.

    Args:
        dataset: Makes the batches.
        batches: Names them.
        workers: The processes that do it. Where pictures need no work, none are started.

    Raises:
        RunError: While iterating: a picture cannot be read, or a worker was killed.
    """

    def __init__(self, dataset: Batches, batches: EpochBatches | EveryRow, workers: Workers) -> None:
        # Handing a batch from process to process takes a hundred times as long as copying it out of memory.
        count = workers.count if dataset.per_picture else 0
        super().__init__(
            dataset,  # type: ignore[arg-type]
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=ready_made,  # type: ignore[arg-type]
            num_workers=count,
            worker_init_fn=start_worker,
            persistent_workers=count > 0,
            prefetch_factor=workers.prefetch if count else None,
            pin_memory=torch.cuda.is_available(),
        )
        self._pictures = dataset

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self._pictures.ready()
        try:
            for batch in super().__iter__():
                if isinstance(batch, Failure):
                    raise batch.kind(batch.message)
                yield batch
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker (pid"):
                raise
            raise RunError(
                f"a loader process was killed ({_first_line(error)}), as happens when memory or /dev/shm is full; "
                "lower loader.num_workers, loader.prefetch or loader.batch_size"
            ) from error


class ResumableLoader(BatchLoader):
    """A loader that knows how many batches were taken from it, and can begin after them.

    Lightning keeps `state_dict()` in its checkpoints and gives it back before the first iteration. Workers read ahead,
    but only what was handed out counts as done. No random state is kept: batches follow from their position.

    Args:
        dataset: Makes the batches.
        batches: Names them.
        workers: The processes that do it.

    Attributes:
        share: What this rank takes of every batch.
    """

    def __init__(self, dataset: Batches, batches: EpochBatches, workers: Workers) -> None:
        super().__init__(dataset, batches, workers)
        self._batches = batches
        self.share = batches.share
        self._at = (batches.epoch, batches.start)

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = self._batches
        epoch, done = batches.epoch, batches.start
        self._at = (epoch, done)
        for batch in super().__iter__():
            done += 1
            self._at = (epoch, done)
            yield batch

    def state_dict(self) -> dict[str, int]:
        """The position of the next batch: its epoch, its number in the epoch, and the batches of an epoch."""
        batches, (epoch, done) = self._batches, self._at
        if epoch != batches.epoch:
            epoch, done = batches.epoch, batches.start
        elif done >= len(self):
            epoch, done = epoch + 1, 0
        return {"epoch": epoch, "batch": done, "batches": len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Lets the next iteration begin at a position.

        Raises:
            RunError: The position belongs to data or batches of another size.
        """
        if state["batches"] != len(self):
            raise RunError(
                f"the checkpoint counts {state['batches']} batches an epoch but this run has {len(self)}; resume with "
                "the data and loader.batch_size of the checkpoint, or start afresh"
            )
        self._batches.epoch, self._batches.start = state["epoch"], state["batch"]
        self._at = (state["epoch"], state["batch"])


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".")

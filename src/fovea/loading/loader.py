"""Loaders over batch keys; the one for training can say where it stands and go on from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from fovea.augment import single_threaded
from fovea.core.errors import RunError
from fovea.loading.dataset import Batch, BatchDataset
from fovea.loading.sampler import EpochBatches, EveryRow


def ready_made(batch: Batch) -> Batch:
    """Stands in for collation: the data set makes whole batches."""
    return batch


def start_worker(_: int) -> None:
    """Runs first in every worker."""
    single_threaded()


class ResumableLoader(DataLoader[Batch]):
    """A loader that knows how many batches were taken from it, and can begin after them.

    Lightning keeps `state_dict()` in its checkpoints and gives it back before the first iteration. Workers read ahead,
    but only what was handed out counts as done. No random state is kept: batches follow from their position.

    Args:
        dataset: Makes the batches.
        batches: Names them.
        num_workers: Processes that make batches; 0 makes them here. Where pictures need no work, none are started.
    """

    def __init__(self, dataset: BatchDataset, batches: EpochBatches, *, num_workers: int = 0) -> None:
        super().__init__(dataset, **_arguments(dataset, batches, num_workers))
        self._batches = batches
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


def every_row_loader(dataset: BatchDataset, batches: EveryRow, *, num_workers: int = 0) -> DataLoader[Batch]:
    """A loader without state, for evaluation."""
    return DataLoader(dataset, **_arguments(dataset, batches, num_workers))


def _arguments(dataset: BatchDataset, batches: EpochBatches | EveryRow, num_workers: int) -> dict[str, Any]:
    # Handing a batch from process to process takes a hundred times as long as copying it out of memory.
    num_workers = num_workers if dataset.per_picture else 0
    return {
        "batch_sampler": batches,
        "collate_fn": ready_made,
        "num_workers": num_workers,
        "worker_init_fn": start_worker,
        "persistent_workers": num_workers > 0,
    }

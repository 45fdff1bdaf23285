"""Which rows make which batch: a pure function of (seed, epoch, batch index), for any number of ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch.utils.data import Sampler

from fovea.loading.order import Order, Rows


class BatchKey(NamedTuple):
    """What a worker needs to make one batch.

    Attributes:
        epoch: Decides the augmentation.
        rows: int64 [B], rows of the split.
        draws: int64 [B], how often the same row came earlier in the epoch; None: never any.
    """

    epoch: int
    rows: Rows
    draws: Rows | None = None


class Share(NamedTuple):
    """What one rank takes of every training batch.

    Attributes:
        rows: So many rows.
        batch: Of so many.
        world_size: Ranks that share it.
        first: The place of the first of them in the batch.
    """

    rows: int = 1
    batch: int = 1
    world_size: int = 1
    first: int = 0

    @property
    def weight(self) -> float:
        """The factor on this rank's mean with which the mean over the ranks is the mean over the batch's rows.

        It is 1 where all ranks take as many rows.
        """
        return self.rows * self.world_size / self.batch


class EpochBatches(Sampler[BatchKey]):
    """Batches of an epoch, in an order that can be entered at any batch.

    Batch `b` of an epoch holds the same rows for any number of ranks; each rank takes its share of every batch. Rows
    that fill no whole batch are left out of the epoch, unless there are fewer rows than one batch holds.

    Args:
        order: Gives the draws of an epoch.
        count: Draws of an epoch.
        batch_size: Rows of a batch over all ranks.
        limit: At most so many batches an epoch.
        rank: This process.
        world_size: All processes.
        together: So many neighbouring rows of a batch are never shared out to different ranks.

    Attributes:
        epoch: The epoch that the next iteration gives.
        start: The first batch that the next iteration gives; 0 again after it.
        share: What this rank takes of every batch.
    """

    def __init__(
        self,
        order: Order,
        count: int,
        batch_size: int,
        *,
        limit: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        together: int = 1,
    ) -> None:
        self._order = order
        self._batch = min(batch_size, count)
        batches = count // self._batch
        self._batches = batches if limit is None else min(batches, limit)
        groups = math.ceil(self._batch / together)
        self._from, self._to = (min(self._batch, groups * r // world_size * together) for r in (rank, rank + 1))
        self.share = Share(self._to - self._from, self._batch, world_size, self._from)
        self.epoch = 0
        self.start = 0
        # Lightning calls set_epoch on `loader.batch_sampler.sampler`, never on a batch sampler itself.
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Turns to an epoch; to another than the present one, from its first batch on."""
        if epoch != self.epoch:
            self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        """Batches of a whole epoch, also when it is entered in the middle: Lightning counts from its own progress."""
        return self._batches

    def __iter__(self) -> Iterator[BatchKey]:
        epoch, start = self.epoch, self.start
        self.start = 0
        draws = self._order(epoch)
        for batch in range(start, self._batches):
            first = batch * self._batch
            share = draws.part(first + self._from, first + self._to)
            yield BatchKey(epoch, share.rows, share.before)


class EveryRow(Sampler[BatchKey]):
    """Every row once and in order, for evaluation; ranks take neighbouring shares, unpadded.

    Args:
        rows: int64 [N], the rows to give.
        batch_size: Rows of a batch of one rank.
        limit: At most so many batches, counted as for a single rank.
        rank: This process.
        world_size: All processes.
    """

    def __init__(
        self, rows: Rows, batch_size: int, *, limit: int | None = None, rank: int = 0, world_size: int = 1
    ) -> None:
        total = len(rows) if limit is None else min(len(rows), limit * batch_size)
        self._rows = rows[total * rank // world_size : total * (rank + 1) // world_size]
        self._batch = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch)

    def __iter__(self) -> Iterator[BatchKey]:
        for first in range(0, len(self._rows), self._batch):
            yield BatchKey(0, self._rows[first : first + self._batch])

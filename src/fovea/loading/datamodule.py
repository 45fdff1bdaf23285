"""The data of a run, as Lightning asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from fovea.augment import build
from fovea.core.errors import UserError
from fovea.loading.dataset import Batch, BatchDataset
from fovea.loading.loader import ResumableLoader, every_row_loader
from fovea.loading.sampler import EpochBatches, EveryRow, Rows, shuffled

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.config.schema import AugmentConfig, DataConfig, LoaderConfig
    from fovea.shards import PreparedData, Split


class PictureDataModule(LightningDataModule):
    """Loaders of batches that are a pure function of (seed, epoch, batch index), the same for any number of ranks.

    Training batches are shuffled and augmented, and what fills no whole batch is left out of the epoch. Validation and
    test give every picture once, in order. The trainer must not put samplers of its own in
    (`use_distributed_sampler=False`).

    Args:
        prepared: The data.
        data: The `data` section of the configuration.
        loader: The `loader` section; `batch_size` counts the pictures of a batch over all ranks.
        augment: The `augment` section.
        seed: Of shuffling and augmentation.
        limit_batches: At most so many batches of each kind.
        overfit_batches: Train and validate on so many batches alone: those that epoch 0 would begin with, in the same
            order in every epoch, unaugmented.
        rank: This process.
        world_size: All processes.

    Raises:
        UserError: A split is too small, the batch cannot be shared evenly, or the augmentation is wrong.
    """

    def __init__(
        self,
        prepared: PreparedData,
        *,
        data: DataConfig,
        loader: LoaderConfig,
        augment: AugmentConfig,
        seed: int,
        limit_batches: int | None = None,
        overfit_batches: int | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self._prepared = prepared
        self._data = data
        self._loader = loader
        self._seed = seed
        self._limit = limit_batches
        self._overfit = overfit_batches
        self._ranks = {"rank": rank, "world_size": world_size}
        if loader.batch_size % world_size:
            raise UserError(
                f"loader.batch_size {loader.batch_size} cannot be shared evenly by {world_size} processes; choose a "
                f"multiple of {world_size}"
            )
        plain = overfit_batches is not None or not augment.train
        self._augmenter = None if plain else build(augment.train, channels=data.channels, image_size=data.image_size)

    def train_dataloader(self) -> ResumableLoader:
        """Training batches; the loader has state (`state_dict`, `load_state_dict`) for exact resumption."""
        split = self._split("train")
        if self._overfit is None:
            rows, seed = _all(split), self._seed
        else:
            rows, seed = self._overfit_rows(split), None
        batches = EpochBatches(rows, self._loader.batch_size, seed=seed, limit=self._limit, **self._ranks)
        return ResumableLoader(self._dataset(split, self._augmenter), batches, num_workers=self._loader.num_workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Every validation picture; with `overfit_batches` the training pictures."""
        if self._overfit is not None:
            split = self._split("train")
            return self._eval(split, self._overfit_rows(split))
        split = self._split("val")
        return self._eval(split, _all(split))

    def test_dataloader(self) -> DataLoader[Batch]:
        """Every test picture."""
        split = self._split("test")
        return self._eval(split, _all(split))

    def _eval(self, split: Split, rows: Rows) -> DataLoader[Batch]:
        sampler = EveryRow(rows, self._loader.eval_batch_size, limit=self._limit, **self._ranks)
        return every_row_loader(self._dataset(split, None), sampler, num_workers=self._loader.num_workers)

    def _overfit_rows(self, split: Split) -> Rows:
        count = (self._overfit or 0) * self._loader.batch_size
        return shuffled(_all(split), self._seed, 0)[:count]

    def _dataset(self, split: Split, augmenter: Augmenter | None) -> BatchDataset:
        return BatchDataset(
            split,
            channels=self._data.channels,
            image_size=self._data.image_size,
            augmenter=augmenter,
            seed=self._seed,
        )

    def _split(self, name: Any) -> Split:
        split = self._prepared.split(name)
        least = self._ranks["world_size"]
        if len(split) < least:
            raise UserError(
                f"the {name} part of data '{self._data.name}' has {len(split)} pictures and needs at least {least}; "
                "change the fractions in prepare"
            )
        return split


def _all(split: Split) -> Rows:
    return np.arange(len(split), dtype=np.int64)

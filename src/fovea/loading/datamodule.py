"""The data of a run, as Lightning asks for it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pytorch_lightning import LightningDataModule

from fovea.augment import single_threaded
from fovea.config.shares import check_shares
from fovea.core.errors import UserError
from fovea.core.resources import local_ranks, usable_cores
from fovea.loading.dataset import BatchDataset
from fovea.loading.keeping import Keeper
from fovea.loading.loader import BatchLoader, ResumableLoader, Workers
from fovea.loading.order import Fixed, Order, Rows, drawn_by
from fovea.loading.recipes import Recipe, for_evaluation, for_training
from fovea.loading.sampler import EpochBatches, EveryRow

if TYPE_CHECKING:
    from fovea.config.schema import AugmentConfig, DataConfig, LoaderConfig, MixConfig
    from fovea.shards import PreparedData


class PictureDataModule(LightningDataModule):
    """Loaders of batches that are a pure function of (seed, epoch, batch index), the same for any number of ranks.

    Training batches are drawn and augmented anew in every epoch, and what fills no whole batch is left out of it.
    Validation and test give every picture once, in order. The trainer must not put samplers of its own in
    (`use_distributed_sampler=False`).

    Args:
        prepared: The data.
        data: The `data` section of the configuration.
        loader: The `loader` section; `batch_size` counts the pictures of a batch over all ranks.
        augment: The `augment` section.
        seed: Of draws, augmentation and mixing.
        limit_batches: At most so many batches of each kind.
        overfit_batches: Train and validate on so many batches alone: those that epoch 0 would begin with, in the same
            order in every epoch, as evaluation sees them.
        rank: This process.
        world_size: All processes.

    Raises:
        UserError: The batch cannot be shared evenly, a transform is wrong, or there is no memory for the cache.
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
        self._data, self._augment = data, augment
        self._prepared = prepared
        self._loader = loader
        self._seed = seed
        self._limit = limit_batches
        self._overfit = overfit_batches
        self._ranks = {"rank": rank, "world_size": world_size}
        self._processes = local_ranks(world_size)
        self._mix = augment.mix if augment.mix.is_on and overfit_batches is None else None
        check_shares(loader.batch_size, world_size, mixed=self._mix is not None)
        # OpenCV must not have threads of its own when workers are forked.
        single_threaded()
        train = prepared.split("train")
        if overfit_batches is None:
            self._train = for_training(train, data, loader, augment)
            self._val = for_evaluation(prepared.split("val"), data, augment)
        else:
            self._train = self._val = for_evaluation(train, data, augment)
        self._keeper = Keeper(
            loader.cache,
            [self._train.pictures] if overfit_batches else [self._train.pictures, self._val.pictures],
            prepared,
            processes=self._processes,
            brief=limit_batches is not None or overfit_batches is not None,
            speaks=rank == 0,
        )

    def train_dataloader(self) -> ResumableLoader:
        """Training batches; the loader has state (`state_dict`, `load_state_dict`) for exact resumption.

        Raises:
            UserError: There are too few training pictures, or none of some class that is to be balanced.
        """
        together = 2 if self._mix else 1  # what is mixed stays on one rank
        self._check("train", self._train, together)
        order, count = self._order
        size = self._loader.batch_size
        batches = EpochBatches(order, count, size, limit=self._limit, together=together, **self._ranks)
        dataset = self._dataset(self._train, self._mix)
        return ResumableLoader(dataset, batches, self._workers(self._train, len(batches)))

    def val_dataloader(self) -> BatchLoader:
        """Every validation picture; with `overfit_batches` the training pictures.

        Raises:
            UserError: There are too few of them.
        """
        if self._overfit is None:
            return self._every("val", self._val)
        order, _ = self._order
        return self._every("train", self._val, order(0).rows)

    def test_dataloader(self) -> BatchLoader:
        """Every test picture.

        Raises:
            UserError: There are too few of them, or `augment.eval` does not suit them.
        """
        return self._every("test", for_evaluation(self._prepared.split("test"), self._data, self._augment))

    def _every(self, name: str, recipe: Recipe, rows: Rows | None = None) -> BatchLoader:
        self._check(name, recipe)
        rows = np.arange(len(recipe.pictures), dtype=np.int64) if rows is None else rows
        batches = EveryRow(rows, self._loader.eval_batch_size, limit=self._limit, **self._ranks)
        return BatchLoader(self._dataset(recipe), batches, self._workers(recipe, len(batches)))

    @cached_property
    def _order(self) -> tuple[Order, int]:
        """The order of an epoch, and its length."""
        labels = self._train.pictures.split.labels
        order = drawn_by(self._loader.sampling, labels, self._data.class_names, self._seed)
        if self._overfit is None:
            return order, len(labels)
        first = order(0).part(0, self._overfit * self._loader.batch_size)
        return Fixed(first), len(first.rows)

    def _dataset(self, recipe: Recipe, mix: MixConfig | None = None) -> BatchDataset:
        pictures, augmenter = recipe
        kept = self._keeper.pictures(pictures)
        return BatchDataset(pictures.split, kept, pictures.shape, augmenter=augmenter, mix=mix, seed=self._seed)

    def _workers(self, recipe: Recipe, batches: int) -> Workers:
        wish, encoded = self._loader.num_workers, recipe.pictures.split.encoded
        share = min(max(1, usable_cores() // self._processes), batches) if encoded else 0
        return Workers(share if wish == "auto" else wish, self._loader.prefetch)

    def _check(self, name: str, recipe: Recipe, each: int = 1) -> None:
        least = each * self._ranks["world_size"]
        if len(recipe.pictures) < least:
            raise UserError(
                f"the {name} part of data '{self._data.name}' has {len(recipe.pictures)} pictures and needs at least "
                f"{least}; change the fractions in prepare"
            )

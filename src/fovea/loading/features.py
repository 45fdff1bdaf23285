"""Batches of features instead of pictures, for the training of a head alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import Dataset

from fovea.config.shares import check_shares
from fovea.core.errors import UserError
from fovea.loading.dataset import Batch
from fovea.loading.loader import BatchLoader, ResumableLoader, Workers
from fovea.loading.order import drawn_by
from fovea.loading.sampler import EpochBatches, EveryRow

if TYPE_CHECKING:
    from fovea.config.schema import LoaderConfig
    from fovea.loading.sampler import BatchKey

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """What a frozen network says of the pictures of a split.

    Attributes:
        features: For each view float32 [N, D]. View 0 is the picture as evaluation sees it.
        labels: int64 [N].
        keys: uint64 [N], the stable identity of each picture.
    """

    features: Sequence[Features]
    labels: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]


class FeatureDataset(Dataset[Batch]):
    """Makes a batch of features from one key.

    In epoch `e`, counted from 0, a picture shows its view `(e + key + draws) % V`: every view equally often, and not
    the same one of all pictures at a time.

    Args:
        table: The features.
    """

    per_picture = False

    def __init__(self, table: FeatureTable) -> None:
        self._table = table

    def ready(self) -> None:
        """Nothing to do."""

    def __len__(self) -> int:
        return len(self._table.labels)

    def __getitems__(self, key: BatchKey) -> Batch:
        """The batch of a key; its `images` are features float32 [B, D]."""
        table, rows = self._table, key.rows
        views = np.uint64(len(table.features))
        draws = np.zeros(len(rows), np.uint64) if key.draws is None else key.draws.astype(np.uint64)
        view = (table.keys[rows] % views + np.uint64(key.epoch) + draws) % views
        features = np.empty((len(rows), table.features[0].shape[1]), np.float32)
        for number in np.unique(view).tolist():
            features[view == number] = table.features[number][rows[view == number]]
        return Batch(torch.from_numpy(features), torch.from_numpy(table.labels[rows]), torch.from_numpy(rows))


class FeatureDataModule(LightningDataModule):
    """Loaders of features, in the batches and the order in which `PictureDataModule` gives the pictures.

    Args:
        train: Of the training pictures.
        val: Of the validation pictures, in one view.
        loader: The `loader` section; `batch_size` counts the pictures of a batch over all ranks.
        classes: Names of the classes.
        seed: Of the draws.
        rank: This process.
        world_size: All processes.

    Raises:
        UserError: The batch cannot be shared evenly, or there is not a picture for every process.
    """

    def __init__(
        self,
        train: FeatureTable,
        val: FeatureTable,
        *,
        loader: LoaderConfig,
        classes: list[str],
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        check_shares(loader.batch_size, world_size, mixed=False)
        self._train, self._val = train, val
        self._loader = loader
        self._ranks = {"rank": rank, "world_size": world_size}
        self._order = drawn_by(loader.sampling, train.labels, classes, seed)
        for name, table in (("train", train), ("val", val)):
            if len(table.labels) < world_size:
                raise UserError(
                    f"the {name} part has {len(table.labels)} pictures and {world_size} processes need one each; "
                    "change the fractions in prepare"
                )

    def train_dataloader(self) -> ResumableLoader:
        """Training batches; the loader has state for exact resumption."""
        batches = EpochBatches(self._order, len(self._train.labels), self._loader.batch_size, **self._ranks)
        return ResumableLoader(FeatureDataset(self._train), batches, Workers())

    def val_dataloader(self) -> BatchLoader:
        """Every validation picture, in order; each rank has its part of them."""
        rows = np.arange(len(self._val.labels), dtype=np.int64)
        batches = EveryRow(rows, self._loader.eval_batch_size, **self._ranks)
        return BatchLoader(FeatureDataset(self._val), batches, Workers())

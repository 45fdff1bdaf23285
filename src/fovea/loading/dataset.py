"""Rows of a split to batches of tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from fovea.augment import Mix
from fovea.augment.mixing import plan
from fovea.core.errors import FoveaError, RunError

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.config.schema import MixConfig
    from fovea.loading.decoded import Pictures
    from fovea.loading.sampler import BatchKey
    from fovea.shards import Split

Image = npt.NDArray[np.uint8]


class Batch(NamedTuple):
    """What the network sees at once.

    Attributes:
        images: uint8 [B, C, H, W], values 0..255. With more than one channel the memory layout is channels-last.
        labels: int64 [B].
        rows: int64 [B], rows of the split.
        mix: How the pictures are to be mixed with each other; None: not at all.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor
    mix: Mix | None = None


@dataclass(frozen=True)
class Failure:
    """What a worker gives instead of a batch, so that its error arrives as the one sentence that it is.

    Attributes:
        kind: Of the error.
        message: The sentence.
    """

    kind: type[FoveaError]
    message: str


class BatchDataset(Dataset[Batch]):
    """Makes a whole batch from one key, so that no Python runs per picture where none is needed.

    Args:
        split: The labels and keys.
        pictures: The pictures of the split.
        shape: Height, width and channels of the pictures as the network takes them.
        augmenter: Changes each picture; None leaves them as they are.
        mix: How pictures of a batch are mixed; None: not at all.
        seed: Of augmentation and mixing.
    """

    def __init__(
        self,
        split: Split,
        pictures: Pictures,
        shape: tuple[int, int, int],
        *,
        augmenter: Augmenter | None = None,
        mix: MixConfig | None = None,
        seed: int = 0,
    ) -> None:
        self._split = split
        self._pictures = pictures
        self._shape = shape
        self._augmenter = augmenter
        self._mix = mix
        self._seed = seed

    @property
    def per_picture(self) -> bool:
        """Whether each picture needs work, which processes can share; if not, a batch is one copy out of memory."""
        return self._augmenter is not None or not self._pictures.is_stacked

    def ready(self) -> None:
        """Does what is to be done once, before workers are started.

        Raises:
            RunError: A picture cannot be decoded, or the disk is full or not writable.
        """
        self._pictures.ready()

    def __len__(self) -> int:
        return len(self._split)

    def __getitems__(self, key: BatchKey) -> Batch | Failure:
        """The batch of a key; in a worker a `Failure` instead of an expected error.

        Raises:
            RunError: A picture cannot be decoded or augmented, or has another size than the data's.
        """
        if get_worker_info() is None:
            return self._batch(key)
        try:
            return self._batch(key)
        except FoveaError as error:
            return Failure(type(error), str(error))

    def _batch(self, key: BatchKey) -> Batch:
        rows = key.rows
        stacked = None if self._augmenter else self._pictures.stacked()
        images = _empty((len(rows), *self._shape))
        if stacked is None:
            self._one_by_one(key, images.numpy())
        else:
            self._check(stacked)
            np.take(stacked.reshape(len(stacked), -1), rows, axis=0, out=images.numpy().reshape(len(rows), -1))
        labels = torch.from_numpy(self._split.labels[rows])
        return Batch(_channels_first(images), labels, torch.from_numpy(rows), self._plan(key))

    def _one_by_one(self, key: BatchKey, images: Image) -> None:
        pictures, augmenter, position = self._pictures, self._augmenter, {"seed": self._seed, "epoch": key.epoch}
        if augmenter is None:
            for i, row in enumerate(key.rows.tolist()):
                images[i] = pictures(row)
            return
        keys = self._split.keys[key.rows].tolist()
        draws = [0] * len(keys) if key.draws is None else key.draws.tolist()
        for i, (row, name, draw) in enumerate(zip(key.rows.tolist(), keys, draws, strict=True)):
            images[i] = augmenter(pictures(row), **position, key=name, draw=draw)

    def _plan(self, key: BatchKey) -> Mix | None:
        if self._mix is None:
            return None
        keys, side = self._split.keys[key.rows], self._shape[0]
        return plan(keys, seed=self._seed, epoch=key.epoch, config=self._mix, image_size=side, draws=key.draws)

    def _check(self, stacked: Image) -> None:
        if stacked.shape[1:] != self._shape:
            raise RunError(
                f"the prepared pictures are {_words(stacked.shape[1:])} but the configuration says "
                f"{_words(self._shape)} (height, width, channels); prepare the data again"
            )


def _empty(shape: tuple[int, ...]) -> Tensor:
    """uint8 of a shape; in a worker in memory that is shared, so that handing the batch over copies nothing."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(math.prod(shape))  # type: ignore[no-untyped-call]
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)


def _channels_first(images: Tensor) -> Tensor:
    """uint8 [B, H, W, C] as [B, C, H, W] over the same memory."""
    count, height, width, channels = images.shape
    return images.view(count, 1, height, width) if channels == 1 else images.permute(0, 3, 1, 2)


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

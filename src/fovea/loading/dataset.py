"""Rows of a split to batches of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fovea.core.errors import RunError

if TYPE_CHECKING:
    from fovea.augment import Augmenter
    from fovea.loading.sampler import BatchKey
    from fovea.shards import Split

Image = npt.NDArray[np.uint8]


class Batch(NamedTuple):
    """What the network sees at once.

    Attributes:
        images: uint8 [B, C, H, W], values 0..255. With more than one channel the memory layout is channels-last.
        labels: int64 [B].
        rows: int64 [B], rows of the split.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor


class BatchDataset(Dataset[Batch]):
    """Makes a whole batch from one key, so that no Python runs per picture where none is needed.

    Args:
        split: The pictures and labels.
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.
        augmenter: Changes each picture; None leaves them as they are.
        seed: Of the augmentation.
    """

    def __init__(
        self, split: Split, *, channels: int, image_size: int, augmenter: Augmenter | None = None, seed: int = 0
    ) -> None:
        self._split = split
        self._shape = (image_size, image_size, channels)
        self._augmenter = augmenter
        self._seed = seed

    @property
    def per_picture(self) -> bool:
        """Whether each picture needs work, which processes can share; if not, a batch is one copy out of memory."""
        return self._augmenter is not None or self._split.images() is None

    def __len__(self) -> int:
        return len(self._split)

    def __getitems__(self, key: BatchKey) -> Batch:
        """The batch of a key.

        Raises:
            RunError: A picture has another size than the data's.
        """
        rows = key.rows
        everything = None if self._augmenter else self._split.images()
        images = self._one_by_one(key) if everything is None else self._gathered(everything, rows)
        return Batch(_channels_first(images), torch.from_numpy(self._split.labels[rows]), torch.from_numpy(rows))

    def _gathered(self, everything: Image, rows: npt.NDArray[np.int64]) -> Image:
        self._check(everything.shape[1:], None)
        batch: Image = everything.reshape(len(everything), -1).take(rows, axis=0)
        return batch.reshape(len(rows), *self._shape)

    def _one_by_one(self, key: BatchKey) -> Image:
        images = np.empty((len(key.rows), *self._shape), dtype=np.uint8)
        keys, everything = self._split.keys, self._split.images()
        for i, row in enumerate(key.rows.tolist()):
            image = self._split.image(row) if everything is None else everything[row]
            self._check(image.shape, row)
            if self._augmenter is not None:
                image = self._augmenter(image, seed=self._seed, epoch=key.epoch, key=int(keys[row]))
            images[i] = image
        return images

    def _check(self, shape: tuple[int, ...], row: int | None) -> None:
        if shape != self._shape:
            name = "the prepared pictures are" if row is None else f"picture '{self._split.ids[row]}' is"
            raise RunError(
                f"{name} {_words(shape)} but the configuration says {_words(self._shape)} (height, width, channels); "
                "prepare the data again"
            )


def _channels_first(images: Image) -> Tensor:
    """uint8 [B, H, W, C] as a tensor [B, C, H, W] over the same memory."""
    count, height, width, channels = images.shape
    if channels == 1:
        return torch.from_numpy(images.reshape(count, 1, height, width))
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

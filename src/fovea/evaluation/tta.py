"""Test-time augmentation: the mean of several looks at each picture (Krizhevsky et al. 2012, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.infer import batch_logits, pictures
from fovea.evaluation.metrics import Floats, softmax

if TYPE_CHECKING:
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.shards import Split

Images = NDArray[np.uint8]

_PART = 7 / 8  # of a side that a crop keeps, as 224 of 256 pixels


def looks(images: Images, kinds: Sequence[str]) -> Iterator[Images]:
    """The pictures uint8 [B, H, W, C] as they are, and their other looks, each uint8 of the same shape.

    Args:
        images: At the network's size.
        kinds: `crops`: also the four corners and the middle, seven eighths wide and brought to the same size; `flip`:
            also each look's mirror image.
    """
    for look in [images, *(_crops(images) if "crops" in kinds else [])]:
        yield look
        if "flip" in kinds:
            yield look[:, :, ::-1]


def averaged(network: nn.Module, split: Split, view: Augmenter, kinds: Sequence[str], batch_size: int) -> Floats:
    """Mean probabilities float64 [N, K] over all looks at each picture.

    Args:
        network: In eval mode; takes uint8 [B, C, H, W].
        split: At least one picture.
        view: Brings each picture to the network's size.
        kinds: As for `looks`.
        batch_size: Pictures per batch.

    Raises:
        RunError: The network gives no finite numbers.
    """
    parts = []
    for start in range(0, len(split), batch_size):
        images = pictures(split, view, start, batch_size)
        parts.append(np.mean([softmax(batch_logits(network, look)) for look in looks(images, kinds)], axis=0))
    return np.concatenate(parts)


def _crops(images: Images) -> Iterator[Images]:
    import cv2

    height, width = images.shape[1:3]
    high, wide = max(1, round(height * _PART)), max(1, round(width * _PART))
    bottom, right = height - high, width - wide
    for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)):
        part = images[:, top : top + high, left : left + wide]
        grown = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in part]
        yield np.stack(grown).reshape(images.shape)

"""What a network says about pictures: logits, in order, in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.shards import Split


def logits(network: nn.Module, split: Split, view: Augmenter, batch_size: int) -> NDArray[np.float32]:
    """Logits float32 [N, K] of a split, row i of picture i; K is 0 for an empty split.

    No picture is padded, repeated or shuffled. The batches are the same in every call and so, on one machine, the bits.

    Args:
        network: In eval mode; takes uint8 [B, C, H, W].
        split: Pictures of any size.
        view: Brings each picture to the network's size.
        batch_size: The last batch may be smaller.
    """
    parts = [batch_logits(network, pictures(split, view, i, batch_size)) for i in range(0, len(split), batch_size)]
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def pictures(split: Split, view: Augmenter, start: int, count: int) -> NDArray[np.uint8]:
    """Pictures uint8 [B, H, W, C] of the rows `start` to `start + count` of a split, as `view` shows them."""
    stop = min(start + count, len(split))
    everything = split.images()
    if everything is not None and view.is_plain and everything.shape[1:3] == (view.image_size, view.image_size):
        part: NDArray[np.uint8] = everything[start:stop]
        return part
    return np.stack([view(split.image(row)) for row in range(start, stop)])


def batch_logits(network: nn.Module, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits float32 [B, K] of pictures uint8 [B, H, W, C]."""
    import torch

    with torch.inference_mode():
        # A copy: the pictures may be a read-only view of a mapped file, which torch warns of.
        batch = torch.from_numpy(np.array(images.transpose(0, 3, 1, 2), order="C"))
        answer: NDArray[Any] = network(batch).float().cpu().numpy()
    return answer

"""The features that a network's head sees, heard while it classifies: no picture goes through the network twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from torch import nn

Embeddings = NDArray[np.float32]


@contextmanager
def listening(network: nn.Module) -> Iterator[list[Embeddings]]:
    """For the block, collects float32 [B, D] of each batch: what goes into the layer that gives the classes.

    Where that layer sees maps, they are averaged over height and width.

    Raises:
        UserError: The network's last layer is neither linear nor a convolution.
    """
    from fovea.models import anatomy
    from fovea.models.normalize import NormalizedNet

    net = network.net if isinstance(network, NormalizedNet) else network
    try:
        head = net.get_submodule(anatomy.heads(net)[0])
    except (ValueError, IndexError):
        raise UserError(
            "evaluate.embeddings is true, but the network has no last linear layer whose input could be kept; "
            "take evaluate.embeddings=false"
        ) from None
    heard: list[Embeddings] = []

    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        features = inputs[0].float()
        heard.append((features.mean(dim=(2, 3)) if features.dim() == 4 else features.flatten(1)).cpu().numpy())

    hook = head.register_forward_pre_hook(keep)
    try:
        yield heard
    finally:
        hook.remove()

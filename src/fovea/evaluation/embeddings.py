"""The features that a network's head sees, heard while it classifies: no picture goes through the network twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError
from fovea.evaluation.insides import named

if TYPE_CHECKING:
    from torch import nn

Embeddings = NDArray[np.float32]


@contextmanager
def listening(network: nn.Module, step: int = 1) -> Iterator[list[Embeddings]]:
    """For the block, collects float32 [B, D] of each batch: what goes into the layer that gives the classes.

    Where that layer sees maps, they are averaged over height and width. Of a network whose last layer is neither linear
    nor a convolution nothing is heard.

    Args:
        network: The network.
        step: Of all pictures in their order, every how manieth is kept, the first among them.
    """
    head = _head(network)
    heard: list[Embeddings] = []
    passed = 0

    def keep(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        nonlocal passed
        features = inputs[0][-passed % step :: step].float()
        passed += len(inputs[0])
        if len(features):
            heard.append((features.mean(dim=(2, 3)) if features.dim() == 4 else features.flatten(1)).cpu().numpy())

    hook = None if head is None else head.register_forward_pre_hook(keep)
    try:
        yield heard
    finally:
        if hook is not None:
            hook.remove()


def check_embeddings(network: nn.Module) -> None:
    """Refuses a network of which nothing is heard.

    Raises:
        UserError: Its last layer is neither linear nor a convolution.
    """
    if _head(network) is None:
        raise UserError(
            "evaluate.embeddings is true, but the network has no last linear layer whose input could be kept; "
            "take evaluate.embeddings=false"
        )


def _head(network: nn.Module) -> nn.Module | None:
    from fovea.models import anatomy

    net = named(network)
    try:
        return net.get_submodule(anatomy.heads(net)[0])
    except (ValueError, IndexError):
        return None

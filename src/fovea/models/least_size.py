"""The least picture that a network takes, found by trying."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from fovea.core.errors import UserError

_MOST = 512


def check_size(net: nn.Module, build: Callable[[int], nn.Module], *, name: str, channels: int, image_size: int) -> None:
    """Refuses pictures that do not get through a network.

    Args:
        net: The network, fresh.
        build: Makes it for another size of picture.
        name: Its name.
        channels: Channels of the pictures.
        image_size: Height and width of the pictures.

    Raises:
        UserError: A picture of that size does not pass; the sentence has the least larger size that does.
    """
    reason = _trouble(net, channels, image_size)
    net.train()
    if reason is None:
        return
    least = next((size for size in range(image_size + 1, _MOST + 1) if _passes(build, channels, size)), None)
    way_out = f"set data.image_size={least}, the least above it that it takes, or " if least is not None else ""
    raise UserError(
        f"model '{name}' takes no pictures of {image_size}x{image_size} pixels ({reason}); "
        f"{way_out}choose another model"
    )


def _passes(build: Callable[[int], nn.Module], channels: int, size: int) -> bool:
    """Whether a picture passes; on the meta device, where tensors have a shape and no numbers."""
    try:
        with torch.device("meta"):
            return _trouble(build(size), channels, size) is None
    except Exception:  # libraries refuse a size when they build, by any error
        return False


def _trouble(net: nn.Module, channels: int, size: int) -> str | None:
    device = next(net.parameters()).device
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, channels, size, size, device=device))
    except NotImplementedError:  # of the meta device, where a network asks a tensor for its numbers
        return None
    except (RuntimeError, AssertionError, ValueError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return None

"""The first layers of a network, made to suit the size and the channels of the pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig

SMALL_BELOW = 96
"""Pixels below which `model.stem=auto` takes the small stem."""


def set_stem(net: nn.Module, model: ModelConfig, image_size: int) -> None:
    """Gives a network the stem of its configuration, in place.

    The small stem is that of He et al. 2016 for CIFAR-10 (section 4.2): a 3x3 convolution without stride in place of
    7x7 with stride 2, and no pool, so that a picture of 32 pixels reaches the first block with 32 pixels and not 8.
    Published weights expect the standard stem, and `auto` leaves it to them.

    Raises:
        UserError: `model.stem` is `small` and the network does not begin as a ResNet does.
    """
    small = model.stem == "small" or (model.stem == "auto" and image_size < SMALL_BELOW and model.weights != "imagenet")
    if small and not _shrink(net) and model.stem == "small":
        raise UserError(
            f"model.stem is 'small' but '{model.name}' does not begin as a ResNet does, and has no such stem; set "
            "model.stem=auto"
        )


def _shrink(net: nn.Module) -> bool:
    first, pool = getattr(net, "conv1", None), getattr(net, "maxpool", None)
    if not isinstance(first, nn.Conv2d | nn.Sequential) or pool is None:
        return False
    if isinstance(first, nn.Conv2d):
        conv = nn.Conv2d(first.in_channels, first.out_channels, 3, padding=1, bias=first.bias is not None)
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
        net.conv1 = conv
    else:  # three convolutions of 3x3, of which the first has the stride
        next(module for module in first.modules() if isinstance(module, nn.Conv2d)).stride = (1, 1)
    net.maxpool = nn.Identity()
    return True


def first_convolution(net: nn.Module) -> tuple[str, nn.Conv2d] | None:
    """Path and module of the convolution that sees the picture; None where there is no convolution."""
    return next(((name, module) for name, module in net.named_modules() if isinstance(module, nn.Conv2d)), None)


def set_channels(net: nn.Module, channels: int) -> None:
    """Makes a network for colour pictures one for pictures of so many channels, in place.

    Each new weight is one of the old, so that it is drawn as the network draws them.
    """
    found = first_convolution(net)
    if found is None or found[1].in_channels == channels:
        return
    path, old = found
    new = nn.Conv2d(
        channels,
        old.out_channels,
        old.kernel_size,  # type: ignore[arg-type]
        stride=old.stride,  # type: ignore[arg-type]
        padding=old.padding,  # type: ignore[arg-type]
        dilation=old.dilation,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    copies = -(-channels // old.in_channels)
    new.weight = nn.Parameter(old.weight.detach().repeat(1, copies, 1, 1)[:, :channels].clone())
    if old.bias is not None:
        new.bias = old.bias
    parent, _, name = path.rpartition(".")
    setattr(net.get_submodule(parent), name, new)

"""Every network by its name. Knows where each is built and the least picture that it takes; imports none of them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fovea.core.errors import UserError, nearest
from fovea.models.catalogue import check_name, libraries_with
from fovea.models.weights import check as check_weights

if TYPE_CHECKING:
    from torch import nn

    from fovea.config.schema import Config, ModelConfig


@dataclass(frozen=True)
class Family:
    """Where networks of a name come from.

    Attributes:
        builder: ``"module:function"``; the function takes ``(model, *, channels, num_classes, image_size)``.
        least_size: Side of the smallest picture that the network takes, in pixels.
        dropout: Whether it has a dropout that `model.dropout` can set.
    """

    builder: str
    least_size: int
    dropout: bool = True


_TORCHVISION = "fovea.models.from_torchvision:build"
_TIMM = "fovea.models.from_timm:build"

_FAMILIES = {
    "lenet5": Family("fovea.models.lenet:build", least_size=12),
    "tf_mnist": Family("fovea.models.tf_mnist:build", least_size=4),
    "deep_mnist": Family("fovea.models.deep_mnist:build", least_size=4),
    "fast_mnist": Family("fovea.models.fast_mnist:build", least_size=8),
    "best_mnist": Family("fovea.models.strided_mnist:build", least_size=7),
    "small_mnist": Family("fovea.models.strided_mnist:build", least_size=7),
    "small_mnist_5x5": Family("fovea.models.strided_mnist:build", least_size=7),
    "one_conv": Family("fovea.models.one_conv:build", least_size=2),
    "small_cnn": Family("fovea.models.small_cnn:build", least_size=16),
    "zfnet": Family("fovea.models.zfnet:build", least_size=53),
    "alexnet": Family(_TORCHVISION, least_size=63),
    "vgg16": Family(_TORCHVISION, least_size=32),
    "vgg19": Family(_TORCHVISION, least_size=32),
    "googlenet": Family(_TORCHVISION, least_size=15),
    **{f"resnet{depth}": Family(_TORCHVISION, 1, dropout=False) for depth in (18, 34, 50, 101, 152)},
    "efficientnet_lite0": Family(_TIMM, least_size=1),
}

# Any network of these libraries: the name is looked up in their sources, the least size is found when it is built.
_LIBRARIES = {"torchvision": Family(_TORCHVISION, least_size=1), "timm": Family(_TIMM, least_size=1)}


def names() -> list[str]:
    """The networks that have a name of their own here, sorted."""
    return sorted(_FAMILIES)


def create(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> nn.Module:
    """Makes a network with new weights, drawn from torch's global generator.

    Args:
        model: The `model` section of the configuration.
        channels: Channels of the pictures.
        num_classes: Outputs.
        image_size: Height and width of the pictures, in pixels.

    Returns:
        A module from normalised float pictures ``[B, channels, image_size, image_size]`` to logits
        ``[B, num_classes]``; see `fovea.models.auxiliary` for what some return in training mode.

    Raises:
        UserError: The name is unknown, or the pictures do not suit the network.
    """
    family = _family(model)
    _check_pictures(model, family, channels=channels, image_size=image_size)
    module, function = family.builder.split(":")
    net: nn.Module = getattr(importlib.import_module(module), function)(
        model, channels=channels, num_classes=num_classes, image_size=image_size
    )
    if model.init is not None:
        from fovea.models.init import initialise

        initialise(net, model.init)
    return net


def check(config: Config) -> None:
    """Refuses a model that cannot take the pictures of the configuration, without importing torch.

    Weights are looked at as far as that costs nothing; `fovea.models.weights.find` does the rest.

    Raises:
        UserError: The name is unknown, `in_channels` is not the data's, the pictures are too small, or the network has
            no dropout to set; weights or normalisation cannot be had or do not fit.
    """
    data = config.data
    family = _family(config.model)
    _check_pictures(config.model, family, channels=data.channels, image_size=data.image_size, of=f"data '{data.name}'")
    check_weights(config.model, data.channels)


def _family(model: ModelConfig) -> Family:
    if model.library != "fovea":
        check_name(model.library, model.name)
        return _LIBRARIES[model.library]
    if model.name not in _FAMILIES:
        others = libraries_with(model.name)
        where = f"; {others[0]} has it: model={others[0]} model.name={model.name}" if others else ""
        raise UserError(f"model.name '{model.name}' is not known{where or nearest(model.name, _FAMILIES)}")
    family = _FAMILIES[model.name]
    if model.dropout and not family.dropout:
        raise UserError(f"model.dropout is {model.dropout:g} but '{model.name}' has no dropout; set model.dropout=null")
    return family


def _check_pictures(
    model: ModelConfig, family: Family, *, channels: int, image_size: int, of: str = "the data"
) -> None:
    if model.in_channels not in (None, channels):
        raise UserError(
            f"model '{model.name}' was asked for {_count(model.in_channels)} but {of} has {channels}; drop "
            "model.in_channels"
        )
    if image_size < family.least_size:
        raise UserError(
            f"model '{model.name}' takes pictures of {family.least_size}x{family.least_size} pixels or more but {of} "
            f"has {image_size}x{image_size}; raise data.image_size to at least {family.least_size} or choose another "
            "model"
        )


def _count(channels: int | None) -> str:
    return "1 input channel" if channels == 1 else f"{channels} input channels"

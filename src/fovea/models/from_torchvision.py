"""Networks of torchvision, made to suit the pictures and classes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from fovea.core.errors import UserError
from fovea.models.least_size import check_size
from fovea.models.stems import set_channels, set_stem

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> nn.Module:
    """The network of a configuration; see `fovea.models.registry.create`.

    GoogLeNet and Inception v3 have their auxiliary heads; see `fovea.models.auxiliary`.
    """
    make = partial(_make, model, channels=channels, num_classes=num_classes)
    net = make(image_size)
    if model.library == "torchvision":  # the least sizes of the others stand in the registry
        check_size(net, make, name=model.name, channels=channels, image_size=image_size)
    return net


def _make(model: ModelConfig, image_size: int, *, channels: int, num_classes: int) -> nn.Module:
    from torchvision.models import get_model

    net: nn.Module = get_model(model.name, weights=None, num_classes=num_classes, **_options(model.name, image_size))
    if model.dropout is not None:
        _set_dropout(net, model.name, model.dropout)
    set_stem(net, model, image_size)
    set_channels(net, channels)
    return net


def _options(name: str, image_size: int) -> dict[str, Any]:
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": True, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": image_size}
    if name == "maxvit_t":
        return {"input_size": (image_size, image_size)}
    return {}


def _set_dropout(net: nn.Module, name: str, rate: float) -> None:
    """Sets every dropout but those of auxiliary heads, which the paper gives a rate of their own."""
    found = [m for path, m in net.named_modules() if isinstance(m, nn.Dropout) and not path.startswith("aux")]
    if not found and rate > 0:
        raise UserError(f"model.dropout is {rate:g} but '{name}' has no dropout; set model.dropout=null")
    for module in found:
        module.p = rate

"""Networks of timm, made to suit the pictures and classes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from fovea.core.errors import UserError
from fovea.models.least_size import check_size
from fovea.models.stems import set_stem

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig

# Networks that have a name of their own here.
NAMES = {"efficientnet_lite0": "tf_efficientnet_lite0"}


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> nn.Module:
    """The network of a configuration; see `fovea.models.registry.create`."""
    make = partial(_make, model, channels=channels, num_classes=num_classes)
    net = make(image_size)
    if model.library == "timm":
        check_size(net, make, name=model.name, channels=channels, image_size=image_size)
    return net


def _make(model: ModelConfig, image_size: int, *, channels: int, num_classes: int) -> nn.Module:
    import timm

    name = NAMES[model.name] if model.library == "fovea" else model.name
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": channels}
    if model.dropout is not None:
        options["drop_rate"] = model.dropout
    try:
        published = timm.models.get_pretrained_cfg(name)
        if published is not None and published.fixed_input_size:
            options["img_size"] = image_size
        net: nn.Module = timm.create_model(name, pretrained=False, **options)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise UserError(f"timm cannot make '{name}' with {_shown(options)}: {reason}") from error
    set_stem(net, model, image_size)
    return net


def _shown(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items())

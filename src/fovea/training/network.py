"""From config to a network that takes pictures."""

from __future__ import annotations

from functools import partial

import torch

from fovea.config.schema import DataConfig, ModelConfig
from fovea.models import weights
from fovea.models.matching import Matching, load, match
from fovea.models.normalize import NormalizedNet
from fovea.models.registry import create


def build_network(model: ModelConfig, data: DataConfig) -> NormalizedNet:
    """The named network, with new weights, behind its normalisation: that of the model where it names one.

    Takes pictures [B, C, H, W] of 0..255, gives logits [B, classes]. Initial weights follow torch's global seed.

    Raises:
        UserError: The model is unknown or does not fit the data.
    """
    net = create(model, channels=data.channels, num_classes=data.num_classes, image_size=data.image_size)
    return NormalizedNet(net, *weights.normalization(model, data))


def check_network(model: ModelConfig, data: DataConfig) -> None:
    """Refuses what `build_network` and `load_first_weights` would refuse, at a fraction of their cost.

    Raises:
        UserError: The model is unknown or does not fit the data, or the weights do not fit the model.
        RunError: Published weights can be had nowhere.
    """
    build = partial(create, model, channels=data.channels, num_classes=data.num_classes, image_size=data.image_size)
    try:
        with torch.device("meta"):
            net = build()
    except NotImplementedError:  # torchvision's RegNet asks tensors for their numbers while it is built
        net = build()
    found = weights.find(model)
    if found is not None:
        match(net, found)


def load_first_weights(network: NormalizedNet, model: ModelConfig) -> Matching | None:
    """Puts the weights that `model.weights` asks for into a network that was just built; None where it asks for none.

    Raises:
        UserError: They are missing, damaged, hold code, or belong to another network.
        RunError: Published ones can be had nowhere.
    """
    found = weights.find(model)
    return None if found is None else load(network.net, found)

"""From config to a network that takes pictures."""

from __future__ import annotations

from fovea.config.schema import DataConfig, ModelConfig
from fovea.models.normalize import NormalizedNet
from fovea.models.registry import create


def build_network(model: ModelConfig, data: DataConfig) -> NormalizedNet:
    """The named network behind its normalisation.

    Takes pictures [B, C, H, W] of 0..255, gives logits [B, classes]. Initial weights follow torch's global seed.

    Raises:
        UserError: The model is unknown or does not fit the data.
    """
    net = create(model, channels=data.channels, num_classes=data.num_classes, image_size=data.image_size)
    return NormalizedNet(net, data.mean, data.std)

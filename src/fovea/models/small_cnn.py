"""A small network for photographs of 64 to 128 pixels, to be trained from scratch on some thousands of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig

_WIDTHS = (32, 64, 128, 256)


class SmallCnn(nn.Module):
    """Four blocks of 3x3 convolution, batch norm, ReLU and 2x2 pool (32, 64, 128, 256 channels), then their mean.

    The mean over each map (Lin, Chen and Yan 2014, section 3.2) in place of a hidden layer keeps it at 389,410
    parameters at 3 channels and 2 classes, whatever the size of the pictures.

    Args:
        channels: Channels of the pictures, at least 16 pixels high and wide.
        num_classes: Outputs.
        dropout: Probability with which an input of the linear layer is left out in training.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        pairs = zip((channels, *_WIDTHS), _WIDTHS, strict=False)
        self.features = nn.Sequential(*(layer for pair in pairs for layer in _block(*pair)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(_WIDTHS[-1], num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, H, W] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.pool(self.features(images)))
        return logits


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2)]


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> SmallCnn:
    """The network of a configuration; see `fovea.models.registry.create`."""
    return SmallCnn(channels, num_classes, dropout=0.2 if model.dropout is None else model.dropout)

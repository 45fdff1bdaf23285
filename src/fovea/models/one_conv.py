"""One convolution, one pool: the least network that can be called convolutional, and what its pool is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig


class OneConv(nn.Module):
    """A 3x3 convolution of 32 channels, a 2x2 pool, 128 hidden units.

    At 64x64x3 and 2 classes it has 4,195,586 parameters; without the pool, which has none itself, the hidden layer
    would see four times as many values and the network have 16,778,498.

    Args:
        channels: Channels of the pictures.
        num_classes: Outputs.
        image_size: Height and width of the pictures, at least 2.
        dropout: Probability with which a hidden unit is left out in training.
        pool: Whether there is a pool.
    """

    def __init__(
        self, channels: int, num_classes: int, image_size: int, dropout: float = 0.0, *, pool: bool = True
    ) -> None:
        super().__init__()
        size = image_size // 2 if pool else image_size
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            *([nn.MaxPool2d(2)] if pool else []),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(32 * size * size, 128),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(128, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, image_size, image_size] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> OneConv:
    """The network of a configuration; see `fovea.models.registry.create`."""
    return OneConv(channels, num_classes, image_size, dropout=0.0 if model.dropout is None else model.dropout)

"""The two-convolution net of TensorFlow's "Deep MNIST for experts" tutorial (2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig


class TfMnist(nn.Module):
    """Convolutions of 32 and 64 channels (5x5, padded to keep the size), each with a 2x2 pool, then 1,024 units.

    3,274,634 parameters at 28x28x1 and 10 classes.

    Args:
        channels: Channels of the pictures.
        num_classes: Outputs.
        image_size: Height and width of the pictures, at least 4.
        dropout: Probability with which one of the 1,024 units is left out in training.
    """

    def __init__(self, channels: int, num_classes: int, image_size: int, dropout: float = 0.5) -> None:
        super().__init__()
        size = image_size // 2 // 2
        self.features = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * size * size, 1024),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(1024, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, image_size, image_size] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> TfMnist:
    """The network of a configuration; see `fovea.models.registry.create`."""
    return TfMnist(channels, num_classes, image_size, dropout=0.5 if model.dropout is None else model.dropout)

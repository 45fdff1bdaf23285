"""Six 3x3 convolutions for small pictures (Saitoh, Deep Learning from Scratch, 2016, section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig


class DeepMnist(nn.Module):
    """Pairs of 3x3 convolutions of 16, 32 and 64 channels, a 2x2 pool after each pair, then 50 units.

    The fourth convolution is padded by 2, so that 28 pixels become 14, 16, 8 and 4: 123,552 parameters at 28x28x1 and
    10 classes. The book also drops outputs in training; this net does not.

    Args:
        channels: Channels of the pictures.
        num_classes: Outputs.
        image_size: Height and width of the pictures, at least 4.
        dropout: Probability with which one of the 50 units is left out in training.
    """

    def __init__(self, channels: int, num_classes: int, image_size: int, dropout: float = 0.5) -> None:
        super().__init__()
        size = (image_size // 2 + 2) // 2 // 2
        self.features = nn.Sequential(
            *_pair(channels, 16, padding=1),
            *_pair(16, 32, padding=2),
            *_pair(32, 64, padding=1),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * size * size, 50),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(50, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, image_size, image_size] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _pair(inputs: int, outputs: int, *, padding: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=padding),
        nn.ReLU(),
        nn.MaxPool2d(2),
    ]


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> DeepMnist:
    """The network of a configuration; see `fovea.models.registry.create`."""
    return DeepMnist(channels, num_classes, image_size, dropout=0.5 if model.dropout is None else model.dropout)

"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, section II.B) in its usual ReLU and max-pool form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from fovea.models.arithmetic import output_size

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig


class LeNet5(nn.Module):
    """Convolutions of 6 and 16 channels (5x5), each with a 2x2 pool, then 120, 84 and `num_classes` units.

    The paper shows 28x28 digits on a field of 32x32. Pictures below 32 pixels are therefore padded by 2, others are
    not: 28 and 32 pixels give the same layers. 61,706 parameters at 28x28x1 and 10 classes.

    Args:
        channels: Channels of the pictures.
        num_classes: Outputs.
        image_size: Height and width of the pictures, at least 12.
        dropout: Probability with which a hidden unit of the last two layers is left out in training.
    """

    def __init__(self, channels: int, num_classes: int, image_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        padding = 2 if image_size < 32 else 0
        size = output_size(image_size, 5, padding=padding) // 2
        size = output_size(size, 5) // 2
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, 5, padding=padding),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * size * size, 120),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(84, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, image_size, image_size] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> LeNet5:
    """The network of a configuration; see `fovea.models.registry.create`."""
    return LeNet5(channels, num_classes, image_size, dropout=0.0 if model.dropout is None else model.dropout)

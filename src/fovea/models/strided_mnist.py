"""Five convolutions with batch norm, the first with a stride: networks for high accuracy on handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig

_VARIANTS: dict[str, tuple[tuple[int, int, int], int]] = {
    "best_mnist": ((32, 64, 128), 3),
    "small_mnist": ((32, 48, 96), 3),
    "small_mnist_5x5": ((24, 32, 48), 5),
}
"""Widths and kernel of each network of the family, by name."""


class StridedMnist(nn.Module):
    """A 5x5 convolution of stride 2, then two pairs of convolutions, a 2x2 pool in each pair; one linear layer.

    Each convolution is followed by batch norm and ReLU. The work per picture is spent at 14 and 7 pixels, where a
    processor is fast, and pooling comes before the norm, which then has a quarter of the values to read.

    At 28x28x1 and 10 classes: 289,642 parameters with widths (32, 64, 128) and kernels of 3, 169,066 with
    (32, 48, 96) and 3, 146,098 with (24, 32, 48) and 5.

    Args:
        channels: Channels of the pictures.
        num_classes: Outputs.
        image_size: Height and width of the pictures, at least 7.
        widths: Channels of the first convolution and of each pair.
        kernel: Side of the kernels in the pairs.
        dropout: Probability with which an input of the linear layer is left out in training.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        image_size: int,
        widths: tuple[int, int, int] = (32, 64, 128),
        kernel: int = 3,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        first, second, third = widths
        size = (image_size + 1) // 2 // 2 // 2
        self.features = nn.Sequential(
            *_convolution(channels, first, 5, stride=2),
            *_convolution(first, second, kernel),
            *_convolution(second, second, kernel, pool=True),
            *_convolution(second, third, kernel),
            *_convolution(third, third, kernel, pool=True),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(third * size * size, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, image_size, image_size] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, pool: bool = False) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    pools = [nn.MaxPool2d(2)] if pool else []
    return [convolution, *pools, nn.BatchNorm2d(outputs), nn.ReLU()]


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> StridedMnist:
    """The network of a configuration; see `fovea.models.registry.create`."""
    widths, kernel = _VARIANTS[model.name]
    dropout = 0.3 if model.dropout is None else model.dropout
    return StridedMnist(channels, num_classes, image_size, widths, kernel, dropout)

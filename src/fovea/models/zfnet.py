"""ZFNet (Zeiler and Fergus 2014): AlexNet with a finer first layer, found by looking at what it had learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from fovea.config.schema import ModelConfig


class ZfNet(nn.Module):
    """The network of figure 3: 96 kernels of 7x7 with stride 2, where AlexNet has 11x11 with stride 4.

    Maps of 110, 55, 26, 13 and 6 pixels out of 224, and 62,357,608 parameters at 3 channels and 1,000 classes. What the
    figure leaves open is chosen so that its sizes come out: padding of 1 in the first convolution and in the first two
    pools. Two things differ from the paper: there is no contrast normalisation, which has been found to cost time and
    bring nothing (Simonyan and Zisserman 2015, section 4.1), and the last maps are averaged to 6x6, which is no change
    at 224 pixels and lets other sizes in.

    Args:
        channels: Channels of the pictures.
        num_classes: Outputs.
        dropout: Probability with which an input of the two hidden linear layers is left out in training.
    """

    def __init__(self, channels: int, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 96, 7, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(96, 256, 5, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 384, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised pictures [B, channels, H, W] to logits [B, num_classes]."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)))
        return logits


def build(model: ModelConfig, *, channels: int, num_classes: int, image_size: int) -> ZfNet:
    """The network of a configuration; see `fovea.models.registry.create`."""
    return ZfNet(channels, num_classes, dropout=0.5 if model.dropout is None else model.dropout)

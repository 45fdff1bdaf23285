"""Normalisation as the first step of the network, so that bytes travel to the device and weights carry their scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NormalizedNet(nn.Module):
    """A network that takes raw pixels: ``net((pixels / 255 - mean) / std)`` in one multiplication and one addition.

    Args:
        net: A module from normalised float pictures [B, C, H, W] to logits [B, K].
        mean: Mean of each channel, of pixels in 0..1.
        std: Standard deviation of each channel, of pixels in 0..1.

    Raises:
        ValueError: The lengths differ, or a deviation is not positive.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std, default=0.0) <= 0.0:
            raise ValueError(f"mean {list(mean)} and std {list(std)} must be of equal length, std positive")
        deviation = torch.tensor(std, dtype=torch.float64).view(1, -1, 1, 1)
        self.net = net
        self.register_buffer("scale", (1.0 / (255.0 * deviation)).float())
        self.register_buffer("shift", (-torch.tensor(mean, dtype=torch.float64).view(1, -1, 1, 1) / deviation).float())

    def normalize(self, pixels: Tensor) -> Tensor:
        """Pixels 0..255, uint8 or float [B, C, H, W], to normalised floats of the same shape and memory layout."""
        # In place on the one copy: measured faster than addcmul and than promotion inside the multiplication.
        return pixels.to(self.scale.dtype, copy=True).mul_(self.scale).add_(self.shift)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels 0..255, uint8 or float [B, C, H, W], to logits [B, K]."""
        logits: Tensor = self.net(self.normalize(pixels))
        return logits

"""The normalisation of a network as two numbers a channel, for whoever does it outside of the exported file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """Pixels to what the bare network takes: ``pixels * scale + shift``.

    Attributes:
        scale: A number a channel, 1 / (255 std).
        shift: A number a channel, -mean / std.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]

    @classmethod
    def of(cls, network: Any) -> Scaling:
        """That of a `fovea.models.normalize.NormalizedNet`, to the bit."""
        return cls(tuple(network.scale.flatten().tolist()), tuple(network.shift.flatten().tolist()))

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels [B, C, H, W] of 0..255, normalised, in the same order."""
        scale, shift = (np.array(one, np.float32).reshape(1, -1, 1, 1) for one in (self.scale, self.shift))
        scaled: NDArray[np.float32] = pixels.astype(np.float32) * scale + shift
        return scaled

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

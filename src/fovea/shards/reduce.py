"""Makes large pictures smaller when they are packed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.pictures.turn import turned


def reduce(pixels: NDArray[np.uint8], turn: int, short_side: int, quality: int) -> tuple[bytes, int, int, int]:
    """A picture with a smaller short side, upright, as a JPEG file.

    Args:
        pixels: uint8 of shape [H, W, C], C 1 or 3, before its turn.
        turn: EXIF orientation, 1 to 8, that is applied to it.
        short_side: In pixels, smaller than that of the picture.
        quality: Of the JPEG, 1 to 100.

    Returns:
        The file, its height and width, and the turn that is left: 1.
    """
    import cv2
    import simplejpeg

    height, width = pixels.shape[:2]
    factor = short_side / min(height, width)
    size = max(short_side, round(width * factor)), max(short_side, round(height * factor))
    smaller: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    image = np.ascontiguousarray(turned(smaller.reshape(size[1], size[0], -1), turn))
    colours: dict[str, Any] = {"colorspace": "RGB", "colorsubsampling": "420", "fastdct": False}
    if image.shape[2] == 1:
        colours = {"colorspace": "GRAY", "colorsubsampling": "Gray", "fastdct": False}
    return simplejpeg.encode_jpeg(image, quality, **colours), image.shape[0], image.shape[1], 1

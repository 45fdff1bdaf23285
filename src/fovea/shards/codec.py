"""Encoded pictures to pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def decode(data: bytes | NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """The pixels of a PNG or JPEG file.

    Args:
        data: The file's bytes.
        channels: 1 for grey, 3 for RGB; a file of another mode is converted.

    Returns:
        uint8 of shape [H, W, channels].

    Raises:
        ValueError: The bytes are no picture that can be decoded.
    """
    import cv2

    flags: Any = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    buffer = np.frombuffer(data, np.uint8)
    try:
        image = cv2.imdecode(buffer, flags) if len(buffer) else None
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if image is None:
        raise ValueError("not a picture that can be decoded")
    return np.asarray(image, np.uint8).reshape(*image.shape[:2], channels)

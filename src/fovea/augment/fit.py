"""From a picture of any size to the network's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]


def fit(image: Image, image_size: int) -> Image:
    """The centre of a picture, its short side resized to `image_size` and what remains of the long side cut off.

    Averages over areas when it shrinks, so that fine patterns do not turn into false ones; linear when it grows.

    Args:
        image: uint8 [H, W, C]; never changed, and given back as it is where it has the size.
        image_size: Height and width that are wanted, in pixels.

    Returns:
        uint8 [image_size, image_size, C].
    """
    height, width, channels = image.shape
    if height == width == image_size:
        return image
    import cv2

    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    # Cut first: the long side's ends need no resizing.
    square = image[top : top + short, left : left + short]
    if short != image_size:
        method = cv2.INTER_AREA if short > image_size else cv2.INTER_LINEAR
        square = np.asarray(cv2.resize(square, (image_size, image_size), interpolation=method), np.uint8)
    return square.reshape(image_size, image_size, channels)

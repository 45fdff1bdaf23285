"""Decoding of pictures that are known to be whole: the hot path of the loader."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.pictures.jpeg import is_harmless, walk
from fovea.pictures.turn import UPRIGHT, turned

REDUCTIONS = (8, 4, 2)
"""By what a JPEG may be decoded smaller, the largest first."""


def decode(
    data: bytes | memoryview | NDArray[np.uint8],
    channels: int,
    *,
    turn: int = UPRIGHT,
    least_side: int | None = None,
    fast: bool = False,
) -> NDArray[np.uint8]:
    """A picture, uint8 [H, W, channels], C-contiguous.

    Args:
        data: What `fovea.pictures.examine` packed: a JPEG, PNG or WEBP file of 8-bit grey or RGB.
        channels: 1 grey (ITU-R BT.601), 3 RGB.
        turn: The EXIF orientation that the picture is to be turned upright from, 1 to 8. That of the file is not read.
        least_side: A JPEG is decoded at a half, a quarter or an eighth if its short side is at least as long then; it
            costs a fraction.
        fast: Colours and pixels of a JPEG a little less exact and about a tenth faster.

    Raises:
        ValueError: It is cut or damaged, or of another kind.
    """
    if bytes(data[:2]) == b"\xff\xd8":
        image = _jpeg(data, "GRAY" if channels == 1 else "RGB", least_side, fast)
    else:
        image = _other(data, channels)
    return turned(image, turn)


def _jpeg(data: Any, colours: str, least_side: int | None, fast: bool) -> NDArray[np.uint8]:
    import simplejpeg

    scale = {} if least_side is None else _scale(data, least_side)
    try:
        image: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colours, fast, fast, **scale)
    except ValueError as error:
        if not is_harmless(str(error), len(data)):
            raise
        image = simplejpeg.decode_jpeg(data, colours, fast, fast, strict=False, **scale)
    return image


def _scale(data: Any, least_side: int) -> dict[str, int]:
    height, width = _sides(data)
    short = min(height, width)
    factor = next((factor for factor in REDUCTIONS if -(-short // factor) >= least_side), 1)
    if factor == 1:
        return {}
    return {"min_height": -(-height // factor), "min_width": -(-width // factor), "min_factor": factor}


def _sides(data: Any) -> tuple[int, int]:
    import simplejpeg

    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=False)
    except KeyError:  # it has no name for some ways to store colours, such as 4:4:1, that its decoder reads
        header = walk(bytes(data))
        height, width = header.height, header.width
    return height, width


def _other(data: Any, channels: int) -> NDArray[np.uint8]:
    import cv2

    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ValueError(f"a picture that OpenCV refuses: {error}") from None
    if image is None:
        raise ValueError("a picture that OpenCV cannot decode")
    found: NDArray[np.uint8] = image.reshape(*image.shape[:2], channels)
    return found

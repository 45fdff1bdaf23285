"""How a camera was held: the orientation that EXIF data tell of, and pictures turned upright."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
_ORIENTATION = 0x0112
# The standard's type for it, and one that some write instead.
_TYPES = {3: "H", 4: "L"}


def exif_turn(block: bytes) -> int:
    """The orientation, 1 to 8, within the EXIF data of a JPEG or PNG file; 1 where they tell of none.

    Args:
        block: The TIFF structure of the EXIF data, without the ``Exif`` before it.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return UPRIGHT
    try:
        (first,) = struct.unpack_from(order + "L", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, first)
        for entry in range(first + 2, min(first + 2 + 12 * entries, len(block) - 11), 12):
            tag, kind, count = struct.unpack_from(order + "HHL", block, entry)
            if tag == _ORIENTATION and kind in _TYPES and count == 1:
                (turn,) = struct.unpack_from(order + _TYPES[kind], block, entry + 8)
                return int(turn) if UPRIGHT <= turn <= 8 else UPRIGHT
    except struct.error:
        pass
    return UPRIGHT


def swaps_sides(turn: int) -> bool:
    """Whether the height becomes the width."""
    return turn >= 5


def turned(image: NDArray[np.uint8], turn: int) -> NDArray[Any]:
    """A picture as it was seen, C-contiguous: the picture itself where it is upright.

    Args:
        image: uint8 [H, W] or [H, W, C].
        turn: The EXIF orientation, 1 to 8 (Exif 2.32, 4.6.4).
    """
    if turn == UPRIGHT:
        return image
    if swaps_sides(turn):
        image = image.swapaxes(0, 1)
    # What remains are mirrorings, of rows, of columns, or of both.
    rows, columns = turn in {3, 4, 7, 8}, turn in {2, 3, 6, 7}
    return np.ascontiguousarray(image[:: -1 if rows else 1, :: -1 if columns else 1])

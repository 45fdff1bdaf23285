"""Hashes that similar pictures share, of a small luma picture."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.pictures.turn import turned

SHOWS_NOTHING = 0
"""The perceptual hash of a picture without contrast, whose bits would be noise."""

# The perceptual hash takes 32 x 32 pixels. A mean over all pixels would cost as much as the decoding, so that they come
# from some hundred rows of some hundred places each. Of 2,000 photographs in six degrees of resizing and compression,
# 99.95 % differed in at most 6 bits from the original; no two that show different things in fewer than 12.
_ROWS, _PLACES, _SIDE, _BITS = 96, 128, 32, 8
# Standard deviation of the luma below which a picture shows nothing.
_LEAST_CONTRAST = 2.0


def appearance(pixels: NDArray[np.uint8], turn: int) -> tuple[int, int, float]:
    """Perceptual hash, difference hash, and mean luma (0 to 255) of a picture.

    The perceptual hash has a bit for each of the 8 x 8 lowest frequencies of the discrete cosine transform but those of
    the first row and column: whether it is above their median (Zauner 2010, "Implementation and benchmarking of
    perceptual image hash functions", 3.2.1). The difference hash has a bit for each of 8 x 8 places: whether it gets
    brighter to the right. Both are 0 where the picture shows nothing; then it is like no other.

    Args:
        pixels: uint8 [H, W, 1 or 3].
        turn: The EXIF orientation that the pixels have yet to be turned from.
    """
    import cv2

    step = max(1, len(pixels) // _ROWS)
    rows: Any = pixels[step // 2 :: step]
    rows = cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY) if pixels.shape[2] == 3 else rows[:, :, 0]
    if rows.shape[1] > _PLACES:
        rows = cv2.resize(rows, (_PLACES, len(rows)), interpolation=cv2.INTER_LINEAR)
    squared: Any = cv2.resize(rows, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    luma = turned(squared, turn)
    mean, deviation = cv2.meanStdDev(luma)
    brightness = float(mean[0, 0])
    if deviation[0, 0] < _LEAST_CONTRAST:
        return SHOWS_NOTHING, SHOWS_NOTHING, brightness
    basis = _cosines()
    frequencies = (basis @ luma.astype(np.float64) @ basis.T).ravel()
    upper_half = frequencies >= np.partition(frequencies, _BITS * _BITS // 2)[_BITS * _BITS // 2]
    steps = cv2.resize(luma, (_BITS + 1, _BITS), interpolation=cv2.INTER_AREA)
    return _number(upper_half), _number(steps[:, 1:] > steps[:, :-1]), brightness


def _number(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.float64]:
    """Rows 1 to 8 of the discrete cosine transform (type II) of 32 values, as whole numbers.

    Sums of these are exact, whatever the order that a processor adds them in: splits follow from the bits.
    """
    order, place = np.arange(1, _BITS + 1)[:, None], np.arange(_SIDE)[None, :]
    whole: NDArray[np.float64] = np.rint(4096 * np.cos(np.pi * order * (2 * place + 1) / (2 * _SIDE)))
    return whole

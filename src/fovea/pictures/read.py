"""The way from the bytes of a file to its pixels: nothing that is cut, damaged or too large gets through."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fovea.pictures import jpeg, pillow, png
from fovea.pictures.decode import decode
from fovea.pictures.header import Header, sniff
from fovea.pictures.reasons import Unusable
from fovea.pictures.turn import UPRIGHT

log = logging.getLogger("fovea.pictures")

# A byte of a photograph makes some twenty pixels, a byte of an empty JPEG or PNG some hundred.
_BOMB_PIXELS_PER_BYTE = 500


@dataclass(frozen=True)
class Limits:
    """What is decoded at most.

    Attributes:
        max_pixels: Width times height.
        max_bytes: Of the encoded file.
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 100_000_000


class Picture(NamedTuple):
    """A picture that is whole.

    Attributes:
        pixels: uint8 [H, W, 1 or 3].
        packed: The bytes to keep, which `fovea.pictures.decode` reads.
        turn: The EXIF orientation that both have yet to be turned from, 1 to 8.
    """

    pixels: NDArray[np.uint8]
    packed: bytes
    turn: int


def read(data: bytes, limits: Limits, header: Header | None = None, *, luma: bool = False) -> Picture:
    """Decodes a picture in full.

    Args:
        data: The file.
        limits: Checked before anything is decoded. Formats that only Pillow reads stop at 178 million pixels anyhow.
        header: What `sniff` said of it, where it was asked already.
        luma: The pixels of a JPEG in colours are its luma alone. All of the file is decoded, and damage is found as
            ever; what is saved, a third of the time, is the upsampling and conversion of its colours.

    Raises:
        Unusable: It is no whole picture.
    """
    try:
        found = header or sniff(data)
        _check_size(found, len(data), limits)
        return _read(data, found, luma)
    except Unusable:
        raise
    except MemoryError:
        raise Unusable("too_large") from None
    # Decoders meet damage that nobody thought of with errors of any type.
    except Exception:
        log.debug("a decoder failed", exc_info=True)
        raise Unusable("damaged") from None


def _check_size(header: Header, size: int, limits: Limits) -> None:
    pixels = header.width * header.height
    if pixels > limits.max_pixels and pixels > _BOMB_PIXELS_PER_BYTE * size:
        raise Unusable("bomb")
    if pixels > limits.max_pixels or size > limits.max_bytes:
        raise Unusable("too_large")


def _read(data: bytes, header: Header, luma: bool) -> Picture:
    if header.format == "JPEG":
        return _jpeg(data, header, luma)
    # Other chunks than those of the pixels make decoders talk, or worse.
    if header.format == "PNG" and (not header.plain or png.has_odd_chunks(data)):
        data = png.essence(data)
    if not header.plain:
        return _converted(data, header)
    if header.format == "WEBP":
        # Alone of the two decoders, Pillow's tells of damage within.
        pillow.converted(data, header.format, UPRIGHT)
    return Picture(decode(data, 1 if header.mode == "L" else 3), data, header.turn)


def _jpeg(data: bytes, header: Header, luma: bool) -> Picture:
    colours = {"L": "GRAY", "RGB": "GRAY" if luma and header.plain else "RGB"}.get(header.mode, header.mode)
    try:
        pixels, kept = jpeg.decode_strictly(data, colours)
    except jpeg.UnknownSampling:
        jpeg.require_end(data)
    else:
        if header.plain:
            return Picture(pixels, kept, header.turn)
    return _converted(data, header)


def _converted(data: bytes, header: Header) -> Picture:
    pixels = pillow.converted(data, header.format, header.turn)
    return Picture(pixels, pillow.packed(pixels), UPRIGHT)

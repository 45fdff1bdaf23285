"""One look at an encoded picture: is it whole, what is it, what is kept of it, what does it look like."""

from __future__ import annotations

from dataclasses import dataclass

from fovea.pictures.hashes import appearance
from fovea.pictures.header import Header, named_format, sniff
from fovea.pictures.read import Limits, read
from fovea.pictures.reasons import Reason, Unusable
from fovea.pictures.turn import UPRIGHT, swaps_sides


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about a picture.

    Attributes:
        reason: Why it cannot be used, or None. Then there is nothing to keep, and what is unknown is empty or 0.
        format: What the bytes are: ``JPEG``, ``PNG``...; empty where they are no picture.
        named_as: The format that its name speaks of; empty where it speaks of none.
        mode: Pillow's word for the colours, as stored.
        width: In pixels, of the upright picture.
        height: In pixels, of the upright picture.
        turn: The EXIF orientation of `packed`, 1 to 8: how it is yet to be turned.
        converted: Whether `packed` is not the file itself.
        channels: Of `packed`: 1 grey, 3 colours; 0 where there is nothing.
        packed: The bytes to keep: the file itself, or a lossless PNG of the converted and upright picture.
        phash: Perceptual hash of the upright picture, 0 where it shows nothing.
        dhash: Difference hash of the upright picture.
        brightness: Mean luma, 0 to 255.
    """

    reason: Reason | None
    format: str
    named_as: str
    mode: str
    width: int
    height: int
    turn: int
    converted: bool
    channels: int
    packed: bytes
    phash: int
    dhash: int
    brightness: float


def examine(data: bytes, name: str, limits: Limits) -> Examined:
    """Decodes a picture in full and tells what it is. Whatever the bytes are, an answer comes and no error.

    Args:
        data: The file.
        name: Its name; only the end matters.
        limits: Checked before anything is decoded.
    """
    named_as, header = named_format(name), None
    try:
        header = sniff(data)
        pixels, packed, turn = read(data, limits, header, luma=True)
    except Unusable as unusable:
        return _refused(unusable.reason, header, named_as)
    height, width = pixels.shape[1::-1] if swaps_sides(turn) else pixels.shape[:2]
    phash, dhash, brightness = appearance(pixels, turn)
    return Examined(
        reason=None,
        format=header.format,
        named_as=named_as,
        mode=header.mode,
        width=width,
        height=height,
        turn=turn,
        converted=packed is not data,
        channels=3 if header.plain and header.mode == "RGB" else pixels.shape[2],
        packed=packed,
        phash=phash,
        dhash=dhash,
        brightness=brightness,
    )


def _refused(reason: Reason, header: Header | None, named_as: str) -> Examined:
    known = header or Header("", 0, 0, "", UPRIGHT, plain=False)
    width, height = (known.height, known.width) if swaps_sides(known.turn) else (known.width, known.height)
    return Examined(reason, known.format, named_as, known.mode, width, height, known.turn, False, 0, b"", 0, 0, 0.0)

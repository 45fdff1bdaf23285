"""JPEG files: their header by a walk over the markers, and a decoding that tells harmless oddities from damage.

ITU-T T.81 describes the markers. The decoder is libjpeg-turbo, whose warnings are the only sign of damaged pixels:
there are no checksums.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fovea.pictures.reasons import Unusable
from fovea.pictures.turn import UPRIGHT, exif_turn

_SOI, _EOI, _SOS, _APP0, _APP1 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1
# Baseline, extended and progressive, with Huffman and with arithmetic coding. The rest is lossless or hierarchical.
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_PROGRESSIVE = frozenset({0xC2, 0xCA})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Restart markers, start of image and TEM have no content.
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
# Encoders make about ten scans. Each costs a pass over all pixels, so that a small file can ask for hours.
_MOST_SCANS = 100
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
# With more than this part of the file left over, the picture is not the one that was encoded.
_HARMLESS_REST = 0.25


class JpegHeader(NamedTuple):
    """What stands before the pixels.

    Attributes:
        width: In pixels, as stored.
        height: In pixels, as stored.
        components: 1 grey, 3 colours, 4 inks.
        turn: EXIF orientation.
    """

    width: int
    height: int
    components: int
    turn: int


def walk(data: bytes) -> JpegHeader:
    """The header of a file that begins like a JPEG.

    Raises:
        Unusable: There is no whole header, or a kind of JPEG that is not decoded.
    """
    frame, turn = None, UPRIGHT
    for marker, start, end in _segments(data):
        if marker == _APP1 and turn == UPRIGHT and data[start : start + 6] == b"Exif\0\0":
            turn = exif_turn(data[start + 6 : end])
        elif marker in _FRAMES and frame is None:
            frame = _frame(data, marker, start, end)
    if frame is None:
        raise Unusable("damaged")
    return JpegHeader(*frame, turn)


def decode_strictly(data: bytes, colours: str) -> tuple[NDArray[Any], bytes]:
    """The pixels of a file, and the bytes to keep of it, which decode to them without a warning that hides another one.

    Kept are pictures with bytes left over before the end marker, of which all pixels have been read by then. Bytes
    between the parts of the header, and versions of it that do not exist, are mended.

    Args:
        data: The file.
        colours: ``RGB``, ``GRAY`` or ``CMYK``.

    Raises:
        Unusable: It is cut or damaged.
        UnknownSampling: This decoder cannot tell.
    """
    import simplejpeg

    try:
        return simplejpeg.decode_jpeg(data, colours, strict=True), data
    except ValueError as error:
        message = str(error)
    if "subsampling" in message:
        raise UnknownSampling
    if is_harmless(message, len(data)):
        return simplejpeg.decode_jpeg(data, colours, strict=False), data
    # Only the first warning is told, so that one about the header would hide those about the pixels.
    better = _mended(data) if "extraneous" in message or "revision" in message else data
    if better != data:
        return decode_strictly(better, colours)
    require_end(data)
    raise Unusable("truncated" if "premature end" in message.lower() else "damaged")


def require_end(data: bytes) -> None:
    """Looks for the end marker.

    Raises:
        Unusable: There is none: the file is cut.
    """
    *_, (_, _, end) = _segments(data)
    if data.find(b"\xff\xd9", end) < 0:
        raise Unusable("truncated")


def is_harmless(message: str, size: int) -> bool:
    """Whether a warning says that all pixels were read and only some bytes of the file's `size` were left over."""
    found = _EXTRANEOUS.search(message)
    return found is not None and int(found[1]) <= _HARMLESS_REST * size


class UnknownSampling(Exception):  # noqa: N818
    """The colours are stored at sizes that the fast decoder does not know."""


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of each part of the header, until the first scan."""
    position, size = 2, len(data)
    while True:
        position = data.find(b"\xff", position)
        while 0 <= position < size and data[position] == 0xFF:
            position += 1
        if position < 0 or position + 2 >= size:
            raise Unusable("truncated")
        marker = data[position]
        position += 1
        if marker in _BARE or marker == 0:
            continue
        if marker == _EOI:
            raise Unusable("damaged")
        end = position + (data[position] << 8) + data[position + 1]
        if end < position + 2:
            raise Unusable("damaged")
        if end > size:
            raise Unusable("truncated")
        yield marker, position + 2, end
        if marker == _SOS:
            return
        position = end


def _frame(data: bytes, marker: int, start: int, end: int) -> tuple[int, int, int]:
    if end - start < 6:
        raise Unusable("damaged")
    if marker not in _DECODABLE or data[start] != 8:
        raise Unusable("unsupported")
    height, width = (data[start + 1] << 8) + data[start + 2], (data[start + 3] << 8) + data[start + 4]
    if not height or not width:
        raise Unusable("damaged")
    if marker in _PROGRESSIVE and data.count(b"\xff\xda") > _MOST_SCANS:
        raise Unusable("bomb")
    return width, height, data[start + 5]


def _mended(data: bytes) -> bytes:
    parts, end = [b"\xff\xd8"], 2
    for marker, start, end in _segments(data):
        content = data[start:end]
        if marker == _APP0 and content[:5] == b"JFIF\0" and content[5:6] not in {b"\1", b"\2"}:
            content = content[:5] + b"\1\1" + content[7:]
        parts += [bytes([0xFF, marker]), data[start - 2 : start], content]
    return b"".join(parts) + data[end:]

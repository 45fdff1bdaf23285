"""PNG files: a walk over their chunks that checks every checksum (W3C PNG, third edition, section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from fovea.pictures.reasons import Unusable
from fovea.pictures.turn import UPRIGHT, exif_turn

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_HEADER = struct.Struct(">LLBBBBB")


class PngHeader(NamedTuple):
    """What the chunks tell.

    Attributes:
        width: In pixels, as stored.
        height: In pixels, as stored.
        mode: Pillow's word for the colours, with ``;16`` or ``;1`` for the depth where it is not 8.
        turn: EXIF orientation.
        plain: 8-bit grey or RGB, nothing transparent, one frame.
    """

    width: int
    height: int
    mode: str
    turn: int
    plain: bool


def walk(data: bytes) -> PngHeader:
    """The header of a file that begins like a PNG and all of whose chunks are whole.

    Raises:
        Unusable: It is cut, a checksum is wrong, or it has no header.
    """
    header, turn, special, pixels = None, UPRIGHT, False, False
    for name, content in _chunks(data):
        if name == b"IHDR" and header is not None:
            raise Unusable("damaged")  # decoders make room for what the first one says
        if name == b"IHDR" and len(content) == _HEADER.size:
            header = _HEADER.unpack(content)
        elif name == b"eXIf":
            turn = exif_turn(bytes(content))
        special = special or name in {b"tRNS", b"acTL"}
        pixels = pixels or name == b"IDAT"
    if header is None or not pixels or header[3] not in _MODES or not header[0] or not header[1]:
        raise Unusable("damaged")
    width, height, depth, colours = header[:4]
    mode = _MODES[colours] + ("" if depth == 8 else f";{depth}")
    return PngHeader(width, height, mode, turn, mode in {"L", "RGB"} and not special)


def essence(data: bytes) -> bytes:
    """A PNG of the same pixels, without the chunks that do not matter to them."""
    needed = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
    parts = [SIGNATURE]
    for name, content in _chunks(data):
        if name in needed:
            checksum = zlib.crc32(content, zlib.crc32(name))
            parts += [struct.pack(">L", len(content)), name, bytes(content), struct.pack(">L", checksum)]
    return b"".join(parts)


def has_odd_chunks(data: bytes) -> bool:
    """Whether there is a chunk that OpenCV's decoder checks and complains of on the terminal."""
    return any(name in data for name in (b"iCCP", b"eXIf"))


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, position, size = memoryview(data), len(SIGNATURE), len(data)
    while position + 12 <= size:
        (length,) = struct.unpack_from(">L", data, position)
        end = position + 8 + length
        if end + 4 > size:
            break
        if zlib.crc32(view[position + 4 : end]) != struct.unpack_from(">L", data, end)[0]:
            raise Unusable("damaged")
        name = data[position + 4 : position + 8]
        yield name, view[position + 8 : end]
        if name == b"IEND":
            return
        position = end + 4
    raise Unusable("truncated")

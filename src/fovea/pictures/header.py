"""What an encoded picture is, told from its first bytes and not from its name."""

from __future__ import annotations

from typing import NamedTuple

from fovea.pictures import jpeg, pillow, png
from fovea.pictures.reasons import Unusable

JPEG_START = b"\xff\xd8\xff"
_PILLOW = (
    ("GIF", 0, (b"GIF87a", b"GIF89a")),
    ("BMP", 0, (b"BM",)),
    ("TIFF", 0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    ("WEBP", 8, (b"WEBP",)),
    ("PPM", 0, tuple(b"P" + bytes([digit]) + space for digit in b"123456" for space in (b"\n", b" ", b"\t", b"\r"))),
)
_UNSUPPORTED = (
    # PDF, PostScript, Photoshop, GIMP, DjVu, XPM.
    (0, (b"%PDF-", b"%!PS", b"8BPS", b"gimp xcf", b"AT&TFORM", b"/* XPM */")),
    # Icons, JPEG XL, JPEG 2000, PAM, PFM, QOI, DDS, OpenEXR, FITS, MNG, Matroska.
    (0, (b"\0\0\1\0", b"\xff\x0a", b"\xff\x4f\xff\x51", b"P7\n", b"PF\n", b"Pf\n", b"qoif", b"DDS ")),
    (0, (b"\x76\x2f\x31\x01", b"SIMPLE  =", b"\x8aMNG", b"\x1aE\xdf\xa3")),
    # HEIC, AVIF, MP4, JPEG 2000, JPEG XL, QuickTime, AVI.
    (4, (b"ftyp", b"jP  ", b"JXL ", b"moov", b"mdat")),
    (8, (b"AVI ",)),
)
_SUFFIXES = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "PNG": ("png", "apng"),
    "GIF": ("gif",),
    "BMP": ("bmp", "dib"),
    "TIFF": ("tif", "tiff"),
    "WEBP": ("webp",),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
}
_NAMED = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes}
SUFFIXES = frozenset(f".{suffix}" for suffix in _NAMED)
"""Ends of the names of picture files, in lower case."""


class Header(NamedTuple):
    """What a picture is.

    Attributes:
        format: ``JPEG``, ``PNG``, ``GIF``, ``BMP``, ``TIFF``, ``WEBP`` or ``PPM``.
        width: In pixels, as stored: before the turn.
        height: In pixels, as stored: before the turn.
        mode: Pillow's word for the colours: ``L``, ``RGB``, ``CMYK``, ``P``, ``RGBA``, ``I;16``; of PNG files with the
            depth behind a semicolon where it is not 8 bits.
        turn: The EXIF orientation, 1 to 8.
        plain: Whether the loader gets the right picture out of the bytes as they are: 8-bit grey or RGB.
    """

    format: str
    width: int
    height: int
    mode: str
    turn: int
    plain: bool


def sniff(data: bytes) -> Header:
    """What the bytes of a file are. No pixel is decoded.

    Raises:
        Unusable: It is no picture (``empty``, ``not_an_image``), none that is read (``unsupported``), or its header is
            ``truncated`` or ``damaged``.
    """
    if data[:3] == JPEG_START:
        found = jpeg.walk(data)
        mode = {1: "L", 3: "RGB", 4: "CMYK"}.get(found.components)
        if mode is None:
            raise Unusable("unsupported")
        return Header("JPEG", found.width, found.height, mode, found.turn, mode != "CMYK")
    if not data:
        raise Unusable("empty")
    if data[:8] == png.SIGNATURE:
        return Header("PNG", *png.walk(data))
    name = _magic(data)
    if name == "WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        raise Unusable("truncated")
    return Header(name, *pillow.describe(data, name))


def named_format(name: str) -> str:
    """The format that the end of a file's name speaks of, or nothing."""
    return _NAMED.get(name.rpartition(".")[2].lower(), "")


def _magic(data: bytes) -> str:
    for name, offset, starts in _PILLOW:
        if data.startswith(starts, offset):
            return name
    if any(data.startswith(starts, offset) for offset, starts in _UNSUPPORTED) or _is_svg(data):
        raise Unusable("unsupported")
    # The first bytes of a format, and no more.
    if len(data) < 12 and any(start.startswith(data) for start in (JPEG_START, png.SIGNATURE, b"GIF89a", b"RIFF")):
        raise Unusable("truncated")
    raise Unusable("not_an_image")


def _is_svg(data: bytes) -> bool:
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith(b"<") and b"<svg" in head

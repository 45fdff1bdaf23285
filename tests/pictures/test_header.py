"""What a file is, told from its bytes."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest

from fovea.pictures.header import SUFFIXES, Header, named_format, sniff
from fovea.pictures.reasons import Unusable


@pytest.mark.parametrize(
    ("kind", "mode", "as_told", "plain"),
    [
        ("JPEG", "RGB", "RGB", True),
        ("JPEG", "L", "L", True),
        ("JPEG", "CMYK", "CMYK", False),
        ("PNG", "RGB", "RGB", True),
        ("PNG", "L", "L", True),
        ("PNG", "1", "L;1", False),
        ("PNG", "P", "P", False),
        ("PNG", "RGBA", "RGBA", False),
        ("PNG", "LA", "LA", False),
        ("WEBP", "RGB", "RGB", True),
        ("GIF", "P", "P", False),
        ("BMP", "RGB", "RGB", False),
        ("TIFF", "CMYK", "CMYK", False),
        ("PPM", "L", "L", False),
    ],
)
def test_the_header_of_every_format(photo: Any, encoded: Any, kind: str, mode: str, as_told: str, plain: bool) -> None:
    assert sniff(encoded(photo(), kind, mode)) == Header(kind, 120, 90, as_told, 1, plain)


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}, {"icc_profile": b"x" * 9}]
)
def test_every_way_to_write_a_jpeg_is_plain(photo: Any, encoded: Any, options: dict[str, Any]) -> None:
    assert sniff(encoded(photo(), "JPEG", **options)) == Header("JPEG", 120, 90, "RGB", 1, True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_size_and_turn_are_those_of_the_stored_picture(photo: Any, encoded: Any, kind: str) -> None:
    found = sniff(encoded(photo(), kind, turn=6))
    assert (found.width, found.height, found.turn) == (120, 90, 6)


def test_a_transparent_colour_or_more_frames_are_not_plain(photo: Any, encoded: Any) -> None:
    assert not sniff(encoded(photo(), "PNG", transparency=(0, 0, 0))).plain
    from PIL import Image

    more = {"save_all": True, "append_images": [Image.fromarray(photo(1))]}
    assert not sniff(encoded(photo(), "PNG", **more)).plain
    assert not sniff(encoded(photo(), "WEBP", **more)).plain


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html><body>404</body></html>", "not_an_image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "not_an_image"),
        (bytes(1000), "not_an_image"),
        (b"PK\3\4" + bytes(100), "not_an_image"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported"),
        (b"%PDF-1.7\n", "unsupported"),
        (b"8BPS\0\1" + bytes(50), "unsupported"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "unsupported"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "unsupported"),
        (b"\xff\xd8\xff", "truncated"),
        (b"\xff\xd8\xff\xe0\0\x10JF", "truncated"),
        (b"\xff\xd8\xff\xd9" + bytes(9), "damaged"),
        (b"\xff\xd8\xff\xda\0\2", "damaged"),
        (b"\xff\xd8\xff\xfe\0\0", "damaged"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (b"\x89PNG", "truncated"),
    ],
)
def test_what_is_no_picture_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable) as caught:
        sniff(data)
    assert caught.value.reason == reason


def frame(marker: int, depth: int = 8, components: int = 3) -> bytes:
    content = bytes([depth, 0, 10, 0, 20, components]) + bytes(3 * components)
    return b"\xff\xd8\xff" + bytes([marker]) + (len(content) + 2).to_bytes(2, "big") + content + b"\xff\xda\0\2"


@pytest.mark.parametrize(
    "file",
    [frame(0xC3), frame(0xC5), frame(0xC1, depth=12), frame(0xC0, components=2)],
    ids=["lossless", "hierarchical", "12 bits", "two colours"],
)
def test_rare_kinds_of_jpeg_are_unsupported(file: bytes) -> None:
    with pytest.raises(Unusable, match="unsupported"):
        sniff(file)


def test_more_scans_than_any_encoder_makes_are_a_bomb() -> None:
    with pytest.raises(Unusable, match="bomb"):
        sniff(frame(0xC2) + b"\xff\xda\0\2" * 1000)


def test_a_checksum_of_any_png_chunk_counts(photo: Any, encoded: Any) -> None:
    file = encoded(photo(), "PNG")
    text = b"tEXtComment\0hello"
    for checksum, kept in ((zlib.crc32(text), True), (1, False)):
        with_text = file[:33] + struct.pack(">L", len(text) - 4) + text + struct.pack(">L", checksum) + file[33:]
        if kept:
            assert sniff(with_text).plain
        else:
            with pytest.raises(Unusable, match="damaged"):
                sniff(with_text)


@pytest.mark.parametrize("place", [33, -12], ids=["before the pixels", "behind them"])
def test_a_second_size_of_a_png_does_not_hide_the_first(photo: Any, encoded: Any, place: int) -> None:
    file = encoded(photo(), "PNG")
    small = b"IHDR" + struct.pack(">LLBBBBB", 1, 1, 8, 2, 0, 0, 0)
    chunk = struct.pack(">L", len(small) - 4) + small + struct.pack(">L", zlib.crc32(small))
    with pytest.raises(Unusable, match="damaged"):
        sniff(file[:place] + chunk + file[place:])


def tiled(side: int) -> bytes:
    """The header of a grey TIFF of 10 x 10 pixels within one tile, which holds nothing."""
    entries = {256: 10, 257: 10, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 134, 325: 0}
    tags = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<LH", 8, len(entries)) + tags + bytes(4)


def test_a_tile_of_a_tiff_that_is_much_larger_than_the_picture_is_a_bomb() -> None:
    found = sniff(tiled(4096))
    assert (found.format, found.width, found.height) == ("TIFF", 10, 10)
    with pytest.raises(Unusable, match="bomb"):
        sniff(tiled(4112))


@pytest.mark.parametrize(
    ("name", "format_"),
    [("a/b.JPEG", "JPEG"), ("a.b.jpg", "JPEG"), ("x.tif", "TIFF"), ("Thumbs.db", ""), ("a.jpg/none", ""), ("", "")],
)
def test_the_format_that_a_name_speaks_of(name: str, format_: str) -> None:
    assert named_format(name) == format_


def test_suffixes_are_those_of_all_formats() -> None:
    assert {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"} <= SUFFIXES
    assert all(named_format("x" + suffix) for suffix in SUFFIXES)

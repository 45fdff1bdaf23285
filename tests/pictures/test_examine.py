"""One look at a picture: whether it is kept, as what, and what it looks like."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from fovea.pictures import Examined, Limits, decode, examine

LIMITS = Limits()


def decoded(found: Examined) -> np.ndarray:
    return decode(found.packed, found.channels)


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize(
    ("kind", "mode", "channels"),
    [("JPEG", "RGB", 3), ("JPEG", "L", 1), ("PNG", "RGB", 3), ("PNG", "L", 1), ("WEBP", "RGB", 3)],
)
@pytest.mark.parametrize("turn", [1, 6])
def test_a_plain_picture_is_kept_as_it_is(
    photo: Any, encoded: Any, kind: str, mode: str, channels: int, turn: int
) -> None:
    file = encoded(photo(), kind, mode, turn=turn)
    found = examine(file, "a.jpg", LIMITS)
    assert (found.reason, found.format, found.named_as, found.mode) == (None, kind, "JPEG", mode)
    assert (found.width, found.height, found.turn) == ((120, 90, 1) if turn == 1 else (90, 120, 6))
    assert decoded(found).shape == (90, 120, channels)
    assert np.array_equal(decode(found.packed, 3, turn=found.turn), by_pillow(file))
    # An EXIF chunk of a PNG is left out, as OpenCV would talk of it.
    assert found.converted == (kind == "PNG" and turn != 1)
    assert found.converted or found.packed is file


@pytest.mark.parametrize(
    ("kind", "mode", "channels"),
    [
        ("JPEG", "CMYK", 3),
        ("PNG", "P", 3),
        ("PNG", "1", 1),
        ("GIF", "P", 3),
        ("GIF", "L", 3),
        ("BMP", "RGB", 3),
        ("BMP", "L", 1),
        ("TIFF", "RGB", 3),
        ("TIFF", "CMYK", 3),
        ("TIFF", "YCbCr", 3),
        ("PPM", "RGB", 3),
    ],
)
def test_an_odd_picture_is_converted_without_loss(
    photo: Any, encoded: Any, kind: str, mode: str, channels: int
) -> None:
    file = encoded(photo(), kind, mode)
    found = examine(file, "a", LIMITS)
    assert (found.reason, found.converted, found.turn, found.named_as) == (None, True, 1, "")
    assert decoded(found).shape == (90, 120, channels)
    assert np.array_equal(decode(found.packed, 3), by_pillow(file))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize(("kind", "mode"), [("TIFF", "RGB"), ("PNG", "P"), ("JPEG", "CMYK")])
def test_a_converted_picture_is_upright(photo: Any, encoded: Any, kind: str, mode: str, turn: int) -> None:
    file = encoded(photo(), kind, mode, turn=turn)
    found, upright = examine(file, "a", LIMITS), by_pillow(file)
    assert (found.height, found.width, found.turn) == (*upright.shape[:2], 1)
    assert np.array_equal(decode(found.packed, 3), upright)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_what_is_transparent_becomes_white(encoded: Any, kind: str, mode: str) -> None:
    pixels = np.zeros((4, 8, 4), np.uint8)
    pixels[:, 4:, 3] = 255
    found = examine(encoded(pixels, kind, mode), "a", LIMITS)
    assert decoded(found)[0, 0].tolist() == [255] * (1 if mode == "LA" else 3)
    assert decoded(found)[0, 7].tolist() == [0] * (1 if mode == "LA" else 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_become_eight(kind: str) -> None:
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    stream = io.BytesIO()
    Image.fromarray(ramp).save(stream, kind)
    found = examine(stream.getvalue(), "a", LIMITS)
    assert np.array_equal(decoded(found)[:, :, 0].ravel(), np.arange(256))


def test_numbers_of_unknown_range_are_unsupported() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.ones((4, 4), np.float32)).save(stream, "TIFF")
    assert examine(stream.getvalue(), "a.tif", LIMITS).reason == "unsupported"


def test_the_first_frame_of_a_film_is_kept(photo: Any, encoded: Any) -> None:
    file = encoded(photo(), "WEBP", save_all=True, append_images=[Image.fromarray(photo(1))], lossless=True)
    found = examine(file, "a.webp", LIMITS)
    assert (found.reason, found.converted) == (None, True)
    assert np.array_equal(decoded(found), photo())


@pytest.mark.parametrize(("part", "reason"), [(0.5, "truncated"), (0.02, "truncated"), (0, "empty")])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_is_refused(photo: Any, encoded: Any, kind: str, part: float, reason: str) -> None:
    file = encoded(photo(), kind)
    found = examine(file[: int(part * len(file))], "a.jpg", LIMITS)
    assert (found.reason, found.packed, found.channels, found.phash) == (reason, b"", 0, 0)


def test_bytes_behind_the_end_do_no_harm(photo: Any, encoded: Any) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        file = encoded(photo(), kind)
        found = examine(file + b"\0" * 1000 + b"<html>", "a", LIMITS)
        assert found.reason is None
        assert np.array_equal(decoded(found), decoded(examine(file, "a", LIMITS)))


def test_bytes_left_over_before_the_end_of_a_jpeg_do_no_harm(photo: Any, encoded: Any) -> None:
    file = encoded(photo(), "JPEG", quality=95)
    longer = file[:-2] + b"\x12" * 200 + file[-2:]
    with pytest.raises(ValueError, match="extraneous bytes"):
        simplejpeg.decode_jpeg(longer)
    found = examine(longer, "a.jpg", LIMITS)
    assert (found.reason, found.converted) == (None, False)
    assert np.array_equal(decoded(found), by_pillow(file))
    assert np.array_equal(decode(found.packed, 3, fast=True).shape, (90, 120, 3))


def test_a_jpeg_most_of_which_is_left_over_is_damaged(photo: Any, encoded: Any) -> None:
    file = encoded(photo(), "JPEG", quality=95)
    at = file.index(b"\xff\xc0") + 5
    shorter = file[:at] + (30).to_bytes(2, "big") + file[at + 2 :]
    assert examine(shorter, "a.jpg", LIMITS).reason == "damaged"


def mended(file: bytes, kind: str) -> bytes:
    if kind == "junk":
        return file[:20] + b"junk" + file[20:]
    return file[:11] + b"\0\0" + file[13:]


@pytest.mark.parametrize("kind", ["junk", "version"])
def test_an_odd_header_of_a_jpeg_is_mended(photo: Any, encoded: Any, kind: str) -> None:
    file = encoded(photo(), "JPEG")
    found = examine(mended(file, kind), "a.jpg", LIMITS)
    assert found.reason is None
    assert np.array_equal(decode(found.packed, 3), by_pillow(file))


@pytest.mark.parametrize("kind", ["junk", "version"])
def test_an_odd_header_of_a_jpeg_hides_no_damage(photo: Any, encoded: Any, kind: str) -> None:
    file = encoded(photo(), "JPEG")
    cut = mended(file, kind)[: -len(file) // 3] + b"\xff\xd9"
    assert examine(cut, "a.jpg", LIMITS).reason == "truncated"


@pytest.mark.parametrize("cut", [False, True])
def test_an_unusual_sampling_is_read_through_pillow(photo: Any, encoded: Any, cut: bool) -> None:
    file = encoded(photo(height=32, width=32), "JPEG", subsampling=0)
    # The second colour is said to have twice the rows of the first, which hardly an encoder does.
    at = file.index(b"\xff\xc0") + 14
    odd = file[:at] + b"\x12" + file[at + 1 :]
    with pytest.raises(ValueError, match="subsampling"):
        simplejpeg.decode_jpeg(odd)
    if cut:
        assert examine(odd[:-2], "a.jpg", LIMITS).reason == "truncated"
    else:
        found = examine(odd, "a.jpg", LIMITS)
        assert (found.reason, found.converted) == (None, True)
        assert np.array_equal(decoded(found), by_pillow(odd))


def header_only(kind: str, side: int) -> bytes:
    """5 kB that promise a square picture."""
    if kind == "BMP":
        size = side.to_bytes(4, "little")
        start = b"BM" + (5000).to_bytes(8, "little") + b"\x36\0\0\0\x28\0\0\0" + size + size + b"\1\0\x18\0"
    elif kind == "GIF":
        size = side.to_bytes(2, "little") * 2
        start = b"GIF89a" + size + b"\0\0\0,\0\0\0\0" + size + b"\0\2"
    else:
        frame = b"\x08" + side.to_bytes(2, "big") * 2 + b"\x03\1\x22\0\2\x11\1\3\x11\1"
        start = b"\xff\xd8\xff\xc0" + (len(frame) + 2).to_bytes(2, "big") + frame + b"\xff\xda\0\2"
    return start.ljust(5000, b"\0")


@pytest.mark.parametrize("kind", ["JPEG", "BMP", "GIF"])
def test_many_pixels_out_of_few_bytes_are_a_bomb(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = examine(header_only(kind, 50_000), "a", LIMITS)
    assert (found.reason, found.format, found.width, found.height) == ("bomb", kind, 50_000, 50_000)


def test_a_png_bomb_is_not_inflated(encoded: Any) -> None:
    file = encoded(np.zeros((4000, 4000), np.uint8), "PNG", "1")
    assert examine(file, "a.png", Limits(max_pixels=1_000_000)).reason == "bomb"


def test_limits_of_pixels_and_bytes(photo: Any, encoded: Any) -> None:
    file = encoded(photo(), "JPEG", turn=6)
    large = examine(file, "a.jpg", Limits(max_pixels=90 * 120 - 1))
    assert (large.reason, large.width, large.height) == ("too_large", 90, 120)
    assert examine(file, "a.jpg", Limits(max_pixels=90 * 120)).reason is None
    assert examine(file, "a.jpg", Limits(max_bytes=len(file) - 1)).reason == "too_large"


def test_a_png_keeps_no_chunk_that_decoders_talk_of(photo: Any, encoded: Any, capfd: Any) -> None:
    file = encoded(photo(), "PNG", icc_profile=b"no profile" * 20)
    found = examine(file, "a.png", LIMITS)
    assert (found.reason, found.converted, b"iCCP" in found.packed) == (None, True, False)
    assert np.array_equal(decode(found.packed, 3), photo())
    assert capfd.readouterr() == ("", "")


def test_brightness_is_the_mean_luma(encoded: Any) -> None:
    pixels = np.zeros((60, 60, 3), np.uint8)
    pixels[:30] = 200
    assert examine(encoded(pixels, "PNG"), "a", LIMITS).brightness == pytest.approx(100, abs=1)


@pytest.mark.realdata
def test_the_real_kinds_of_damage(real_data: Path) -> None:
    folder = real_data / "cats_vs_dogs"
    with (folder / "expected.csv").open() as lines:
        expected = {row["member"]: row["kind"] for row in csv.DictReader(lines)}
    refused = {}
    with zipfile.ZipFile(folder / "kagglecatsanddogs_mini.zip") as archive:
        for name in archive.namelist():
            if name.startswith("PetImages/") and not name.endswith("/"):
                found = examine(archive.read(name), name, LIMITS)
                if found.reason is not None:
                    refused[name] = found.reason
    assert refused == {name: kind for name, kind in expected.items() if kind in {"empty", "truncated", "not_an_image"}}

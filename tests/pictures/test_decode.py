"""Decoding of what was packed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from fovea.pictures import decode
from fovea.pictures.turn import turned


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_of_opencv(photo: Any, encoded: Any, kind: str, mode: str, channels: int) -> None:
    file = encoded(photo(), kind, mode)
    way = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    expected = cv2.imdecode(np.frombuffer(file, np.uint8), way).reshape(90, 120, channels)
    image = decode(file, channels)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_bytes_may_come_in_any_buffer(photo: Any, encoded: Any, kind: str) -> None:
    file = encoded(photo(), kind)
    expected = decode(file, 3)
    for data in (memoryview(file), np.frombuffer(file, np.uint8)):
        assert np.array_equal(decode(data, 3), expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_the_turn_is_the_one_that_is_asked_for(photo: Any, encoded: Any, kind: str, turn: int) -> None:
    file = encoded(photo(), kind, turn=5)
    assert np.array_equal(decode(file, 3, turn=turn), turned(decode(encoded(photo(), kind), 3), turn))


@pytest.mark.parametrize(
    ("least", "shape"),
    [
        (None, (375, 500)),
        (376, (375, 500)),
        (188, (188, 250)),
        (94, (94, 125)),
        (48, (94, 125)),
        (47, (47, 63)),
        (1, (47, 63)),
    ],
)
def test_a_large_jpeg_is_decoded_smaller(photo: Any, encoded: Any, least: int | None, shape: tuple[int, int]) -> None:
    file = encoded(photo(height=375, width=500), "JPEG")
    assert decode(file, 3, least_side=least).shape == (*shape, 3)
    assert decode(file, 1, least_side=least, turn=6).shape == (*shape[::-1], 1)


@pytest.mark.parametrize(("least", "side"), [(None, 64), (16, 16), (20, 32), (65, 64)])
def test_a_jpeg_whose_colours_are_stored_in_a_rare_way_is_decoded_smaller_too(least: int | None, side: int) -> None:
    pixels = np.full((64, 64, 3), (40, 90, 200), np.uint8)
    file = bytearray(simplejpeg.encode_jpeg(pixels, colorsubsampling="411"))
    file[file.index(b"\xff\xc0") + 11] = 0x14  # 4:4:1, as 4:1:1 becomes when a picture is turned without loss
    found = decode(bytes(file), 3, least_side=least)
    assert found.shape == (side, side, 3)
    assert np.abs(found.astype(int) - (40, 90, 200)).max() <= 3


def test_a_smaller_picture_looks_the_same(photo: Any, encoded: Any) -> None:
    file = encoded(photo(height=400, width=400), "JPEG", quality=95)
    small = cv2.resize(decode(file, 3), (100, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(decode(file, 3, least_side=100).astype(int) - small).mean() < 1


def test_fast_is_nearly_the_same(photo: Any, encoded: Any) -> None:
    file = encoded(photo(), "JPEG")
    difference = np.abs(decode(file, 3, fast=True).astype(int) - decode(file, 3))
    assert difference.max() > 0
    assert difference.mean() < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_is_an_error(photo: Any, encoded: Any, kind: str) -> None:
    file = encoded(photo(), kind)
    with pytest.raises(ValueError):  # noqa: PT011 - each decoder has its own words
        decode(file[: len(file) // 2], 3)


@pytest.mark.parametrize("junk", [b"", b"x", b"hello", b"\xff\xd8", bytes(100)])
def test_what_is_no_picture_is_an_error(junk: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each decoder has its own words
        decode(junk, 3)

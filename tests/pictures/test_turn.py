"""EXIF orientations: found in the bytes, and undone."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fovea.pictures.turn import exif_turn, swaps_sides, turned


def block(order: str, kind: int, value: int, count: int = 1) -> bytes:
    entry = struct.pack(order + "HHL", 0x0112, kind, count) + struct.pack(
        order + ("HH" if kind == 3 else "L"), *((value, 0) if kind == 3 else (value,))
    )
    other = struct.pack(order + "HHLL", 0x0100, 4, 1, 7)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "LH", 8, 2) + other + entry + bytes(4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("turn", range(1, 9))
def test_the_orientation_is_found(order: str, kind: int, turn: int) -> None:
    assert exif_turn(block(order, kind, turn)) == turn


@pytest.mark.parametrize(
    "wrong", [block("<", 3, 0), block("<", 3, 9), block("<", 2, 6), block("<", 3, 6, 2), b"", b"II"]
)
def test_what_is_no_orientation_means_upright(wrong: bytes) -> None:
    assert exif_turn(wrong) == 1


@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd(junk: bytes) -> None:
    assert exif_turn(b"II*\0" + junk) in range(1, 9)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_is_turned_as_pillow_turns_it(encoded: Any, turn: int, channels: int) -> None:
    pixels = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3)[:, :, :channels]
    file = encoded(pixels if channels == 3 else pixels[:, :, 0], "PNG", "RGB" if channels == 3 else "L", turn=turn)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    result = turned(pixels, turn)
    assert np.array_equal(result, np.asarray(upright).reshape(result.shape))
    assert result.flags.c_contiguous or turn == 1
    assert swaps_sides(turn) == (result.shape[:2] == (5, 2))

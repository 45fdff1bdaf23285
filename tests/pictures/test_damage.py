"""Whatever happens to the bytes of a picture: it is decoded as others decode it, or refused with a reason."""

from __future__ import annotations

import io
import warnings
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fovea.pictures import Examined, Limits, decode, examine
from fovea.pictures.read import read
from fovea.pictures.reasons import Reason, Unusable

LIMITS = Limits(max_pixels=1_000_000, max_bytes=1_000_000)
KINDS = {
    "jpeg": ("JPEG", "RGB", {}),
    "progressive": ("JPEG", "RGB", {"progressive": True}),
    "grey jpeg": ("JPEG", "L", {}),
    "cmyk": ("JPEG", "CMYK", {}),
    "png": ("PNG", "RGB", {}),
    "palette": ("PNG", "P", {}),
    "gif": ("GIF", "P", {}),
    "webp": ("WEBP", "RGB", {}),
    "lossless webp": ("WEBP", "RGB", {"lossless": True}),
    "bmp": ("BMP", "RGB", {}),
    "tiff": ("TIFF", "RGB", {}),
    "packed tiff": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "ppm": ("PPM", "RGB", {}),
}
OF_JPEG, OF_PNG = ("jpeg", "progressive", "grey jpeg", "cmyk"), ("png", "palette")
kinds, places = st.sampled_from(list(KINDS)), st.floats(0, 1, exclude_max=True)


@pytest.fixture(scope="module")
def files(photo: Any, encoded: Any) -> dict[str, bytes]:
    return {name: encoded(photo(3, 48, 64), kind, mode, **options) for name, (kind, mode, options) in KINDS.items()}


def looked_at(data: bytes) -> Examined:
    """An answer that holds together."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = examine(data, "a.jpg", LIMITS)
    if found.reason is not None:
        assert found.reason in get_args(Reason)
        assert (found.channels, found.packed) == (0, b"")
        assert refused(data) == found.reason
        return found
    assert refused(data) is None
    image = decode(found.packed, found.channels, turn=found.turn)
    assert image.shape[:2] == (found.height, found.width)
    return found


def refused(data: bytes) -> str | None:
    """Why the file is refused where all colours are decoded, not the luma alone."""
    try:
        read(data, LIMITS)
    except Unusable as unusable:
        return unusable.reason
    return None


def decoded(found: Examined) -> np.ndarray:
    return decode(found.packed, found.channels)


def as_others_see_it(data: bytes, channels: int) -> np.ndarray | None:
    """What Pillow decodes, or OpenCV where Pillow does not know the header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(*image.size[::-1], channels)
    except OSError:
        way = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
        image = cv2.imdecode(np.frombuffer(data, np.uint8), way | cv2.IMREAD_IGNORE_ORIENTATION)
        return None if image is None else image.reshape(*image.shape[:2], channels)


def check(data: bytes) -> Examined:
    found = looked_at(data)
    if found.reason is None:
        expected = as_others_see_it(data, found.channels)
        assert expected is not None
        assert np.array_equal(decoded(found), expected)
    return found


@settings(deadline=None, max_examples=200)
@given(name=kinds, place=places)
def test_a_cut_file(files: dict[str, bytes], name: str, place: float) -> None:
    whole = files[name]
    found = check(whole[: int(place * len(whole))])
    if name in OF_JPEG or name in OF_PNG or "webp" in name:
        assert found.reason in {"truncated", "empty", "not_an_image"}
    # A GIF without its last byte is all there.
    assert found.reason is not None or name == "gif"


@settings(deadline=None, max_examples=300)
@given(name=kinds, flips=st.lists(st.tuples(places, st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bits(files: dict[str, bytes], name: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(files[name])
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    found = check(bytes(data))
    assert found.reason is not None or name not in OF_PNG or bytes(data) == files[name]


@settings(deadline=None, max_examples=200)
@given(name=kinds, flips=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_header_of_chance(files: dict[str, bytes], name: str, flips: list[tuple[int, int]]) -> None:
    data = bytearray(files[name])
    for place, value in flips:
        data[place] = value
    found = check(bytes(data))
    assert bool(found.packed) == (found.reason is None)


@settings(deadline=None, max_examples=200)
@given(name=kinds, other=kinds, at=places, start=places, length=st.integers(1, 400), instead=st.booleans())
def test_a_piece_of_another_file(
    files: dict[str, bytes], name: str, other: str, at: float, start: float, length: int, instead: bool
) -> None:
    whole, donor = files[name], files[other]
    place, piece = int(at * len(whole)), donor[int(start * len(donor)) :][:length]
    data = whole[:place] + piece + whole[place + instead * len(piece) :]
    found = check(data)
    assert found.reason is not None or found.format != "PNG" or data[: len(whole)] == whole


@settings(deadline=None, max_examples=100)
@given(name=kinds, tail=st.binary(min_size=1, max_size=300))
def test_bytes_behind_the_end(files: dict[str, bytes], name: str, tail: bytes) -> None:
    found = check(files[name] + tail)
    assert found.reason is None
    assert np.array_equal(decoded(found), decoded(looked_at(files[name])))


@settings(deadline=None, max_examples=200)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"P6\n"]),
)
def test_any_bytes(data: bytes, start: bytes) -> None:
    assert looked_at(start + data).named_as == "JPEG"


def test_pieces_of_a_lossless_webp_are_not_taken_for_whole(files: dict[str, bytes]) -> None:
    # OpenCV returns the rows before the damage, and something below.
    whole = files["lossless webp"]
    half = len(whole) // 2
    assert looked_at(whole[:half] + whole[:200] + whole[half:]).reason == "damaged"

"""Pictures to encode."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def photo(seed: int = 0, height: int = 90, width: int = 120) -> Pixels:
    """Smooth colours over the whole range, as in a photograph out of focus, uint8 [H, W, 3]."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    blurred: Any = cv2.GaussianBlur(noise, (0, 0), min(height, width) / 20)
    low, high = int(blurred.min()), int(blurred.max())
    return ((blurred.astype(int) - low) * 255 // (high - low)).astype(np.uint8)


def encoded(pixels: Pixels, kind: str, mode: str = "RGB", turn: int = 1, **options: Any) -> bytes:
    """A file that Pillow writes."""
    image = Image.fromarray(pixels).convert(mode)
    if turn != 1:
        exif = Image.Exif()
        exif[0x0112] = turn
        options["exif"] = exif
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="session", name="photo")
def photo_fixture() -> Callable[..., Pixels]:
    return photo


@pytest.fixture(scope="session", name="encoded")
def encoded_fixture() -> Callable[..., bytes]:
    return encoded

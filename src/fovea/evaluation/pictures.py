"""Pictures in folders: which there are, and what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".jfif", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)


class Unreadable(Exception):  # noqa: N818
    """A file that is no picture for us; the message is the reason."""


def picture_files(folder: Path) -> list[Path]:
    """The files at any depth below a folder that are named like pictures, sorted; links to folders are not followed.

    Raises:
        UserError: There is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        wrong = "is a file, not a folder" if folder.exists() else "does not exist"
        raise UserError(f"predict.source '{folder}' {wrong}; name a folder of pictures")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and not path.is_dir())
    if not found:
        kinds = " ".join(sorted(SUFFIXES))
        raise UserError(f"predict.source '{folder}' holds no picture ({kinds}); name another folder")
    return found


def read_picture(path: Path, channels: int, image_size: int) -> NDArray[np.uint8]:
    """A picture as the network wants it, uint8 [image_size, image_size, channels].

    Turned upright as its EXIF data say, made grey (1 channel) or RGB (3), and resized without keeping its proportions.

    Raises:
        Unreadable: It cannot be read or decoded.
    """
    try:
        # A pipe or a device would make the process wait for ever.
        if not path.is_file():
            raise Unreadable("not a regular file" if path.exists() else "the link leads nowhere")
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    if not data:
        raise Unreadable("the file is empty")
    image = _decode(data, channels)
    return _resized(image, image_size).reshape(image_size, image_size, channels)


def shown_path(path: Path) -> str:
    """A path as text that any table can hold, whatever bytes its name is made of."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _decode(data: bytes, channels: int) -> NDArray[Any]:
    import cv2

    mode = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    try:
        with _quiet():
            image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
    except (cv2.error, MemoryError):
        raise Unreadable("it has too many pixels to be decoded") from None
    if image is None:
        raise Unreadable("not a picture, or damaged")
    return image


def _resized(image: NDArray[Any], side: int) -> NDArray[Any]:
    import cv2

    if image.shape[:2] == (side, side):
        return image
    method = cv2.INTER_AREA if min(image.shape[:2]) >= side else cv2.INTER_LINEAR
    resized: NDArray[Any] = cv2.resize(image, (side, side), interpolation=method)
    return resized


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps OpenCV from writing its own lines about a file for which there will be a row with the reason."""
    from cv2.utils import logging

    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)

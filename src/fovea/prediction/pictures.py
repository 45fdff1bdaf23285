"""Foreign picture files: how they are read, and why some are not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.pictures.decode import decode
from fovea.pictures.read import Limits, read
from fovea.pictures.reasons import WORDS, Unusable
from fovea.pictures.turn import turned

LIMITS = Limits()
"""Of one picture: those of training."""


class Unreadable(Exception):  # noqa: N818
    """A file that is no picture for us; the message is the reason."""


def decoded(data: bytes, channels: int) -> NDArray[np.uint8]:
    """A picture at its own size, uint8 [H, W, channels], just as training pictures are prepared and decoded.

    Turned upright as its EXIF data say, and made grey (1 channel) or RGB (3).

    Args:
        data: The file.
        channels: 1 or 3.

    Raises:
        Unreadable: It cannot be decoded, or would not be kept as a training picture.
    """
    try:
        pixels, packed, turn = read(data, LIMITS)
        if pixels.shape[2] != channels:
            pixels = decode(packed, channels)
    except Unusable as unusable:
        raise Unreadable(WORDS[unusable.reason]) from None
    return turned(pixels, turn)


def file_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        Unreadable: It is no file, too large, or cannot be read.
    """
    try:
        # A pipe or a device would make the process wait for ever.
        if not path.is_file():
            raise Unreadable("not a regular file" if path.exists() else _absent(path))
        if path.stat().st_size > LIMITS.max_bytes:
            raise Unreadable(WORDS["too_large"])
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None


def shown_path(path: Path) -> str:
    """A path as text that any table can hold, whatever bytes its name is made of."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _absent(path: Path) -> str:
    return "the link leads nowhere" if path.is_symlink() else "there is no such file"

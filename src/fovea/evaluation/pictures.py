"""Pictures in folders: which there are, and what is in them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError
from fovea.pictures.decode import decode
from fovea.pictures.header import SUFFIXES
from fovea.pictures.read import Limits, read
from fovea.pictures.reasons import WORDS, Unusable
from fovea.pictures.turn import turned

_LIMITS = Limits()


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


def read_picture(path: Path, channels: int) -> NDArray[np.uint8]:
    """A picture at its own size, uint8 [H, W, channels], just as training pictures are prepared and decoded.

    Turned upright as its EXIF data say, and made grey (1 channel) or RGB (3).

    Raises:
        Unreadable: It cannot be read or decoded, or would not be kept as a training picture.
    """
    data = _bytes(path)
    try:
        pixels, packed, turn = read(data, _LIMITS)
        if pixels.shape[2] != channels:
            pixels = decode(packed, channels)
    except Unusable as unusable:
        raise Unreadable(WORDS[unusable.reason]) from None
    return turned(pixels, turn)


def shown_path(path: Path) -> str:
    """A path as text that any table can hold, whatever bytes its name is made of."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _bytes(path: Path) -> bytes:
    try:
        # A pipe or a device would make the process wait for ever.
        if not path.is_file():
            raise Unreadable("not a regular file" if path.exists() else "the link leads nowhere")
        if path.stat().st_size > _LIMITS.max_bytes:
            raise Unreadable(WORDS["too_large"])
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None

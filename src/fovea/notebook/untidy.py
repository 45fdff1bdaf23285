"""A folder of pictures as one is handed it: good ones, and every usual thing that can be wrong with some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.core.files import atomic_directory
from fovea.notebook.patterns import PATTERNS, pattern

FLAWS = {
    "dots/cut-short.jpg": "half of a JPEG",
    "grid/empty.jpg": "no bytes at all",
    "waves/notes.jpg": "a text file with a picture's name",
    "stripes/copy of 003.jpg": "the same bytes as 003.jpg",
    "zigzag/from waves.jpg": "the same bytes as a picture of another class",
    "checks/brighter.jpg": "005.jpg once more, a little brighter",
    "bricks/really-a-png.jpg": "a PNG with the wrong name; nothing is wrong with the picture",
}
"""What is wrong with which file."""

_SIDES = (48, 64, 80, 96)
_USUAL, _FEW = 30, 12
_SCARCE = "rings"  # of which there are few


def write_untidy(folder: Path) -> Path:
    """Draws a folder for each pattern of `fovea.notebook.patterns`, with the `FLAWS` among them.

    Args:
        folder: Made anew, whole or not at all.

    Returns:
        The folder.

    Raises:
        RunError: The disk is full or not writable.
    """
    with atomic_directory(folder) as temporary:
        for name in PATTERNS:
            (temporary / name).mkdir()
            for number in range(_FEW if name == _SCARCE else _USUAL):
                picture = pattern(name, number, _SIDES[number % len(_SIDES)])
                (temporary / name / f"{number:03}.jpg").write_bytes(_encoded(picture, ".jpg"))
        _spoil(temporary)
    return folder


def _spoil(folder: Path) -> None:
    """Adds the files of `FLAWS`."""
    whole = (folder / "dots" / "000.jpg").read_bytes()
    brighter = np.clip(pattern("checks", 5, _SIDES[1]).astype(np.int64) + 12, 0, 255).astype(np.uint8)
    contents = {
        "dots/cut-short.jpg": whole[: len(whole) // 2],
        "grid/empty.jpg": b"",
        "waves/notes.jpg": b"Ask which of these are waves and which zigzag.\n",
        "stripes/copy of 003.jpg": (folder / "stripes" / "003.jpg").read_bytes(),
        "zigzag/from waves.jpg": (folder / "waves" / "007.jpg").read_bytes(),
        "checks/brighter.jpg": _encoded(brighter, ".jpg"),
        "bricks/really-a-png.jpg": _encoded(pattern("bricks", _USUAL), ".png"),
    }
    for name in FLAWS:
        (folder / name).write_bytes(contents[name])


def _encoded(picture: NDArray[np.uint8], suffix: str) -> bytes:
    import cv2

    return cv2.imencode(suffix, picture[:, :, ::-1])[1].tobytes()

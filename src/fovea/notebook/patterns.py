"""Colour pictures of plain patterns, drawn by arithmetic: a task for few pictures that needs no download.

They differ in colours, size, direction, light and noise, and are alike in what makes stripes stripes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fovea.core.files import atomic_directory
from fovea.datasets.samples import SPLITS, SplitName

Floats = NDArray[np.float64]

_PERIODS = (3.0, 7.0)  # across the side of a picture
_CONTRAST = 0.25  # least difference of the two colours, of 1
_NOISE = 0.06  # standard deviation, of 1


def _bricks(u: Floats, v: Floats) -> Floats:
    row = np.floor(v)
    return np.minimum(_edge(v), _edge((u + row) / 2)).astype(np.float64)


def _edge(x: Floats) -> Floats:
    """0 near whole numbers, else 1."""
    return (np.abs(x - np.round(x)) > 0.12).astype(np.float64)


def _zigzag(u: Floats, v: Floats) -> Floats:
    return _wave(v + np.abs(u - 2 * np.round(u / 2)))


def _wave(x: Floats) -> Floats:
    """From 0 to 1 and back within 1."""
    return 0.5 + 0.5 * np.sin(2 * np.pi * x)


PATTERNS: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "bricks": _bricks,
    "checks": lambda u, v: (np.floor(u) + np.floor(v)) % 2,
    "dots": lambda u, v: (np.hypot(u - np.round(u), v - np.round(v)) < 0.3).astype(np.float64),
    "grid": lambda u, v: np.minimum(_edge(u), _edge(v)),
    "rings": lambda u, v: _wave(np.hypot(u, v)),
    "stripes": lambda u, _: _wave(u),
    "waves": lambda u, v: _wave(v + 0.35 * np.sin(np.pi * u)),
    "zigzag": _zigzag,
}
"""Each gives values in 0..1 for the points (u, v), whose unit is a period."""


def pattern(name: str, number: int, side: int = 64) -> NDArray[np.uint8]:
    """One picture, uint8 [side, side, 3]; the same for the same arguments.

    Args:
        name: One of `PATTERNS`.
        number: Which of the pictures of this pattern, from 0.
        side: Height and width in pixels.
    """
    numbers = np.random.default_rng((list(PATTERNS).index(name), number))
    y, x = np.mgrid[0:side, 0:side] / side - numbers.uniform(0.3, 0.7, size=2)[:, None, None]
    angle, periods = numbers.uniform(0, 2 * np.pi), numbers.uniform(*_PERIODS)
    u = periods * (np.cos(angle) * x + np.sin(angle) * y)
    v = periods * (np.cos(angle) * y - np.sin(angle) * x)
    share = PATTERNS[name](u, v)[:, :, None]
    first, second = _colours(numbers)
    light = 1 + numbers.uniform(-0.6, 0.6) * x + numbers.uniform(-0.6, 0.6) * y
    picture = (share * first + (1 - share) * second) * light[:, :, None]
    picture += numbers.normal(0, _NOISE, picture.shape)
    pixels: NDArray[np.uint8] = (255 * np.clip(picture, 0, 1)).round().astype(np.uint8)
    return pixels


def _colours(numbers: np.random.Generator) -> Floats:
    """Two colours that can be told apart, [2, 3]."""
    while True:
        colours = numbers.uniform(0, 1, size=(2, 3))
        if np.abs(np.diff(colours.mean(axis=1))) > _CONTRAST:
            return colours


def write_patterns(folder: Path, counts: Mapping[SplitName, int], side: int = 64) -> Path:
    """Draws pictures into a folder that `data=image_folder` reads: splits, in them a folder for each pattern.

    Args:
        folder: Made anew, whole or not at all.
        counts: Pictures of each pattern for train, val and test.
        side: Height and width in pixels.

    Returns:
        The folder.

    Raises:
        RunError: The disk is full or not writable.
    """
    import cv2

    with atomic_directory(folder) as temporary:
        for name in PATTERNS:
            first = 0
            for split in SPLITS:
                place = temporary / split / name
                place.mkdir(parents=True)
                for number in range(first, first + counts[split]):
                    picture = pattern(name, number, side)[:, :, ::-1]
                    (place / f"{number:03}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
                first += counts[split]
    return folder

"""Kernels and activation maps as small pictures side by side, transparent between them for light and dark pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.insides import Floats, Maps
from fovea.inspection.drawing import tile

_SIDE = 64  # pixels of a small picture, at most
_GAP = 4
_COLUMNS = 16
_MOST_KERNELS = 128


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A sheet of small pictures.

    Attributes:
        name: Of its file, without suffix.
        caption: What it shows.
        pixels: uint8 [H, W, 4], transparent between the pictures.
    """

    name: str
    caption: str
    pixels: NDArray[np.uint8]

    def png(self) -> bytes:
        """The sheet as a PNG file."""
        import cv2

        return bytes(cv2.imencode(".png", self.pixels[..., [2, 1, 0, 3]])[1])


def kernels_mosaic(kernels: Floats) -> Mosaic:
    """Kernels from their smallest weight, black, to their largest, white; in colour if they see three channels.

    Args:
        kernels: float32 [outputs, inputs, height, width]; of other inputs than three, the mean is shown.
    """
    shown = kernels[:_MOST_KERNELS]
    colours = shown if shown.shape[1] == 3 else shown.mean(axis=1, keepdims=True)
    count, inputs, height, width = kernels.shape
    part = "" if len(shown) == count else f", the first {len(shown)} shown"
    mean = "" if inputs in (1, 3) else ", the mean over their inputs"
    caption = f"First convolution: {count} kernels of {height}x{width}{part}{mean}; black to white is least to largest."
    pictures = [_stretched(kernel.transpose(1, 2, 0)) for kernel in colours]
    rows = [pictures[start : start + _COLUMNS] for start in range(0, len(pictures), _COLUMNS)]
    return Mosaic("kernels", caption, _sheet(rows))


def maps_mosaic(maps: Maps, images: NDArray[np.uint8], most: int) -> Mosaic:
    """For each picture a row, itself and then the layer's maps, each black at its least value, white at its largest.

    Args:
        maps: For the pictures.
        images: uint8 [B, H, W, C].
        most: Maps to show; those that vary most over the first picture.
    """
    values = maps.values
    count, height, width = values.shape[1:]
    order = np.argsort(-values[0].std(axis=(1, 2)), kind="stable")[:most]
    part = f"{count} maps" if len(order) == count else f"the {len(order)} of {count} maps that vary most"
    caption = f"{maps.layer}: {part}, {height}x{width}, beside the picture; black to white is least to largest."
    rows = []
    for image, channels in zip(images, values, strict=True):
        tiles = [_stretched(channels[channel][:, :, None]) for channel in order]
        rows += [
            [image if start == 0 else None, *tiles[start : start + _COLUMNS]]
            for start in range(0, len(tiles), _COLUMNS)
        ]
    name = re.sub(r"[^\w.-]", "_", maps.layer or "network")
    return Mosaic(f"maps-{name}", caption, _sheet(rows))


def _stretched(values: Floats) -> NDArray[np.uint8]:
    """Values [H, W, C] from 0 for the smallest to 255 for the largest; all 127 where they are alike or no numbers."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low) or high == low:
        return np.full(values.shape, 127, np.uint8)
    scaled: NDArray[np.uint8] = np.round(255 * (values - low) / (high - low)).astype(np.uint8)
    return scaled


def _sheet(rows: Sequence[Sequence[NDArray[np.uint8] | None]]) -> NDArray[np.uint8]:
    """Pictures in rows, each in the middle of its cell; None leaves a cell free."""
    step = _SIDE + _GAP
    pixels = np.zeros((len(rows) * step - _GAP, max(map(len, rows)) * step - _GAP, 4), np.uint8)
    for line, row in enumerate(rows):
        for column, picture in enumerate(row):
            if picture is None:
                continue
            small = tile(picture, _SIDE)
            height, width = small.shape[:2]
            y, x = line * step + (_SIDE - height) // 2, column * step + (_SIDE - width) // 2
            pixels[y : y + height, x : x + width, :3] = small
            pixels[y : y + height, x : x + width, 3] = 255
    return pixels

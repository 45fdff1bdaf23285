"""Many pictures on one sheet: with captions below them, or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.inspection.drawing import blank, tile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Image = NDArray[np.uint8]

DPI = 100
"""At which a pixel of a picture is one of the figure."""
_TILE = 96  # pixels of the longer side of a picture, at most
_CELL = 120  # pixels from one picture to the next, with captions
_LINE = 13  # pixels of a line of text
_COLUMNS = 9
_GAP = 4  # pixels between the pictures of a table
_FONT = 7.5  # points


def captioned(images: Sequence[Image], captions: Sequence[str], *, columns: int = _COLUMNS) -> Figure:
    """Pictures, each over its caption.

    Args:
        images: At least one, uint8 [H, W, C], C 1 or 3.
        captions: As many; lines as they are to stand.
        columns: Pictures in a row, at most.
    """
    lines = max(caption.count("\n") + 1 for caption in captions)
    columns = min(columns, len(images))
    height = _TILE + lines * _LINE + 10
    sheet = np.full((-(-len(images) // columns) * height, columns * _CELL, 3), 255, np.uint8)
    figure, axes = _sheet_axes(sheet)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        top, left = place // columns * height, place % columns * _CELL
        _put(sheet, image, top, left, _CELL)
        where = (left + _CELL / 2, top + _TILE + 4)
        axes.text(*where, caption, ha="center", va="top", fontsize=_FONT, parse_math=False)
    axes.imshow(sheet, aspect="auto", interpolation="nearest")
    return figure


def table(rows: Sequence[tuple[str, Sequence[Sequence[Image]]]], heads: Sequence[str]) -> Figure:
    """A row for each name, in it some groups of pictures, in each group a picture for each head.

    Args:
        rows: Names and groups, at least one row; the groups of one row may be fewer than those of another.
        heads: What the pictures of a group are, written above each group.
    """
    step, groups = _TILE + _GAP, max(len(row) for _, row in rows)
    width = len(heads) * step + 3 * _GAP
    margin = min(220, 14 + 6 * max(len(name) for name, _ in rows))
    top = _LINE + 8
    sheet = np.full((top + len(rows) * (step + _GAP), margin + groups * width, 3), 255, np.uint8)
    figure, axes = _sheet_axes(sheet)
    for number in range(groups):
        for column, head in enumerate(heads):
            x = margin + number * width + column * step + _TILE / 2
            axes.text(x, top - 6, head, ha="center", va="bottom", fontsize=_FONT, color="#5a5a5a")
    for line, (name, row) in enumerate(rows):
        y = top + line * (step + _GAP)
        axes.text(margin - 8, y + _TILE / 2, name, ha="right", va="center", fontsize=_FONT + 1, parse_math=False)
        for number, group in enumerate(row):
            for column, image in enumerate(group):
                _put(sheet, image, y, margin + number * width + column * step, _TILE)
    axes.imshow(sheet, aspect="auto", interpolation="nearest")
    return figure


def _sheet_axes(sheet: Image) -> tuple[Figure, Axes]:
    """A figure of the sheet's size, a pixel of it for each of the sheet's."""
    figure = blank(sheet.shape[1] / DPI, sheet.shape[0] / DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    return figure, axes


def _put(sheet: Image, image: Image, top: int, left: int, width: int) -> None:
    """Stands a picture on the line `_TILE` below `top`, in the middle of a cell."""
    small = tile(image, _TILE)
    y, x = top + _TILE - small.shape[0], left + (width - small.shape[1]) // 2
    sheet[y : y + small.shape[0], x : x + small.shape[1]] = small

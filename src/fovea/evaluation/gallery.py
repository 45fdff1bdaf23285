"""The pictures that a model got wrong, on one sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.plots import blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 100
_TILE = 96  # pixels of the longer side of a picture, at most
_CELL = 120  # pixels from one picture to the next
_LINE = 13  # pixels of a line of text
_COLUMNS = 9
_LETTERS = 18  # in a line below a picture


@dataclass(frozen=True)
class Mistake:
    """A misclassified picture.

    Attributes:
        image: uint8 [H, W, C], C 1 or 3.
        actual: Its class.
        predicted: The class that the model gave.
        probability: Of the predicted class.
    """

    image: NDArray[np.uint8]
    actual: str
    predicted: str
    probability: float

    @property
    def caption(self) -> str:
        """`actual → predicted` and the probability, in as many lines as the names need."""
        names = textwrap.fill(f"{self.actual} → {self.predicted}", _LETTERS)
        return f"{names}\n{self.probability:.2f}"


def gallery(mistakes: Sequence[Mistake]) -> Figure:
    """A sheet of misclassified pictures, each over "actual → predicted" and the probability of the prediction.

    Args:
        mistakes: At least one.
    """
    lines = max(mistake.caption.count("\n") + 1 for mistake in mistakes)
    columns = min(_COLUMNS, len(mistakes))
    rows = -(-len(mistakes) // columns)
    height, width = _TILE + lines * _LINE + 10, _CELL
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    figure = blank(sheet.shape[1] / _DPI, sheet.shape[0] / _DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for place, mistake in enumerate(mistakes):
        top, left = place // columns * height, place % columns * width
        tile = _tile(mistake.image)
        y, x = top + _TILE - tile.shape[0], left + (width - tile.shape[1]) // 2
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        where = (left + width / 2, top + _TILE + 4)
        axes.text(*where, mistake.caption, ha="center", va="top", fontsize=7.5, parse_math=False)
    axes.imshow(sheet, aspect="auto", interpolation="nearest")
    return figure


def _tile(image: NDArray[np.uint8]) -> NDArray[Any]:
    import cv2

    longest = max(image.shape[:2])
    # A small picture grows by a whole factor, so that its pixels stay square and sharp.
    factor = float(_TILE // longest) if longest <= _TILE else _TILE / longest
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_NEAREST if factor >= 1 else cv2.INTER_AREA
    scaled = cv2.resize(np.ascontiguousarray(image), size, interpolation=method)
    scaled = scaled[:, :, None] if scaled.ndim == 2 else scaled
    return np.broadcast_to(scaled, (*scaled.shape[:2], 3))

"""Pictures and what a model said of them, on one sheet."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.inspection.sheets import captioned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LETTERS = 18  # in a line below a picture


@dataclass(frozen=True)
class Judged:
    """A picture and what the model said of it.

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
        """`actual → predicted`, or one name if both are the same, and the probability; as many lines as needed."""
        both = self.actual if self.actual == self.predicted else f"{self.actual} → {self.predicted}"
        names = textwrap.fill(both, _LETTERS)
        return f"{names}\n{self.probability:.2f}"


def gallery(pictures: Sequence[Judged]) -> Figure:
    """A sheet of pictures, each over its caption.

    Args:
        pictures: At least one.
    """
    return captioned([one.image for one in pictures], [one.caption for one in pictures])

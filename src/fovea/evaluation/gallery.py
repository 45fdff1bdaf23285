"""The pictures that a model got wrong, on one sheet."""

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
    return captioned([mistake.image for mistake in mistakes], [mistake.caption for mistake in mistakes])

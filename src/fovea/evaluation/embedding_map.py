"""A map of the test pictures: near each other what the network's last layer sees as alike."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.metrics import Floats, Ints
from fovea.inspection.drawing import BLUE, COLOURS, VERMILLION, blank, dress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 14  # told apart by colour and shape
_LETTERS = 36  # in a line of the legend


@dataclass(frozen=True, eq=False)
class Embedded:
    """Some test pictures as the network's last layer sees them.

    Attributes:
        features: float32 [M, D].
        rows: int64 [M], which pictures they are.
    """

    features: NDArray[np.float32]
    rows: Ints


def principal_components(features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """The two directions in which vectors differ most (Pearson 1901).

    Args:
        features: float32 [N, D].

    Returns:
        Coordinates float64 [N, 2], and the part of the variance along each, float64 [2]; zeros where there is none.
        The largest coordinate of each, by its absolute value, is positive.
    """
    centred = features.astype(np.float64)
    centred -= centred.mean(axis=0)
    count, width = centred.shape
    # Both products have the same eigenvalues; the smaller is decomposed.
    small = centred.T @ centred if width <= count else centred @ centred.T
    values, vectors = np.linalg.eigh(small)
    values, vectors = np.maximum(values[::-1][:2], 0), vectors[:, ::-1][:, :2]
    found = centred @ vectors if width <= count else vectors * np.sqrt(values)
    coordinates, parts, total = np.zeros((count, 2)), np.zeros(2), float(np.trace(small))
    coordinates[:, : found.shape[1]] = found
    parts[: len(values)] = values / total if total > 0 else 0
    largest = coordinates[np.abs(coordinates).argmax(axis=0), [0, 1]]
    return coordinates * np.where(largest < 0, -1, 1), parts


def embedding_map(
    features: NDArray[np.float32], labels: Ints, wrong: NDArray[np.bool_], classes: Sequence[str]
) -> Figure:
    """A point a picture at its first two principal components; misclassified ones in a ring.

    Of at most `MOST_CLASSES` classes each has its colour and shape; of more, only right and wrong are told apart.

    Args:
        features: float32 [N, D], at least one.
        labels: int64 [N].
        wrong: bool [N].
        classes: Names.
    """
    points, parts = principal_components(features)
    figure = blank(6.0, 4.8)
    axes = figure.add_subplot()
    if len(classes) <= MOST_CLASSES:
        for label, name in enumerate(classes):
            x, y = points[labels == label].T
            shape, colour = "o" if label < len(COLOURS) else "^", COLOURS[label % len(COLOURS)]
            axes.scatter(x, y, s=12, c=colour, marker=shape, linewidths=0, label=textwrap.fill(name, _LETTERS))
        ring: dict[str, Any] = {"s": 45, "facecolors": "none", "edgecolors": "#000000", "linewidths": 1}
        axes.scatter(points[wrong, 0], points[wrong, 1], label="misclassified", **ring)
    else:
        axes.scatter(points[~wrong, 0], points[~wrong, 1], s=10, c=BLUE, linewidths=0, label="right")
        marks: dict[str, Any] = {"s": 14, "c": VERMILLION, "marker": "^", "linewidths": 0}
        axes.scatter(points[wrong, 0], points[wrong, 1], label="misclassified", **marks)
    legend = axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    for text in legend.get_texts():
        text.set_parse_math(False)
    words = [f"component {number} ({100 * part:.0f} % of the variance)" for number, part in enumerate(parts, start=1)]
    dress(axes, words[0], words[1])
    return figure

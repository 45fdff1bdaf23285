"""A map of the test pictures: near each other what the network's last layer sees as alike."""

from __future__ import annotations

import textwrap
import warnings
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
_NEIGHBOURS = 15  # of UMAP, its own default


@dataclass(frozen=True, eq=False)
class Embedded:
    """Some test pictures as the network's last layer sees them.

    Attributes:
        features: float32 [M, D].
        rows: int64 [M], which pictures they are.
        method: How they are laid on the map: `pca` or `umap`.
    """

    features: NDArray[np.float32]
    rows: Ints
    method: str = "pca"

    @property
    def words(self) -> str:
        """By what they are laid on the map."""
        return "by UMAP" if self.method == "umap" else "by principal components"


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


def neighbourhoods(features: NDArray[np.float32]) -> Floats:
    """Places in the plane that keep neighbours together (McInnes, Healy and Melville 2018); the same at every call.

    Distances between far groups mean little. Needs the extra `umap`, which the configuration has made sure of.

    Args:
        features: float32 [N, D], N at least 3.

    Returns:
        float64 [N, 2].
    """
    with warnings.catch_warnings():
        # Of TensorFlow, which it can do without, and of the one thread that a fixed seed asks for.
        warnings.filterwarnings("ignore", module="umap")
        from umap import UMAP

        near = min(_NEIGHBOURS, len(features) - 1)
        layout = UMAP(n_neighbors=near, init="pca", random_state=0, n_jobs=1)
        return np.asarray(layout.fit_transform(features), dtype=np.float64)


def _places(features: NDArray[np.float32], method: str) -> tuple[Floats, list[str]]:
    """Coordinates [N, 2], and what the two axes are."""
    if method == "umap" and len(features) > 2:
        return neighbourhoods(features), ["UMAP 1", "UMAP 2"]
    points, parts = principal_components(features)
    return points, [
        f"component {place} ({100 * part:.0f} % of the variance)" for place, part in enumerate(parts, start=1)
    ]


def embedding_map(embedded: Embedded, labels: Ints, wrong: NDArray[np.bool_], classes: Sequence[str]) -> Figure:
    """A point a picture at its place by principal components or UMAP; misclassified ones in a ring.

    Of at most `MOST_CLASSES` classes each has its colour and shape; of more, only right and wrong are told apart.

    Args:
        embedded: N pictures, at least one.
        labels: int64 [N].
        wrong: bool [N].
        classes: Names.
    """
    points, words = _places(embedded.features, embedded.method)
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
    dress(axes, words[0], words[1])
    return figure

"""ROC and precision-recall curves, each class against all others."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.metrics import Floats
from fovea.inspection.drawing import COLOURS, GREY, blank, dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fovea.evaluation.outcome import Outcome

MOST_LINES = 10  # classes that have a line each
_WORST = 5  # of more classes, those that rank worst
_GRID = np.linspace(0, 1, 201)
_LETTERS = 36  # in a line of the legend


@dataclass(frozen=True, eq=False)
class Curves:
    """What a class's probabilities give as the threshold falls; arrays start with the highest threshold.

    Attributes:
        false_positive_rate: Part of the other classes' pictures at or above the threshold, from 0.
        true_positive_rate: Part of the class's pictures there, from 0.
        recall: `true_positive_rate` without its first point.
        precision: Part of the pictures at or above the threshold that are of the class.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    recall: Floats
    precision: Floats

    @property
    def average_precision(self) -> float:
        """Mean precision over the recall, in steps, without interpolation."""
        return float((np.diff(self.recall, prepend=0.0) * self.precision).sum())

    def true_positives_at(self, rates: Floats) -> Floats:
        """True positive rate at each false positive rate."""
        found: Floats = np.interp(rates, self.false_positive_rate, self.true_positive_rate)
        return found

    def precision_at(self, recalls: Floats) -> Floats:
        """The best precision with at least each recall (Everingham et al. 2010, section 4.2)."""
        best = np.maximum.accumulate(self.precision[::-1])[::-1]
        found: Floats = best[np.minimum(np.searchsorted(self.recall, recalls, "left"), len(best) - 1)]
        return found


def curves(probabilities: Floats, inside: NDArray[np.bool_]) -> Curves:
    """The curves of one class; pictures of equal probability pass the threshold together.

    Args:
        probabilities: Of the class, float64 [N].
        inside: bool [N], whether a picture is of the class; at least one is, and one is not.
    """
    order = np.argsort(-probabilities, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    hits = np.cumsum(inside[order])[ends]
    misses = ends + 1 - hits
    recall = hits / hits[-1]
    return Curves(np.append(0.0, misses / misses[-1]), np.append(0.0, recall), recall, hits / (ends + 1))


def one_against_rest(outcome: Outcome) -> Figure | None:
    """ROC curves to the left, precision-recall curves to the right; None if no class can be told from another.

    Of at most `MOST_LINES` classes each has its line; of more, the mean over the classes, and those that rank worst.
    """
    areas = outcome.roc_areas.areas
    labels = np.flatnonzero(~np.isnan(areas))
    if not len(labels):
        return None
    worst = labels[np.argsort(areas[labels], kind="stable")][:_WORST]
    shown = set((labels if len(labels) <= MOST_LINES else worst).tolist())
    figure = blank(10.5, 3.6)
    roc, pr = figure.subplots(1, 2)
    roc.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    styles, precisions = _styles(), []
    mean_rate, mean_precision = np.zeros_like(_GRID), np.zeros_like(_GRID)
    for label in labels.tolist():
        one = curves(outcome.probabilities[:, label], outcome.labels == label)
        mean_rate += one.true_positives_at(_GRID) / len(labels)
        mean_precision += one.precision_at(_GRID) / len(labels)
        precisions.append(one.average_precision)
        if label in shown:
            style, name = next(styles), outcome.classes[label]
            roc.plot(one.false_positive_rate, one.true_positive_rate, label=_legend(name, areas[label]), **style)
            pr.plot(one.recall, one.precision, label=_legend(name, one.average_precision), **style)
    if len(shown) < len(labels):
        name, thick = f"mean of {len(labels)} classes", {"color": "#000000", "linewidth": 2.5}
        roc.plot(_GRID, mean_rate, label=_legend(name, outcome.roc_areas.macro), **thick)
        pr.plot(_GRID, mean_precision, label=_legend(name, float(np.mean(precisions))), **thick)
    dress(roc, "false positive rate", "true positive rate")
    dress(pr, "recall", "precision")
    _beside(roc, "area")
    _beside(pr, "average precision")
    figure.subplots_adjust(wspace=1.0)
    return figure


def _styles() -> Iterator[dict[str, Any]]:
    """Colours, and once they are used up the same in other strokes."""
    for stroke in ("-", "--", ":"):
        for colour in COLOURS:
            yield {"color": colour, "linestyle": stroke, "linewidth": 1.3}


def _legend(name: str, value: float) -> str:
    return f"{textwrap.fill(name, _LETTERS)} {value:.4f}"


def _beside(axes: Axes, title: str) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    legend = axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), title=title)
    for text in legend.get_texts():
        text.set_parse_math(False)

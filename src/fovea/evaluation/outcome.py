"""The outcome of a test: what was there, what was said, and the tables that follow from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation import bootstrap, metrics, ranking
from fovea.evaluation.metrics import Calibration, Floats, Ints, PerClass
from fovea.evaluation.ranking import RocAreas

if TYPE_CHECKING:
    import pandas as pd

_FIRST = 5  # most probable classes of which one must be right for `test/top5`


@dataclass(frozen=True, eq=False)
class Outcome:
    """Labels and probabilities of N pictures in K classes.

    Attributes:
        classes: Names of the K classes, in the order of the columns of `probabilities`.
        labels: int64 [N].
        probabilities: float64 [N, K].
    """

    classes: Sequence[str]
    labels: Ints
    probabilities: Floats

    @cached_property
    def predicted(self) -> Ints:
        """The most probable class of each picture, int64 [N]; of equal ones the first."""
        best: Ints = self.probabilities.argmax(axis=1)
        return best

    @cached_property
    def confusion(self) -> Ints:
        """Counts int64 [K, K]: row actual, column predicted."""
        return metrics.confusion_matrix(self.predicted, self.labels, len(self.classes))

    @cached_property
    def per_class(self) -> PerClass:
        """Precision, recall, F1 and support of each class."""
        return metrics.per_class(self.confusion)

    @cached_property
    def roc_areas(self) -> RocAreas:
        """Areas under the ROC curves, each class against all others."""
        return ranking.roc_areas(self.probabilities, self.labels)

    @cached_property
    def calibration(self) -> Calibration:
        """Confidence against accuracy."""
        return metrics.calibration(self.probabilities, self.labels)

    def wrong(self, limit: int) -> Ints:
        """Rows of at most `limit` misclassified pictures, those with the surest prediction first."""
        rows = np.flatnonzero(self.predicted != self.labels)
        sureness = self.probabilities[rows, self.predicted[rows]]
        return rows[np.argsort(-sureness, kind="stable")][:limit]

    def right(self, limit: int) -> Ints:
        """Rows of at most `limit` rightly classified pictures, the first of each class."""
        rows = np.flatnonzero(self.predicted == self.labels)
        return rows[np.unique(self.labels[rows], return_index=True)[1][:limit]]

    def least_sure(self, limit: int) -> Ints:
        """Rows of at most `limit` pictures, those with the least probable prediction first, right or wrong."""
        sureness = self.probabilities[np.arange(len(self.labels)), self.predicted]
        order: Ints = np.argsort(sureness, kind="stable")
        return order[:limit]

    def confused_pairs(self, limit: int) -> list[tuple[str, str, int]]:
        """The most frequent mistakes: actual class, predicted class, pictures."""
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        order = np.argsort(-errors, axis=None, kind="stable")[:limit]
        pairs = ((cell // len(self.classes), cell % len(self.classes)) for cell in order)
        return [(self.classes[a], self.classes[p], int(errors[a, p])) for a, p in pairs if errors[a, p]]


def headline(outcome: Outcome, confidence: float) -> dict[str, float]:
    """The headline numbers of the test pictures, and the ends of their intervals as `_low` and `_high`.

    The intervals of accuracies are Wilson's, that of the area under the ROC curve is DeLong's, the others come from the
    bootstrap. The calibration error has none: it is larger in a resample than in the sample it was drawn from. What
    is not defined is left out: `test/auroc` with one class, `test/top5` of at most five.

    Args:
        outcome: Of at least one test picture.
        confidence: Coverage of the intervals, as 0.95.
    """
    count, labels = len(outcome.labels), outcome.labels
    numbers: dict[str, float] = {}

    def tell(name: str, value: float, interval: tuple[float, float]) -> None:
        numbers.update({name: value, f"{name}_low": interval[0], f"{name}_high": interval[1]})

    right = int((outcome.predicted == labels).sum())
    tell("acc", metrics.top1(outcome.predicted, labels), metrics.wilson(right, count, confidence))
    if len(outcome.classes) > _FIRST:
        found = ranking.among_first(outcome.probabilities, labels, _FIRST)
        tell("top5", found / count, metrics.wilson(found, count, confidence))
    losses = metrics.log_losses(outcome.probabilities, labels)
    tell("loss", float(losses.mean()), bootstrap.mean_interval(losses, confidence))
    for name, interval in bootstrap.class_intervals(outcome.confusion, confidence).items():
        tell(name, getattr(outcome.per_class, name), interval)
    areas = outcome.roc_areas
    if not np.isnan(areas.macro):
        tell("auroc", areas.macro, areas.interval(confidence))
    numbers |= {"ece": outcome.calibration.error, "count": count}
    return {f"test/{name}": value for name, value in numbers.items()}


def predictions_table(
    outcome: Outcome, ids: Sequence[str], embeddings: NDArray[np.float32] | None = None
) -> pd.DataFrame:
    """A row a picture: id, label, predicted, probability (of the prediction), probabilities (of all K classes).

    The order of the K classes stands in `attrs["classes"]`.

    Args:
        outcome: Of N pictures.
        ids: Of the pictures.
        embeddings: float32 [N, D], a last column `embedding`; None: no such column.
    """
    import pandas as pd

    probabilities = outcome.probabilities.astype(np.float32)
    table = pd.DataFrame(
        {
            "id": list(ids),
            **_names(outcome),
            "probability": probabilities[np.arange(len(probabilities)), outcome.predicted],
            "probabilities": list(probabilities),
        }
    )
    if embeddings is not None:
        table["embedding"] = list(embeddings)
    table.attrs["classes"] = list(outcome.classes)
    return table


def confusion_table(outcome: Outcome) -> pd.DataFrame:
    """A row a picture, columns actual and predicted: what DVC's `confusion` plot counts."""
    import pandas as pd

    names = _names(outcome)
    return pd.DataFrame({"actual": names["label"], "predicted": names["predicted"]})


def per_class_table(outcome: Outcome) -> pd.DataFrame:
    """A row a class: class, precision, recall, f1, auroc (against all others), support; what is not defined is NaN."""
    import pandas as pd

    numbers = outcome.per_class
    columns = {"precision": numbers.precision, "recall": numbers.recall, "f1": numbers.f1}
    columns |= {"auroc": outcome.roc_areas.areas}
    return pd.DataFrame({"class": list(outcome.classes), **columns, "support": numbers.support})


def _names(outcome: Outcome) -> dict[str, list[str]]:
    def named(rows: Ints) -> list[str]:
        return [outcome.classes[row] for row in rows.tolist()]

    return {"label": named(outcome.labels), "predicted": named(outcome.predicted)}

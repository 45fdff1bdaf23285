"""The outcome of a test: what was there, what was said, and the tables that follow from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fovea.evaluation import metrics
from fovea.evaluation.metrics import Calibration, Floats, Ints, PerClass

if TYPE_CHECKING:
    import pandas as pd


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
    def calibration(self) -> Calibration:
        """Confidence against accuracy."""
        return metrics.calibration(self.probabilities, self.labels)

    def wrong(self, limit: int) -> Ints:
        """Rows of at most `limit` misclassified pictures, those with the surest prediction first."""
        rows = np.flatnonzero(self.predicted != self.labels)
        sureness = self.probabilities[rows, self.predicted[rows]]
        return rows[np.argsort(-sureness, kind="stable")][:limit]

    def confused_pairs(self, limit: int) -> list[tuple[str, str, int]]:
        """The most frequent mistakes: actual class, predicted class, pictures."""
        errors = self.confusion.copy()
        np.fill_diagonal(errors, 0)
        order = np.argsort(-errors, axis=None, kind="stable")[:limit]
        pairs = ((cell // len(self.classes), cell % len(self.classes)) for cell in order)
        return [(self.classes[a], self.classes[p], int(errors[a, p])) for a, p in pairs if errors[a, p]]


def headline(outcome: Outcome, confidence: float) -> dict[str, float]:
    """The headline numbers of the test pictures; the ends of the accuracy's interval are Wilson's.

    Args:
        outcome: Of at least one test picture.
        confidence: Coverage of the interval, as 0.95.
    """
    count = len(outcome.labels)
    right = int((outcome.predicted == outcome.labels).sum())
    low, high = metrics.wilson(right, count, confidence)
    return {
        "test/acc": metrics.top1(outcome.predicted, outcome.labels),
        "test/acc_low": low,
        "test/acc_high": high,
        "test/loss": metrics.log_loss(outcome.probabilities, outcome.labels),
        "test/macro_f1": outcome.per_class.macro_f1,
        "test/ece": outcome.calibration.error,
        "test/count": count,
    }


def predictions_table(outcome: Outcome, ids: Sequence[str]) -> pd.DataFrame:
    """A row a picture: id, label, predicted, probability (of the prediction), probabilities (of all K classes).

    The order of the K classes stands in `attrs["classes"]`.
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
    table.attrs["classes"] = list(outcome.classes)
    return table


def confusion_table(outcome: Outcome) -> pd.DataFrame:
    """A row a picture, columns actual and predicted: what DVC's `confusion` plot counts."""
    import pandas as pd

    names = _names(outcome)
    return pd.DataFrame({"actual": names["label"], "predicted": names["predicted"]})


def per_class_table(outcome: Outcome) -> pd.DataFrame:
    """A row a class: class, precision, recall, f1, support; a number that is not defined is NaN."""
    import pandas as pd

    numbers = outcome.per_class
    columns = {"precision": numbers.precision, "recall": numbers.recall, "f1": numbers.f1, "support": numbers.support}
    return pd.DataFrame({"class": list(outcome.classes), **columns})


def _names(outcome: Outcome) -> dict[str, list[str]]:
    def named(rows: Ints) -> list[str]:
        return [outcome.classes[row] for row in rows.tolist()]

    return {"label": named(outcome.labels), "predicted": named(outcome.predicted)}

"""Intervals by the bootstrap: what a number would have been with other test pictures.

Each resample draws as many pictures as there are, with replacement; the interval lies between two percentiles of the
resamples' numbers (Efron and Tibshirani 1993, chapter 13). The draws come from a fixed seed: the same pictures and
probabilities give the same intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.metrics import Floats, Ints

RESAMPLES = 1000
_SEED = 0
_DRAWN = 100_000  # pictures drawn at a time: they stay in the processor's cache

Interval = tuple[float, float]


def mean_interval(values: Floats, confidence: float, resamples: int = RESAMPLES) -> Interval:
    """Of the mean of a number that each picture has, as its loss.

    Args:
        values: float64 [N], N at least 1.
        confidence: Coverage, as 0.95.
        resamples: How many.
    """
    rng, count = np.random.default_rng(_SEED), len(values)
    at_once = max(1, _DRAWN // count)
    parts = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    means = [values.take(rng.integers(0, count, (part, count), np.int32)).mean(axis=1) for part in parts]
    return _percentiles(np.concatenate(means), confidence)


def class_intervals(confusion: Ints, confidence: float, resamples: int = RESAMPLES) -> Mapping[str, Interval]:
    """Of balanced accuracy (`balanced_acc`) and macro F1 (`macro_f1`).

    Both follow from the confusion matrix, and to draw pictures is to draw its cells: one multinomial draw a resample.

    Args:
        confusion: Counts int64 [K, K], at least one.
        confidence: Coverage, as 0.95.
        resamples: How many.
    """
    rows, columns = np.nonzero(confusion)
    cells = confusion[rows, columns]
    count = int(cells.sum())
    drawn = np.random.default_rng(_SEED).multinomial(count, cells / count, size=resamples)
    labels = np.union1d(rows, columns)
    actual, predicted = _sums(drawn, rows, labels), _sums(drawn, columns, labels)
    on_diagonal = rows == columns
    hits = _sums(drawn[:, on_diagonal], rows[on_diagonal], labels)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, f1 = hits / actual, 2 * hits / (actual + predicted)
    return {
        "balanced_acc": _percentiles(np.nanmean(recall, axis=1), confidence),
        "macro_f1": _percentiles(np.nanmean(f1, axis=1), confidence),
    }


def _sums(drawn: NDArray[Any], groups: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """Sums [R, len(labels)] of the columns of `drawn` [R, C] that belong to each label; 0 for a label without any."""
    sums = np.zeros((len(drawn), len(labels)))
    if len(groups):
        order = np.argsort(groups, kind="stable")
        present, starts = np.unique(groups[order], return_index=True)
        sums[:, np.searchsorted(labels, present)] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return sums


def _percentiles(numbers: Floats, confidence: float) -> Interval:
    low, high = np.quantile(numbers, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)

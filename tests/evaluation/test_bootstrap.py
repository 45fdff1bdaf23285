"""Intervals of resampled pictures, against the theory and against drawing them one by one."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from fovea.evaluation.bootstrap import class_intervals, mean_interval
from fovea.evaluation.metrics import confusion_matrix


def test_the_interval_of_a_mean_is_about_two_errors_wide_to_each_side() -> None:
    values = np.random.default_rng(1).normal(3, 2, 5000)
    low, high = mean_interval(values, 0.95)
    error = values.std() / 5000**0.5
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.2 * error)


def test_many_pictures_are_drawn_in_parts_to_the_same_end() -> None:
    values = np.random.default_rng(1).normal(size=3_000_000)
    low, high = mean_interval(values, 0.5, resamples=3)
    assert low < high < 0.01


def test_class_numbers_agree_with_pictures_drawn_one_by_one() -> None:
    rng = np.random.default_rng(2)
    labels = rng.choice(4, 300, p=[0.6, 0.3, 0.09, 0.01])
    predicted = np.where(rng.random(300) < 0.7, labels, rng.integers(0, 4, 300))
    found = class_intervals(confusion_matrix(predicted, labels, 5), 0.9)
    drawn = []
    for _ in range(400):
        rows = rng.integers(0, 300, 300)
        one, other = labels[rows], predicted[rows]
        present = np.unique(one)
        recall = sklearn.metrics.recall_score(one, other, labels=present, average="macro")
        drawn.append((recall, sklearn.metrics.f1_score(one, other, average="macro")))
    expected = np.quantile(drawn, [0.05, 0.95], axis=0).T
    assert found["balanced_acc"] == pytest.approx(expected[0], abs=0.03)
    assert found["macro_f1"] == pytest.approx(expected[1], abs=0.03)


def test_pictures_that_are_all_wrong_have_an_interval_at_zero() -> None:
    found = class_intervals(confusion_matrix(np.array([1, 1]), np.array([0, 0]), 2), 0.95)
    assert found == {"balanced_acc": (0.0, 0.0), "macro_f1": (0.0, 0.0)}


def test_the_same_pictures_give_the_same_interval() -> None:
    values = np.arange(10.0)
    assert mean_interval(values, 0.9) == mean_interval(values, 0.9)

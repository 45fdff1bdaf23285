"""The numbers, against hand-made values, scikit-learn and torchmetrics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
import torch
import torchmetrics.functional.classification as reference

from fovea.core.errors import RunError
from fovea.evaluation import metrics


@pytest.fixture(scope="module", params=[2, 3, 10], ids="{} classes".format)
def sample(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Probabilities and labels of 500 pictures, about two thirds of them right."""
    rng = np.random.default_rng(request.param)
    labels = rng.integers(0, request.param, 500)
    logits = rng.normal(size=(500, request.param))
    logits[np.arange(500), labels] += 1.5
    return metrics.softmax(logits), labels


def test_softmax_gives_rows_that_sum_to_one_whatever_the_size_of_the_logits() -> None:
    probabilities = metrics.softmax(np.array([[1000.0, 1000.0], [-1000.0, 1000.0]], np.float32))
    assert probabilities.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_softmax_leaves_its_input_as_it_is() -> None:
    logits = np.array([[1.0, 2.0]])
    metrics.softmax(logits)
    assert logits.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_numbers_are_a_diverged_training(value: float) -> None:
    with pytest.raises(RunError, match="for 1 of 2 pictures: training diverged"):
        metrics.softmax(np.array([[0.0, 1.0], [value, 0.0]]))


def test_accuracy_and_log_loss_agree_with_scikit_learn(sample: tuple[Any, Any]) -> None:
    probabilities, labels = sample
    predicted = probabilities.argmax(axis=1)
    assert metrics.top1(predicted, labels) == sklearn.metrics.accuracy_score(labels, predicted)
    assert metrics.log_loss(probabilities, labels) == pytest.approx(sklearn.metrics.log_loss(labels, probabilities))


def test_log_loss_of_an_impossible_right_class_is_large_but_finite() -> None:
    assert metrics.log_loss(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(708.396, abs=0.001)


def test_without_pictures_there_is_no_accuracy_and_no_loss() -> None:
    nothing = np.zeros(0, np.int64)
    assert math.isnan(metrics.top1(nothing, nothing))
    assert math.isnan(metrics.log_loss(np.zeros((0, 3)), nothing))


def test_confusion_matrix_has_actual_rows_and_predicted_columns() -> None:
    counts = metrics.confusion_matrix(np.array([1, 1, 0]), np.array([0, 1, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_per_class_numbers_agree_with_scikit_learn(sample: tuple[Any, Any]) -> None:
    probabilities, labels = sample
    predicted = probabilities.argmax(axis=1)
    found = metrics.per_class(metrics.confusion_matrix(predicted, labels, probabilities.shape[1]))
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(labels, predicted)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.recall, recall)
    np.testing.assert_allclose(found.f1, f1)
    assert found.support.tolist() == support.tolist()
    assert found.macro_f1 == pytest.approx(sklearn.metrics.f1_score(labels, predicted, average="macro"))


def test_a_class_without_pictures_has_no_numbers_and_no_part_in_the_mean() -> None:
    predicted, labels = np.array([0, 1, 1]), np.array([0, 1, 0])
    found = metrics.per_class(metrics.confusion_matrix(predicted, labels, 4))
    assert np.isnan(found.precision[2:]).all()
    assert np.isnan(found.recall[2:]).all()
    assert np.isnan(found.f1[2:]).all()
    other = reference.multiclass_f1_score(torch.tensor(predicted), torch.tensor(labels), num_classes=4)
    assert found.macro_f1 == pytest.approx(float(other))


def test_a_class_that_is_predicted_but_not_there_counts_as_zero() -> None:
    found = metrics.per_class(metrics.confusion_matrix(np.array([0, 1]), np.array([0, 0]), 2))
    assert found.precision.tolist() == [1.0, 0.0]
    assert math.isnan(found.recall[1])
    assert found.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


def test_one_class_alone_is_perfect() -> None:
    found = metrics.per_class(metrics.confusion_matrix(np.zeros(5, int), np.zeros(5, int), 1))
    assert (found.macro_f1, found.support.tolist()) == (1.0, [5])


def test_calibration_error_agrees_with_torchmetrics(sample: tuple[Any, Any]) -> None:
    probabilities, labels = sample
    found = metrics.calibration(probabilities, labels)
    other = reference.multiclass_calibration_error(
        torch.tensor(probabilities), torch.tensor(labels), num_classes=probabilities.shape[1], n_bins=15, norm="l1"
    )
    assert found.error == pytest.approx(float(other), abs=1e-6)
    assert found.count.sum() == 500


def test_calibration_of_a_sure_model_that_is_right_half_the_time() -> None:
    found = metrics.calibration(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))
    assert found.error == 0.5
    assert found.count.tolist() == [0] * 14 + [2]
    assert np.isnan(found.accuracy[:14]).all()


def test_the_upper_edge_of_a_bin_belongs_to_it() -> None:
    assert metrics.calibration(np.array([[0.5, 0.5]]), np.array([0]), bins=2).count.tolist() == [1, 0]


@pytest.mark.parametrize(("right", "count"), [(983, 1000), (5, 10), (0, 10), (10, 10), (1, 1)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_wilson_interval_agrees_with_scipy(right: int, count: int, confidence: float) -> None:
    other = scipy.stats.binomtest(right, count).proportion_ci(confidence, method="wilson")
    assert metrics.wilson(right, count, confidence) == pytest.approx((other.low, other.high), abs=1e-12)


def test_wilson_interval_widens_with_the_confidence_and_is_everything_without_pictures() -> None:
    narrow, wide = metrics.wilson(90, 100, 0.8), metrics.wilson(90, 100, 0.99)
    assert wide[0] < narrow[0] < 0.9 < narrow[1] < wide[1]
    assert metrics.wilson(0, 0, 0.95) == (0.0, 1.0)

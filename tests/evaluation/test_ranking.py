"""Ranking numbers, against scikit-learn and the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from fovea.evaluation.metrics import Floats, Ints, softmax
from fovea.evaluation.ranking import among_first, roc_areas


@pytest.fixture(scope="module")
def sample() -> tuple[Floats, Ints]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 7, 400)
    logits = rng.normal(size=(400, 7)).round(1)  # so that some are equal
    logits[np.arange(400), labels] += 1
    return softmax(logits), labels


@pytest.mark.parametrize("count", [1, 3, 5])
def test_pictures_among_the_first_agree_with_scikit_learn(sample: tuple[Floats, Ints], count: int) -> None:
    rng = np.random.default_rng(2)
    probabilities, labels = softmax(rng.normal(size=(300, 7))), rng.integers(0, 7, 300)
    other = sklearn.metrics.top_k_accuracy_score(labels, probabilities, k=count, normalize=False)
    assert among_first(probabilities, labels, count) == other


def test_the_first_of_equal_ones_comes_first_as_in_the_prediction(sample: tuple[Floats, Ints]) -> None:
    probabilities, labels = sample
    assert among_first(probabilities, labels, 1) == (probabilities.argmax(axis=1) == labels).sum()
    assert among_first(np.full((2, 3), 1 / 3), np.array([0, 2]), 2) == 1


def test_areas_agree_with_scikit_learn(sample: tuple[Floats, Ints]) -> None:
    probabilities, labels = sample
    found = roc_areas(probabilities, labels)
    for label in range(7):
        other = sklearn.metrics.roc_auc_score(labels == label, probabilities[:, label])
        assert found.areas[label] == pytest.approx(other)
    assert found.macro == pytest.approx(sklearn.metrics.roc_auc_score(labels, probabilities, multi_class="ovr"))


def test_the_error_agrees_with_that_of_resampled_pictures(sample: tuple[Floats, Ints]) -> None:
    probabilities, labels = sample
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(labels), (200, len(labels)))
    spread = np.std([roc_areas(probabilities[row], labels[row]).macro for row in rows])
    assert roc_areas(probabilities, labels).error == pytest.approx(spread, rel=0.15)


def de_long(scores: Floats, positive: Ints) -> float:
    """The variance of one area as the paper writes it: S10 / m + S01 / n, with sample variances of the components."""
    first, second = scores[positive == 1], scores[positive == 0]
    wins = np.array([[float(one > other) + (one == other) / 2 for other in second] for one in first])
    parts = [np.var(wins.mean(axis=axis), ddof=1) / count for axis, count in ((1, len(first)), (0, len(second)))]
    return float(sum(parts))


@pytest.mark.parametrize("positives", [2, 5, 30])
def test_the_error_of_two_classes_is_that_of_the_paper(positives: int) -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat([1, 0], [positives, 12])
    scores = (1 / (1 + np.exp(-(rng.normal(size=len(labels)) + labels)))).round(1)  # so that some are equal
    found = roc_areas(np.stack([1 - scores, scores], axis=1), labels)
    assert 0.5 < found.macro < 1
    assert found.error == pytest.approx(np.sqrt(de_long(scores, labels)), rel=1e-12)


def test_a_class_with_one_picture_shows_no_variance_of_its_own() -> None:
    scores, labels = np.array([0.6, 0.2, 0.5, 0.7, 0.4]), np.array([1, 0, 0, 0, 0])
    found = roc_areas(np.stack([1 - scores, scores], axis=1), labels)
    assert found.macro == 0.75
    assert found.error == pytest.approx(np.sqrt(np.var([1, 1, 0, 1], ddof=1) / 4))


def test_a_class_without_pictures_has_no_area_and_no_part_in_the_mean() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1]])
    found = roc_areas(probabilities, np.array([0, 1, 1]))
    assert found.areas[:2].tolist() == [1.0, 1.0]
    assert np.isnan(found.areas[2])
    assert (found.macro, found.interval(0.95)) == (1.0, (1.0, 1.0))


def test_one_class_alone_cannot_be_ranked() -> None:
    found = roc_areas(np.ones((3, 1)), np.zeros(3, np.int64))
    assert np.isnan(found.macro)


def test_the_interval_stays_in_its_bounds_and_widens_with_the_confidence(sample: tuple[Floats, Ints]) -> None:
    found = roc_areas(*sample)
    narrow, wide = found.interval(0.8), found.interval(0.99)
    assert 0 < wide[0] < narrow[0] < found.macro < narrow[1] < wide[1] < 1

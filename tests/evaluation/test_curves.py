"""Curves against scikit-learn, and which of them are drawn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from fovea.evaluation.curves import MOST_LINES, curves, one_against_rest
from fovea.evaluation.metrics import softmax
from fovea.evaluation.outcome import Outcome


def outcome_of(classes: int, count: int = 300) -> Outcome:
    rng = np.random.default_rng(classes)
    labels = np.arange(count) % classes
    logits = rng.normal(size=(count, classes)).round(1)
    logits[np.arange(count), labels] += 1
    return Outcome([f"class {label}" for label in range(classes)], labels, softmax(logits))


def names(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_points_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    scores, inside = rng.random(200).round(1), rng.random(200) < 0.3
    found = curves(scores, inside)
    false, true, _ = sklearn.metrics.roc_curve(inside, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, false)
    np.testing.assert_allclose(found.true_positive_rate, true)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(inside, scores)
    np.testing.assert_allclose(found.recall, recall[-2::-1])
    np.testing.assert_allclose(found.precision, precision[-2::-1])
    assert found.average_precision == pytest.approx(sklearn.metrics.average_precision_score(inside, scores))


def test_precision_at_a_recall_is_the_best_that_keeps_it() -> None:
    found = curves(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    assert found.precision_at(np.array([0.0, 0.5, 0.6, 1.0])) == pytest.approx([1, 1, 2 / 3, 2 / 3])
    assert found.true_positives_at(np.array([1.0])).tolist() == [1.0]


def test_each_of_a_few_classes_has_its_lines_with_its_area() -> None:
    outcome = outcome_of(3)
    roc, pr = one_against_rest(outcome).axes
    assert names(roc) == [f"class {label} {outcome.roc_areas.areas[label]:.4f}" for label in range(3)]
    assert [name.rpartition(" ")[0] for name in names(pr)] == ["class 0", "class 1", "class 2"]


def test_of_many_classes_the_worst_and_the_mean_are_drawn() -> None:
    outcome = outcome_of(MOST_LINES + 2)
    roc, pr = one_against_rest(outcome).axes
    worst = np.sort(np.argsort(outcome.roc_areas.areas)[:5]).tolist()
    expected = [*(f"class {label}" for label in worst), f"mean of {MOST_LINES + 2} classes"]
    assert [name.rpartition(" ")[0] for name in names(roc)] == expected
    assert names(roc)[-1].endswith(f"{outcome.roc_areas.macro:.4f}")
    assert [name.rpartition(" ")[0] for name in names(pr)] == expected


def test_one_class_alone_has_no_curves() -> None:
    assert one_against_rest(Outcome(["a"], np.zeros(3, np.int64), np.ones((3, 1)))) is None


def test_long_names_are_whole_and_never_formulas() -> None:
    name = "$x^{ " + "a long description " * 5
    one = one_against_rest(Outcome([name, "b"], np.array([0, 1]), np.array([[0.7, 0.3], [0.6, 0.4]])))
    text = one.axes[0].get_legend().get_texts()[0]
    assert text.get_text().split()[:-1] == name.split()
    assert not text.get_parse_math()

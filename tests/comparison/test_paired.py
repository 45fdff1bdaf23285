"""The tests of two classifiers, against SciPy, against resampling picture by picture, and against published numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from fovea.comparison.paired import Agreement, agreement, bootstrap, holm, mcnemar


def test_who_was_right_where_is_counted() -> None:
    first = np.array([True, True, True, False, False, False])
    second = np.array([True, False, False, True, False, False])
    counts = agreement(first, second)
    assert counts == Agreement(both=1, only_first=2, only_second=1, neither=2)
    assert counts.count == 6
    assert counts.difference == pytest.approx(second.mean() - first.mean())
    assert np.isnan(agreement(first[:0], second[:0]).difference)


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (0, 1), (1, 0), (3, 3), (13, 44), (44, 13), (0, 12), (500, 561)])
def test_mcnemar_is_the_exact_two_sided_binomial_test(lost: int, won: int) -> None:
    expected = binomtest(lost, lost + won, 0.5).pvalue if lost + won else 1.0
    assert mcnemar(Agreement(900, lost, won, 7)) == pytest.approx(expected, rel=1e-9)


def test_a_published_example_of_mcnemar() -> None:
    # Agresti (2013), table 11.1: 794 approve, 150 change to disapproval and 86 to approval; z = 4.2.
    assert mcnemar(Agreement(794, 150, 86, 570)) == pytest.approx(3.7e-5, rel=0.05)


def test_the_interval_is_that_of_resampled_pictures() -> None:
    counts = Agreement(both=900, only_first=13, only_second=44, neither=55)
    differences = np.repeat([0, -1, 1], [955, 13, 44])
    generator = np.random.default_rng(1)
    drawn = [differences[generator.integers(1012, size=1012)].mean() for _ in range(4000)]
    assert bootstrap(counts, 0.95) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=1e-3)
    assert bootstrap(counts, 0.95) == bootstrap(counts, 0.95)
    narrow, wide = bootstrap(counts, 0.5), bootstrap(counts, 0.99)
    assert wide[0] < narrow[0] < counts.difference < narrow[1] < wide[1]


@pytest.mark.parametrize("count", [1, 12, 1012])
def test_classifiers_that_agree_everywhere_may_differ_on_pictures_that_were_not_there(count: int) -> None:
    exact = binomtest(0, count).proportion_ci(0.95).high
    assert bootstrap(Agreement(count, 0, 0, 0), 0.95) == pytest.approx((-exact, exact))
    assert bootstrap(Agreement(0, 0, 0, count), 0.95) == pytest.approx((-exact, exact))


def test_the_interval_of_classifiers_that_differ_everywhere_is_a_point() -> None:
    assert bootstrap(Agreement(0, 3, 0, 0), 0.95) == (-1.0, -1.0)


def test_holms_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.3]) == [0.3]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []

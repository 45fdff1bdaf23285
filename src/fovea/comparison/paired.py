"""Tests of two classifiers on the same pictures, in pure functions of who was right where.

Everywhere: `first` and `second` are bool [N], whether each classifier was right about each of N pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

RESAMPLES = 10_000


@dataclass(frozen=True)
class Agreement:
    """Counts of pictures.

    Attributes:
        both: Both were right.
        only_first: The first was right, the second wrong.
        only_second: The second was right, the first wrong.
        neither: Both were wrong.
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def count(self) -> int:
        """All pictures."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first; NaN without pictures."""
        return (self.only_second - self.only_first) / self.count if self.count else float("nan")


def agreement(first: Bools, second: Bools) -> Agreement:
    """Counts who was right where."""
    return Agreement(
        both=int((first & second).sum()),
        only_first=int((first & ~second).sum()),
        only_second=int((~first & second).sum()),
        neither=int((~first & ~second).sum()),
    )


def mcnemar(counts: Agreement) -> float:
    """The exact two-sided p-value of McNemar's test (McNemar 1947, in the binomial form of Dietterich 1998, section 3).

    If both classifiers are equally good, each picture about which just one was right falls to either like a fair coin.
    Without such pictures it is 1.
    """
    from scipy.stats import binom

    discordant = counts.only_first + counts.only_second
    tail = binom.cdf(min(counts.only_first, counts.only_second), discordant, 0.5)
    return min(1.0, 2 * float(tail))


def bootstrap(counts: Agreement, confidence: float, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the accuracy difference, from resampled pictures (Efron and Tibshirani 1993, chapter 13).

    Drawing N of the N pictures again and again keeps of each picture only whether the difference there is -1, 0 or 1,
    so that the counts of a resample are drawn at once, from the multinomial distribution.

    Where no picture tells the two apart, resamples know only the difference 0, however few pictures there are. Then the
    ends are the exact ones of Clopper and Pearson (1934) for a part of which none was found ("rule of three"): of the
    pictures that the first alone has right, and of those that the second alone has.

    Args:
        counts: Of at least one picture.
        confidence: Coverage, in 0..1 without its ends.
        seed: Of the resamples; the same gives the same interval.
    """
    if not counts.only_first + counts.only_second:
        most = 1 - ((1 - confidence) / 2) ** (1 / counts.count)
        return -most, most
    lost, won = counts.only_first / counts.count, counts.only_second / counts.count
    draws = np.random.default_rng(seed).multinomial(counts.count, [lost, won, max(0.0, 1 - lost - won)], RESAMPLES)
    differences = (draws[:, 1] - draws[:, 0]) / counts.count
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def holm(values: Sequence[float]) -> list[float]:
    """P-values of several tests, corrected so that all together err no more often than one alone (Holm 1979).

    Args:
        values: Uncorrected p-values.

    Returns:
        The corrected ones, in the same order, at most 1.
    """
    order = sorted(range(len(values)), key=lambda place: values[place])
    corrected = [1.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = highest
    return corrected

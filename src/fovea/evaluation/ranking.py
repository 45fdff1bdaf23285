"""How well probabilities rank: the right class among the others, and a class's pictures before those of the others."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fovea.evaluation.metrics import Floats, Ints


def among_first(probabilities: Floats, labels: Ints, count: int) -> int:
    """Pictures whose right class is among the `count` most probable; of equal ones the first comes first."""
    right = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    rank = (probabilities > right).sum(axis=1) + ((probabilities == right) & before).sum(axis=1)
    return int((rank < count).sum())


@dataclass(frozen=True, eq=False)
class RocAreas:
    """Areas under the ROC curves of each class against all others.

    Attributes:
        areas: float64 [K]; NaN for a class that has no pictures, or all of them.
        error: Standard error of their mean over the classes that have one (DeLong, DeLong and Clarke-Pearson 1988).
    """

    areas: Floats
    error: float

    @property
    def macro(self) -> float:
        """Mean over the classes that have an area; NaN if none has."""
        defined = self.areas[~np.isnan(self.areas)]
        return float(defined.mean()) if len(defined) else float("nan")

    def interval(self, confidence: float) -> tuple[float, float]:
        """The mean's, normal on the scale of its logit, so that it stays in 0..1; of a perfect ranking (1, 1)."""
        area = self.macro
        if not 0 < area < 1:
            return area, area
        half = NormalDist().inv_cdf((1 + confidence) / 2) * self.error / (area * (1 - area))
        odds = area / (1 - area)
        low, high = odds * np.exp(-half), odds * np.exp(half)
        return float(low / (1 + low)), float(1 - 1 / (1 + high))


def roc_areas(probabilities: Floats, labels: Ints) -> RocAreas:
    """The probability that a picture of a class is given more of it than one of another class, for each class.

    Equal probabilities count half. The error follows from what each picture adds to the mean of the areas, whose
    classes share pictures; it needs no resampling. A class with one picture shows no variance of its own: what another
    picture of it would have given is not in the error, which is too small by that.
    """
    count, classes = probabilities.shape
    areas = np.full(classes, np.nan)
    influence = np.zeros(count)
    for label in np.unique(labels).tolist():
        inside = labels == label
        own, others = probabilities[inside, label], probabilities[~inside, label]
        if not len(others):
            continue
        above = _part_below(np.sort(others), own)
        areas[label] = area = float(above.mean())
        influence[inside] += _parts(above - area)
        influence[~inside] += _parts(1 - _part_below(np.sort(own), others) - area)
    defined = max(1, int((~np.isnan(areas)).sum()))
    return RocAreas(areas, float(np.sqrt((influence**2).sum())) / defined)


def _parts(deviations: Floats) -> Floats:
    """Deviations from a mean, scaled so that their squares sum to its variance: that of the sample (n - 1) over n."""
    count = len(deviations)
    scaled: Floats = deviations / np.sqrt(count * max(1, count - 1))
    return scaled


def _part_below(ordered: Floats, values: Floats) -> Floats:
    """For each value the part of `ordered` below it, equal ones by half."""
    found: Floats = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (
        2.0 * len(ordered)
    )
    return found

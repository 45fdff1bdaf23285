"""What a classifier is worth, in pure functions of probabilities and labels.

Everywhere: `probabilities` is float64 [N, K] with rows that sum to 1, `labels` and `predicted` are int64 [N] in 0..K-1.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CALIBRATION_BINS = 15


def softmax(logits: NDArray[Any]) -> Floats:
    """Probabilities [N, K] of logits [N, K].

    Raises:
        RunError: A logit is not a finite number, as after a training that diverged.
    """
    powers = under_zero(logits)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def under_zero(logits: NDArray[Any]) -> Floats:
    """Logits [N, K] less the largest of their row, which have the same softmax and no power that overflows.

    Raises:
        RunError: A logit is not a finite number, as after a training that diverged.
    """
    broken = int((~np.isfinite(logits).all(axis=1)).sum())
    if broken:
        raise RunError(
            f"the model gives NaN or infinity for {broken} of {len(logits)} pictures: training diverged; "
            "train again with a lower optimizer.lr or with trainer.gradient_clip_norm set"
        )
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    return shifted


def top1(predicted: Ints, labels: Ints) -> float:
    """Part of the pictures whose most probable class is the right one; NaN without pictures."""
    return float(np.mean(predicted == labels)) if len(labels) else float("nan")


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """Mean negative log likelihood of the right class, in nats; NaN without pictures.

    A probability that underflowed to zero counts as the least positive normal float64 (708 nats).
    """
    return float(log_losses(probabilities, labels).mean()) if len(labels) else float("nan")


def log_losses(probabilities: Floats, labels: Ints) -> Floats:
    """Negative log likelihood of each picture's right class, in nats, float64 [N]; its mean is `log_loss`."""
    right = probabilities[np.arange(len(labels)), labels]
    losses: Floats = -np.log(np.maximum(right, np.finfo(np.float64).tiny))
    return losses


def confusion_matrix(predicted: Ints, labels: Ints, num_classes: int) -> Ints:
    """Counts, int64 [K, K]: the row is the actual class, the column the predicted one."""
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes * num_classes)
    return cells.astype(np.int64).reshape(num_classes, num_classes)


@dataclass(frozen=True)
class PerClass:
    """Numbers of each class, arrays [K]; NaN where a number is not defined.

    Attributes:
        precision: Part of the pictures predicted as the class that are of it; undefined if none was predicted so.
        recall: Part of the class's pictures predicted as it; undefined without pictures of the class.
        f1: Harmonic mean of both, ``2 tp / (2 tp + fp + fn)``; undefined if neither actual nor predicted.
        support: Pictures of the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints

    @property
    def balanced_acc(self) -> float:
        """Mean recall of the classes that have pictures (Brodersen et al. 2010)."""
        defined = self.recall[~np.isnan(self.recall)]
        return float(defined.mean()) if len(defined) else float("nan")

    @property
    def macro_f1(self) -> float:
        """Mean of F1 over the classes for which it is defined (as scikit-learn and torchmetrics take it)."""
        defined = self.f1[~np.isnan(self.f1)]
        return float(defined.mean()) if len(defined) else float("nan")


def per_class(confusion: Ints) -> PerClass:
    """Precision, recall, F1 and support of each class of a confusion matrix [K, K]."""
    hits = np.diag(confusion).astype(np.float64)
    actual, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return PerClass(hits / predicted, hits / actual, 2 * hits / (actual + predicted), actual)


@dataclass(frozen=True)
class Calibration:
    """How confidence and accuracy agree, in bins of equal width, arrays [bins] (Guo et al. 2017, section 2).

    Attributes:
        count: Pictures whose confidence, the probability of the predicted class, lies in the bin.
        confidence: Mean confidence in the bin; NaN in an empty one.
        accuracy: Top-1 accuracy in the bin; NaN in an empty one.
    """

    count: Ints
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: mean of |accuracy - confidence| over the pictures (ibid., equation 3)."""
        full = self.count > 0
        gaps = np.abs(self.accuracy[full] - self.confidence[full])
        return float((gaps * self.count[full]).sum() / self.count.sum()) if full.any() else float("nan")


def calibration(probabilities: Floats, labels: Ints, bins: int = CALIBRATION_BINS) -> Calibration:
    """Bins ((i - 1) / bins, i / bins] of the confidence of each picture's prediction."""
    confidence = probabilities.max(axis=1)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(which, minlength=bins)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Calibration(
            count.astype(np.int64),
            np.bincount(which, weights=confidence, minlength=bins) / count,
            np.bincount(which, weights=right, minlength=bins) / count,
        )


def wilson(right: int, count: int, confidence: float) -> tuple[float, float]:
    """Score interval of a proportion (Wilson 1927): unlike the normal one it stays in 0..1 and holds near 1.

    Args:
        right: Pictures classified rightly.
        count: Pictures.
        confidence: Coverage, in 0..1 without its ends.

    Returns:
        The lower and the upper end; (0, 1) without pictures.
    """
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = right / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * ((share * (1 - share) + spread / 4) / count) ** 0.5
    low = 0.0 if right == 0 else centre - half
    high = 1.0 if right == count else centre + half
    return low, high

"""Temperature scaling: one number that makes a network's confidence agree with how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.metrics import Floats, Ints, softmax, under_zero

LEAST, MOST = 0.05, 20.0  # a temperature beyond them says that there is nothing to fit
_STEPS = 50
_EXACT = 1e-7  # relative change at which the search ends


def fit_temperature(logits: NDArray[Any], labels: Ints) -> float | None:
    """The temperature T for which softmax(logits / T) has the least log loss (Guo et al. 2017, section 4.2).

    It changes no prediction. The log loss is convex in 1 / T, whose derivatives are the mean and the variance of the
    logits under the probabilities: Newton's method, kept between `LEAST` and `MOST` by bisection.

    Args:
        logits: [N, K] of pictures that the network was not trained on: those of validation.
        labels: int64 [N].

    Returns:
        None where no temperature is best: without pictures, with one class, or if every picture is classified rightly,
        when a smaller temperature is always better.

    Raises:
        RunError: A logit is not a finite number.
    """
    if not len(labels) or logits.shape[1] < 2 or (logits.argmax(axis=1) == labels).all():
        return None
    # Classes first: sums over few classes are several times faster down columns than along rows.
    values = np.ascontiguousarray(under_zero(logits).T)
    right = float(values[labels, np.arange(len(labels))].mean())
    low, high, beta = 1 / MOST, 1 / LEAST, 1.0
    for _ in range(_STEPS):
        slope, curvature = _derivatives(values, right, beta)
        low, high = (low, beta) if slope > 0 else (beta, high)
        newton = beta - slope / curvature if curvature > 0 else low
        following = newton if low < newton < high else (low * high) ** 0.5
        if abs(following - beta) <= _EXACT * beta:
            break
        beta = following
    return 1 / beta


def scaled(logits: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Probabilities [N, K] of logits [N, K] at a temperature."""
    return softmax(logits.astype(np.float64) / temperature)


def _derivatives(values: Floats, right: float, beta: float) -> tuple[float, float]:
    """Of the mean log loss of softmax(beta * values), the first and the second by beta.

    Args:
        values: Logits float64 [K, N], none above zero.
        right: Mean of the logits of the right classes.
        beta: The inverse of the temperature.
    """
    probabilities = np.exp(values * beta)
    probabilities /= probabilities.sum(axis=0)
    mean = (probabilities * values).sum(axis=0)
    variance = (probabilities * (values - mean) ** 2).sum(axis=0)
    return float(mean.mean()) - right, float(variance.mean())

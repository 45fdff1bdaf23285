"""Temperature scaling: one number that makes a network's confidence agree with how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.metrics import Ints, softmax

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
    low, high, beta = 1 / MOST, 1 / LEAST, 1.0
    for _ in range(_STEPS):
        slope, curvature = _derivatives(logits, labels, beta)
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


def _derivatives(logits: NDArray[Any], labels: Ints, beta: float) -> tuple[float, float]:
    """Of the mean log loss of softmax(beta * logits), the first and the second by beta."""
    values = logits.astype(np.float64)
    probabilities = softmax(values * beta)
    mean = (probabilities * values).sum(axis=1)
    variance = (probabilities * (values - mean[:, None]) ** 2).sum(axis=1)
    return float((mean - values[np.arange(len(labels)), labels]).mean()), float(variance.mean())

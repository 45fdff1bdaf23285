"""The temperature that fits, and where none does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from fovea.core.errors import RunError
from fovea.evaluation.metrics import log_loss, softmax
from fovea.evaluation.temperature import LEAST, MOST, fit_temperature, scaled


def drawn(sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from the probabilities of the same logits before they were made sharper."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 5)) * 2
    labels = (softmax(logits).cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    return (logits * sharpness).astype(np.float32), labels


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_what_made_logits_sharper(sharpness: float) -> None:
    logits, labels = drawn(sharpness)
    found = fit_temperature(logits, labels)
    other = minimize_scalar(lambda one: log_loss(scaled(logits, one), labels), bounds=(0.1, 10), method="bounded")
    assert found == pytest.approx(sharpness, rel=0.05)
    assert found == pytest.approx(other.x, rel=1e-3)


def test_it_changes_no_prediction() -> None:
    logits, _ = drawn(4.0)
    assert (scaled(logits, 3.7).argmax(axis=1) == logits.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("logits", "labels"), [(np.zeros((0, 0)), []), ([[2.0, 1.0], [0.0, 1.0]], [0, 1]), ([[1.0], [2.0]], [0, 0])]
)
def test_without_a_mistake_there_is_no_best_temperature(logits, labels) -> None:
    assert fit_temperature(np.array(logits), np.array(labels, np.int64)) is None


@pytest.mark.parametrize(("labels", "end"), [([1, 1, 1], MOST), ([0] * 400 + [1], LEAST)])
def test_the_temperature_stays_between_its_bounds(labels: list[int], end: float) -> None:
    logits = np.tile([0.01 if end == LEAST else 50.0, 0.0], (len(labels), 1))
    assert fit_temperature(logits, np.array(labels)) == pytest.approx(end, rel=1e-3)


def test_logits_that_are_no_numbers_are_a_diverged_training() -> None:
    with pytest.raises(RunError, match="training diverged"):
        fit_temperature(np.array([[np.nan, 0.0]]), np.array([1]))

"""When an exported model counts as the same as the original."""

from __future__ import annotations

import numpy as np
import pytest

from fovea.core.errors import RunError
from fovea.export.parity import Parity, parity, require, require_accuracy

ORIGINAL = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)


def test_parity_is_the_largest_difference_and_both_accuracies() -> None:
    found = parity(ORIGINAL, np.array([[1.0, 0.0], [0.75, 0.5]], np.float32), np.array([0, 1]))
    assert found == Parity(2, 0.75, 1.0, 0.5)
    assert found.plain()["largest_logit_difference"] == 0.75


def test_equal_models_pass() -> None:
    found = parity(ORIGINAL, ORIGINAL, np.array([0, 0]))
    require("model.onnx", found, 1e-9)
    assert (found.largest_logit_difference, found.accuracy_pytorch) == (0.0, 0.5)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Parity(2, 0.002, 0.5, 0.5), r"model\.pt2 differs .* a logit by 0\.002, more than export\.tolerance=0\.0001"),
        (Parity(2, float("nan"), 0.5, 0.5), "a logit by nan"),
        (Parity(2, 0.0, 0.5, 1.0), "accuracy 1.000000 instead of 0.500000 on 2 pictures"),
    ],
)
def test_a_model_that_differs_is_refused(found: Parity, words: str) -> None:
    with pytest.raises(RunError, match=words):
        require("model.pt2", found, 1e-4)


@pytest.mark.parametrize("found", [Parity(1000, 0.8, 0.96, 0.9551), Parity(1000, 9.0, 0.96, 0.99)])
def test_fewer_bits_may_differ_where_the_accuracy_holds(found: Parity) -> None:
    require_accuracy("model.int8.onnx", found, 0.005)
    with pytest.raises(RunError, match="differs from the original"):
        require("model.int8.onnx", found, 1e-4)


@pytest.mark.parametrize("found", [Parity(1000, 0.8, 0.96, 0.9549), Parity(1000, float("nan"), 0.96, 0.96)])
def test_fewer_bits_that_cost_accuracy_are_refused(found: Parity) -> None:
    with pytest.raises(RunError, match=r"model\.int8\.onnx has an accuracy of .* export\.int8_tolerance=0\.005"):
        require_accuracy("model.int8.onnx", found, 0.005)

"""Whether an exported model says what the original says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.evaluation.metrics import Ints, top1


@dataclass(frozen=True)
class Parity:
    """The agreement of two models on the same pictures.

    Attributes:
        pictures: How many.
        largest_logit_difference: The largest absolute one.
        accuracy_pytorch: Top-1 accuracy of the original.
        accuracy_exported: Top-1 accuracy of the exported model.
    """

    pictures: int
    largest_logit_difference: float
    accuracy_pytorch: float
    accuracy_exported: float

    def plain(self) -> dict[str, float]:
        """As plain data."""
        return asdict(self)


def parity(original: NDArray[Any], exported: NDArray[Any], labels: Ints) -> Parity:
    """Compares logits [N, K] of both models for pictures of known labels [N]; N is at least 1."""
    return Parity(
        pictures=len(labels),
        largest_logit_difference=float(np.abs(original.astype(np.float64) - exported).max()),
        accuracy_pytorch=top1(original.argmax(axis=1), labels),
        accuracy_exported=top1(exported.argmax(axis=1), labels),
    )


def require(file: str, found: Parity, tolerance: float) -> None:
    """Refuses a file that is to say the same as the original and does not.

    Raises:
        RunError: A logit differs by more than `tolerance` (or is NaN), or the accuracies are not equal.
    """
    way_out = "nothing was written, try another export.opset"
    if not found.largest_logit_difference <= tolerance:
        raise RunError(
            f"{file} differs from the original: a logit by {found.largest_logit_difference:.3g}, more than "
            f"export.tolerance={tolerance:g}; {way_out}"
        )
    if found.accuracy_pytorch != found.accuracy_exported:
        raise RunError(
            f"{file} differs from the original: accuracy {found.accuracy_exported:.6f} instead of "
            f"{found.accuracy_pytorch:.6f} on {found.pictures} pictures; {way_out}"
        )


def require_accuracy(file: str, found: Parity, tolerance: float) -> None:
    """Refuses a file of fewer bits that is less accurate than the original by more than `tolerance`.

    Raises:
        RunError: It is, or a logit is NaN.
    """
    lost = found.accuracy_pytorch - found.accuracy_exported
    if lost > tolerance or np.isnan(found.largest_logit_difference):
        raise RunError(
            f"{file} has an accuracy of {found.accuracy_exported:.4f} on {found.pictures} test pictures, the original "
            f"{found.accuracy_pytorch:.4f}: more is lost than export.int8_tolerance={tolerance:g}; nothing was "
            "written, go without it by export.int8=false, or raise export.calibration_pictures"
        )

"""Whether an exported model says what the original says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.evaluation.metrics import Ints, top1

_WAY_OUT = "nothing was written, try another export.opset"


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


def require(found: Parity, tolerance: float) -> None:
    """Refuses an exported model that differs.

    Raises:
        RunError: A logit differs by more than `tolerance` (or is NaN), or the accuracies are not equal.
    """
    if not found.largest_logit_difference <= tolerance:
        raise RunError(
            f"the exported model differs from the original: a logit by {found.largest_logit_difference:.3g}, more than "
            f"export.tolerance={tolerance:g}; {_WAY_OUT}"
        )
    if found.accuracy_pytorch != found.accuracy_exported:
        raise RunError(
            f"the exported model differs from the original: accuracy {found.accuracy_exported:.6f} instead of "
            f"{found.accuracy_pytorch:.6f} on {found.pictures} pictures; {_WAY_OUT}"
        )

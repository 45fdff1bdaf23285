"""How much the pictures of each class count in the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from fovea.config.schema import LossConfig


def class_weights(config: LossConfig, counts: Sequence[int], classes: Sequence[str]) -> list[float] | None:
    """The weight of each class's pictures; None where all count alike.

    `balanced` is N / (K n_c) for N pictures of K classes, n_c of them of class c: every class weighs the same in sum,
    and a picture weighs 1 on average.

    Args:
        config: The `loss` section.
        counts: K numbers, the training pictures of each class.
        classes: K names.

    Raises:
        UserError: The list has another length, or a class to be balanced has no pictures.
    """
    wanted = config.class_weights
    if wanted is None:
        return None
    if wanted != "balanced":
        check_length(wanted, classes)
        return list(wanted)
    empty = next((name for name, count in zip(classes, counts, strict=True) if not count), None)
    if empty is not None:
        raise UserError(
            f"class '{empty}' has no training pictures, so that loss.class_weights=balanced cannot weigh it; give a "
            "list of weights, or drop the class"
        )
    total = sum(counts)
    return [total / (len(counts) * count) for count in counts]


def check_length(weights: Sequence[float], classes: Sequence[str]) -> None:
    """Refuses a list of weights that has not one for each class.

    Raises:
        UserError: It has more or fewer.
    """
    if len(weights) != len(classes):
        raise UserError(
            f"loss.class_weights has {len(weights)} numbers, but there are {len(classes)} classes; give one for each, "
            "in the order of data.classes"
        )

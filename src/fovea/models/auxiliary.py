"""Networks with auxiliary heads: classifiers on inner layers that help the gradient in training alone.

In training mode such a network returns a named tuple, as torchvision's GoogLeNet does: `logits` and the logits of each
head. In evaluation mode it returns the logits alone, as every other network always does.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

WEIGHT = 0.3
"""Of the loss of each auxiliary head (Szegedy et al. 2015, section 5)."""


def parts(output: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """What a network returned, as its logits and those of its auxiliary heads.

    Args:
        output: Logits [B, classes], or a named tuple whose `logits` they are and whose other members are the logits of
            auxiliary heads, None for heads that are not there.

    Returns:
        The logits [B, classes], and those of each head [B, classes]: an empty tuple where there is none.
    """
    if isinstance(output, Tensor):
        return output, ()
    logits: Tensor = output.logits
    return logits, tuple(one for one in output if one is not None and one is not logits)

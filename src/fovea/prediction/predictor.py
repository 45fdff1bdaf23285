"""A model that is ready to look at pictures, whatever form it came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from fovea.augment import Augmenter


@dataclass(frozen=True, eq=False)
class Predictor:
    """What turns pictures into logits, with all that its pictures and answers need.

    Attributes:
        words: What it is, as in ``lenet5-digits-0123abcd``.
        classes: Names of the K classes.
        channels: Of the pictures, 1 or 3.
        view: Brings a picture of any size to the network's, as in the test.
        logits: Pictures uint8 [B, H, W, C] of the network's size to logits float32 [B, K].
        run_id: Of the MLflow run that it came out of; None: not known.
        temperature: That it carries with it; None: it carries none.
    """

    words: str
    classes: Sequence[str]
    channels: int
    view: Augmenter
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    run_id: str | None = None
    temperature: float | None = None

    def check(self) -> None:
        """Lets it answer for two black pictures.

        Raises:
            UserError: It does not take pictures of the channels and the size that are said of it, or has other classes.
        """
        side = self.view.image_size
        pictures = np.zeros((2, side, side, self.channels), np.uint8)
        colours = "grey" if self.channels == 1 else "colour"
        way_out = "what is said of it belongs to another file; export or train it again"
        try:
            shape = self.logits(pictures).shape
        except Exception as error:  # torch and onnxruntime have many types for it
            first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise UserError(
                f"the model {self.words} does not take the {colours} pictures of {side}x{side} pixels that it is said "
                f"to be made for ({first}); {way_out}"
            ) from error
        if shape != (2, len(self.classes)):
            raise UserError(
                f"the model {self.words} gives {shape[-1] if shape else 0} numbers for a picture, but "
                f"{len(self.classes)} classes are named with it; {way_out}"
            )


def of_network(network: nn.Module) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """What a PyTorch network in eval mode says about pictures."""
    from fovea.evaluation.infer import batch_logits

    return lambda pictures: batch_logits(network, pictures)

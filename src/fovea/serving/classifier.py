"""Pictures of any kind and size to probabilities, as the model was tested."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.augment import Augmenter
from fovea.core.errors import RunError
from fovea.pictures.decode import decode
from fovea.pictures.read import Limits, read
from fovea.pictures.reasons import WORDS, Unusable
from fovea.pictures.turn import turned
from fovea.serving.runner import OnnxRunner
from fovea.serving.scaling import Scaling

ONNX, FACTS = "model.onnx", "classifier.json"
# Of one picture that a stranger sends; training takes larger ones.
LIMITS = Limits(max_pixels=50_000_000, max_bytes=20_000_000)


class BadPicture(ValueError):  # noqa: N818
    """What was given cannot be classified; the message is the reason."""


class Classifier:
    """A model in a folder of `model.onnx` and `classifier.json`. Several threads may use it at once.

    Args:
        folder: The folder.

    Attributes:
        classes: Names, in the order of the probabilities.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        scaling = facts["scaling"]
        self.classes: list[str] = facts["classes"]
        self._channels: int = facts["channels"]
        self._temperature: float = facts.get("temperature") or 1.0
        self._runner = OnnxRunner(folder / ONNX, Scaling(**scaling) if scaling else None)
        self._view = Augmenter(
            facts["transforms"],
            channels=self._channels,
            image_size=facts["image_size"],
            where="augment.eval",
            fixed=True,
        )
        self._lock = threading.Lock()  # an augmenter is for one thread at a time

    def encoded(self, data: bytes) -> NDArray[np.uint8]:
        """A file's picture as the network sees it, uint8 [H, W, C]; size and kind are judged before it is decoded.

        Raises:
            BadPicture: It is no picture, or too large.
        """
        try:
            pixels, packed, turn = read(data, LIMITS)
            if pixels.shape[2] != self._channels:
                pixels = decode(packed, self._channels)
        except Unusable as unusable:
            raise BadPicture(WORDS[unusable.reason]) from None
        return self._seen(turned(pixels, turn))

    def array(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """An array as the network sees it, uint8 [H, W, C].

        Args:
            pixels: Whole numbers of 0 to 255, [H, W] grey, [H, W, 1] grey or [H, W, 3] RGB.

        Raises:
            BadPicture: It is something else.
        """
        image = pixels[:, :, None] if pixels.ndim == 2 else pixels
        if image.ndim != 3 or image.shape[2] != self._channels or not image.size:
            colours = "1 (grey)" if self._channels == 1 else "3 (RGB)"
            raise BadPicture(f"an array of shape {list(pixels.shape)}; wanted is [height, width, {colours}]")
        if image.shape[0] * image.shape[1] > LIMITS.max_pixels:
            raise BadPicture(WORDS["too_large"])
        if image.dtype.kind not in "ui" or image.min() < 0 or image.max() > 255:
            raise BadPicture(f"an array of {image.dtype}; wanted are whole numbers of 0 to 255")
        return self._seen(np.ascontiguousarray(image, np.uint8))

    def probabilities(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Probabilities float64 [B, K] of pictures as the network sees them; B is at least 1.

        At the temperature that the model's run had fitted when it was exported, if it had.
        """
        logits = self._runner(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))).astype(np.float64)
        logits /= self._temperature
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def _seen(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._view.is_plain:
            return self._view(image)
        try:
            with self._lock:
                return self._view(image)
        except RunError as error:
            raise BadPicture(str(error)) from None

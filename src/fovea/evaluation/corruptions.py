"""Pictures made worse by degrees, and how well they are still told apart (Hendrycks and Dietterich 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.evaluation.infer import batch_logits, pictures
from fovea.evaluation.metrics import top1
from fovea.inspection.drawing import COLOURS, blank, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from torch import nn

    from fovea.augment import Augmenter
    from fovea.shards import Split

Image = NDArray[np.uint8]

SEVERITIES = (1, 2, 3, 4, 5)
# Those of the paper's code for ImageNet; it has no rotation.
_SIGMA = (1.0, 2.0, 3.0, 4.0, 6.0)  # of the blur, in pixels of a picture of 224
_SIGMA_SMALL = (0.4, 0.6, 0.7, 0.8, 1.0)  # of one of 32, from the paper's code for CIFAR-10
_SIDES = (32, 224)
_NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of the range of a pixel
_BRIGHTER = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value of HSV
_QUALITY = (25, 18, 15, 10, 7)  # of the JPEG file
_DEGREES = (5.0, 10.0, 15.0, 22.0, 30.0)  # counter-clockwise for even rows, clockwise for odd ones


def blur(image: Image, severity: int, row: int) -> Image:
    """Gaussian blur, whose width goes with the picture's side between those of the paper for 32 and 224 pixels."""
    import cv2

    sigma = float(np.interp(min(image.shape[:2]), _SIDES, (_SIGMA_SMALL[severity - 1], _SIGMA[severity - 1])))
    return _whole(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), image)


def noise(image: Image, severity: int, row: int) -> Image:
    """Gaussian noise, other for each row and severity, the same in every call."""
    drawn = np.random.default_rng((row, severity)).standard_normal(image.shape, np.float32)
    return _clipped(image + drawn * np.float32(255 * _NOISE[severity - 1]))


def brightness(image: Image, severity: int, row: int) -> Image:
    """Brighter by a part of the range, hue and saturation as they were."""
    value = image.max(axis=2, keepdims=True).astype(np.float32)
    brighter = np.minimum(value + 255 * _BRIGHTER[severity - 1], 255)
    return _clipped(np.where(value > 0, image * (brighter / np.maximum(value, 1)), brighter))


def jpeg(image: Image, severity: int, row: int) -> Image:
    """Written as JPEG of a low quality and read again."""
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY[severity - 1]]
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), quality)[1]
    flag = cv2.IMREAD_GRAYSCALE if image.shape[2] == 1 else cv2.IMREAD_COLOR
    return _whole(np.asarray(cv2.imdecode(data, flag)), image)[..., ::-1]


def rotation(image: Image, severity: int, row: int) -> Image:
    """Turned about its middle; what comes in from outside is the picture's mirror image."""
    import cv2

    height, width = image.shape[:2]
    angle = _DEGREES[severity - 1] * (1 if row % 2 == 0 else -1)
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    return _whole(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101), image)


CORRUPTIONS: dict[str, Callable[[Image, int, int], Image]] = {
    "blur": blur,
    "noise": noise,
    "brightness": brightness,
    "jpeg": jpeg,
    "rotation": rotation,
}


def robustness(
    network: nn.Module, split: Split, view: Augmenter, names: Sequence[str], batch_size: int
) -> pd.DataFrame:
    """Accuracy on pictures that were made worse after they were brought to the network's size.

    Args:
        network: In eval mode; takes uint8 [B, C, H, W].
        split: At least one picture.
        view: Brings each picture to the network's size.
        names: Keys of `CORRUPTIONS`.
        batch_size: Pictures per batch.

    Returns:
        A row a corruption and severity: corruption, severity (1 to 5), acc.
    """
    import pandas as pd

    right = {(name, severity): 0.0 for name in names for severity in SEVERITIES}
    for start in range(0, len(split), batch_size):
        images = pictures(split, view, start, batch_size)
        labels = split.labels[start : start + len(images)]
        for name, severity in right:
            worse = [CORRUPTIONS[name](image, severity, start + place) for place, image in enumerate(images)]
            predicted = batch_logits(network, np.stack(worse)).argmax(axis=1)
            right[name, severity] += top1(predicted, labels) * len(images)
    rows = [(name, severity, found / len(split)) for (name, severity), found in right.items()]
    return pd.DataFrame(rows, columns=["corruption", "severity", "acc"])


def robustness_plot(table: pd.DataFrame, clean: float) -> Figure:
    """Accuracy against severity, a line a corruption; severity 0 is the picture as it is.

    Args:
        table: As `robustness` gives it.
        clean: Accuracy on the pictures as they are.
    """
    figure = blank(5.2, 3.6)
    axes = figure.add_subplot()
    for (name, rows), colour, mark in zip(table.groupby("corruption", sort=False), COLOURS, "os^Dv", strict=False):
        axes.plot([0, *rows["severity"]], [clean, *rows["acc"]], color=colour, marker=mark, markersize=4, label=name)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    dress(axes, "severity", "accuracy")
    return figure


def _clipped(values: NDArray[Any]) -> Image:
    found: Image = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return found


def _whole(changed: NDArray[Any], image: Image) -> Image:
    """OpenCV's answer with the axis of channels that it drops of one channel."""
    found: Image = changed.reshape(image.shape)
    return found

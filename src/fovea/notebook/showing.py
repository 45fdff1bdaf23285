"""Figures below a cell, and a photograph that is always there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fovea.evaluation.mosaics import Mosaic

_DPI = 100  # at which a sheet of pictures keeps its pixels
_HEAD = 512  # rows of the photograph from above, as many as it has columns


def show(*drawn: Figure | Mosaic) -> None:
    """Shows figures on white, so that they look the same on a light and on a dark page.

    Args:
        drawn: Figures, which need not be pyplot's, and sheets of kernels or activation maps with their captions.
    """
    from IPython import display

    from fovea.evaluation.mosaics import Mosaic
    from fovea.inspection.drawing import png

    page: Any = display  # has no types
    for one in drawn:
        if isinstance(one, Mosaic):
            print(one.caption)  # noqa: T201  # a notebook's page is what it writes to
        page.display(page.Image(data=one.png() if isinstance(one, Mosaic) else png(one, _DPI)))


def photograph(side: int = 256) -> NDArray[np.uint8]:
    """Grace Hopper, in the picture of the US Navy (public domain) that matplotlib brings along, cut to a square.

    Args:
        side: Height and width in pixels.

    Returns:
        uint8 [side, side, 3].
    """
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    from fovea.augment import fit

    # For the type checker the function gives a file or an array, whatever it is asked for.
    path: Any = get_sample_data("grace_hopper.jpg", asfileobj=False)
    with Image.open(path) as picture:
        return fit(np.asarray(picture.convert("RGB"))[:_HEAD], side)

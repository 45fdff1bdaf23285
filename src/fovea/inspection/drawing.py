"""Figures drawn without a screen and without pyplot's global state, and pictures as tiles.

Colours are Okabe and Ito's (2008) blue and vermillion, told apart with every kind of colour vision.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "#767676"
# Theirs without the yellow, which is lost on white.
COLOURS = (BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MOST_CLASSES = 40  # named one by one in a figure


def png(figure: Figure, dpi: int = 90) -> bytes:
    """The figure as a PNG on white, grown to hold every label; `dpi` pixels an inch."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # A class name in a script that the font lacks shows boxes; the tables of the page show the name itself.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(
            stream, format="png", dpi=dpi, bbox_inches="tight", facecolor="white", metadata={"Software": None}
        )
    return stream.getvalue()


def blank(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Any, x: str, y: str) -> None:
    """Names the axes and gives them a quiet grid."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def tile(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A picture scaled so that its longer side is at most `side` pixels.

    Args:
        image: uint8 [H, W, C], C 1 or 3.
        side: In pixels.

    Returns:
        uint8 [h, w, 3].
    """
    import cv2

    longest = max(image.shape[:2])
    # A small picture grows by a whole factor, so that its pixels stay square and sharp.
    factor = float(side // longest) if longest <= side else side / longest
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_NEAREST if factor >= 1 else cv2.INTER_AREA
    scaled: NDArray[Any] = cv2.resize(np.ascontiguousarray(image), size, interpolation=method)
    scaled = scaled[:, :, None] if scaled.ndim == 2 else scaled
    return np.broadcast_to(scaled, (*scaled.shape[:2], 3))

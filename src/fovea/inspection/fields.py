"""Receptive fields of a network's layers, drawn to scale on a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.inspection.drawing import COLOURS, blank

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fovea.models.layer_rows import LayerRow

_INCHES = 3.6


def receptive_fields(image: NDArray[np.uint8], rows: Sequence[LayerRow], title: str = "") -> Figure:
    """What one output in the middle of each layer sees, as squares around the middle of the picture.

    A field larger than the picture reaches into the padding, and is drawn as large as it is.

    Args:
        image: uint8 [H, W, C], of the size that the network takes.
        rows: The layer table.
        title: Above the picture.
    """
    from matplotlib.patches import Rectangle

    fields = list(widening(rows))
    height, width = image.shape[:2]
    figure = blank(_INCHES, _INCHES)
    axes = figure.add_subplot()
    axes.imshow(np.broadcast_to(image, (height, width, 3)), extent=(0, width, height, 0), interpolation="nearest")
    for place, (name, (tall, wide)) in enumerate(fields):
        style: dict[str, Any] = {
            "edgecolor": COLOURS[place % len(COLOURS)],
            "linestyle": "-" if place < len(COLOURS) else "--",
        }
        corner = ((width - wide) / 2, (height - tall) / 2)
        label = f"{name}: {tall}x{wide}"
        axes.add_patch(Rectangle(corner, wide, tall, fill=False, linewidth=2, label=label, **style))
    reach = max([height, width, *(side for _, field in fields for side in field)])
    room = (reach - min(height, width)) / 2 + 0.04 * reach
    axes.set_xlim(-room, width + room)
    axes.set_ylim(height + room, -room)
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def widening(rows: Sequence[LayerRow]) -> Iterator[tuple[str, tuple[int, int]]]:
    """The layers that see more than those named before, and nowhere less, and how much: height and width."""
    seen = (1, 1)
    for row in rows:
        field = row.receptive_field
        if row.output and field != seen and field[0] >= seen[0] and field[1] >= seen[1]:
            seen = field
            yield row.name, seen

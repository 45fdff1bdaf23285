"""The curve of a learning-rate range test, as a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fovea.core.files import atomic_file
from fovea.inspection.drawing import BLUE, GREY, VERMILLION, blank, dress, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fovea.training.lr_range import LrRange

CURVE, PICTURE = "lr_range.csv", "lr_range.png"


def write(found: LrRange, folder: Path) -> Path:
    """Writes `lr_range.csv` (step, lr, loss, smoothed) and `lr_range.png`; other files of the folder stay.

    Returns:
        The picture.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    rows = zip(found.rates.tolist(), found.losses.tolist(), found.smoothed.tolist(), strict=True)
    lines = [f"{step},{rate:.6g},{loss:.6g},{smoothed:.6g}\n" for step, (rate, loss, smoothed) in enumerate(rows)]
    with atomic_file(folder / CURVE) as temporary:
        temporary.write_text("".join(["step,lr,loss,smoothed\n", *lines]), encoding="utf-8")
    with atomic_file(folder / PICTURE) as temporary:
        temporary.write_bytes(png(chart(found)))
    return folder / PICTURE


def chart(found: LrRange) -> Figure:
    """The loss against the learning rate, with both rates of the suggestion marked."""
    figure = blank(6.0, 3.6)
    axes = figure.add_subplot()
    axes.plot(found.rates, found.losses, color=GREY, linewidth=0.8, label="loss of the step")
    axes.plot(found.rates, found.smoothed, color=BLUE, label="smoothed")
    if found.suggestion is not None:
        for words, rate, style in (
            ("steepest fall", found.suggestion.steepest, "-"),
            ("a tenth of the least", found.suggestion.tenth, ":"),
        ):
            axes.axvline(rate, color=VERMILLION, linewidth=1, linestyle=style, label=f"{words}: {rate:.2g}")
    axes.set_xscale("log")
    known = found.smoothed[np.isfinite(found.smoothed)]
    if len(known):
        room = 0.1 * float(np.ptp(known))
        axes.set_ylim(float(known.min()) - room, float(known.max()) + room)
    dress(axes, "learning rate", "loss (nats)")
    axes.legend(frameon=False, fontsize=8)
    return figure

"""What a training will see and do, drawn before it begins: augmented pictures, learning rate, class balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fovea.core import html
from fovea.core.files import atomic_file
from fovea.datasets.samples import SPLITS
from fovea.inspection import sheets
from fovea.inspection.drawing import BLUE, MOST_CLASSES, VERMILLION, blank, dress, png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "preview.html"
_COLOURS = dict(zip(SPLITS, (BLUE, VERMILLION, "#009E73"), strict=True))
_POINTS = 1000  # of the curve


@dataclass(frozen=True)
class Preview:
    """What is drawn.

    Attributes:
        title: Of the page.
        facts: Names and values at the top of the page.
        heads: What the pictures of a group are, as in ``("as it is", "epoch 1")``.
        samples: For each class shown, its name and groups of pictures, uint8 [H, W, C].
        mixed: Pictures of a mixed batch with their captions; none where nothing is mixed.
        rates: The learning rate at every optimiser step.
        steps_per_epoch: Optimiser steps of an epoch.
        classes: Names of the classes.
        counts: Pictures of each class, int64 [K], for each split.
    """

    title: str
    facts: Mapping[str, Any]
    heads: Sequence[str]
    samples: Sequence[tuple[str, Sequence[Sequence[NDArray[np.uint8]]]]]
    mixed: Sequence[tuple[NDArray[np.uint8], str]]
    rates: NDArray[np.float64]
    steps_per_epoch: int
    classes: Sequence[str]
    counts: Mapping[str, NDArray[np.int64]]


def write(preview: Preview, folder: Path) -> Path:
    """Writes the pictures as PNG files and a page with them; other files of the folder stay.

    Returns:
        The page.

    Raises:
        RunError: The disk is full, read-only or not writable.
    """
    figures = {
        "schedule": schedule(preview.rates, preview.steps_per_epoch),
        "classes": balance(preview.counts, preview.classes),
    }
    drawn = {"samples": sheets.table(preview.samples, preview.heads)}
    if preview.mixed:
        drawn["mixed"] = sheets.captioned(*zip(*preview.mixed, strict=True))
    elif (folder / PAGE).is_file():
        (folder / "mixed.png").unlink(missing_ok=True)  # of an earlier preview
    pictures = {name: png(figure) for name, figure in figures.items()}
    pictures |= {name: png(sheet, sheets.DPI) for name, sheet in drawn.items()}
    for name, content in pictures.items():
        with atomic_file(folder / f"{name}.png") as temporary:
            temporary.write_bytes(content)
    with atomic_file(folder / PAGE) as temporary:
        temporary.write_text(html.page(preview.title, _body(preview, pictures)), encoding="utf-8")
    return folder / PAGE


def schedule(rates: NDArray[np.float64], steps_per_epoch: int) -> Figure:
    """The learning rate against the epoch.

    Args:
        rates: float64 [S], at every optimiser step.
        steps_per_epoch: Optimiser steps of an epoch.
    """
    figure = blank(6.0, 3.0)
    axes = figure.add_subplot()
    steps = np.unique(np.linspace(0, len(rates) - 1, _POINTS).round().astype(np.int64))
    axes.plot(steps / steps_per_epoch, rates[steps], color=BLUE)
    axes.set_ylim(bottom=0)
    axes.ticklabel_format(axis="y", scilimits=(-3, 3))
    dress(axes, "epoch", "learning rate")
    return figure


def balance(counts: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> Figure:
    """Pictures of each class as bars with a part for each split; of many classes, those with most and fewest.

    Args:
        counts: int64 [K] for each split.
        classes: K names.
    """
    total = np.sum([counts[split] for split in SPLITS], axis=0)
    rows = np.arange(len(classes))
    if len(classes) > MOST_CLASSES:
        order = np.argsort(-total, kind="stable")
        rows = np.concatenate([order[: MOST_CLASSES // 2], order[-(MOST_CLASSES // 2) :]])
    figure = blank(6.0, 1.0 + 0.24 * len(rows))
    axes = figure.add_subplot()
    start = np.zeros(len(rows))
    for split, colour in _COLOURS.items():
        axes.barh(range(len(rows)), counts[split][rows], left=start, color=colour, label=split, height=0.7)
        start += counts[split][rows]
    axes.set_yticks(range(len(rows)), [classes[row] for row in rows.tolist()], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    dress(axes, "pictures", "")
    axes.grid(visible=False, axis="y")
    axes.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(SPLITS))
    return figure


def _body(preview: Preview, pictures: Mapping[str, bytes]) -> list[str]:
    body = [
        html.heading(preview.title, level=1),
        html.table(["what", "value"], ((name, html.shown(value)) for name, value in preview.facts.items())),
        html.heading("Pictures as the network sees them"),
        html.picture(pictures["samples"], "", "Training pictures before and after augmentation", kind="photo"),
    ]
    if "mixed" in pictures:
        words = "The beginning of the first batch: each picture with the weights of its labels."
        body += [html.heading("Mixed pictures"), html.picture(pictures["mixed"], words, "Mixed pictures", kind="photo")]
    folded = len(preview.classes) > MOST_CLASSES
    caption = f"The {MOST_CLASSES // 2} classes with the most pictures, and as many with the fewest." if folded else ""
    return [
        *body,
        html.heading("Learning rate"),
        html.picture(pictures["schedule"], "", "Learning rate of each epoch"),
        html.heading("Classes"),
        html.picture(pictures["classes"], caption, "Pictures of each class"),
    ]

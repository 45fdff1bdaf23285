"""Pictures of a training and of a test."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fovea.evaluation.metrics import Calibration, Floats, Ints
from fovea.inspection.drawing import BLUE, GREY, MOST_CLASSES, VERMILLION, blank, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": BLUE, "linestyle": "--", "marker": "o"},
    "val": {"color": VERMILLION, "marker": "s"},
}
_WORDS = {"loss": "loss (nats)", "acc": "accuracy"}


def training_curves(history: pd.DataFrame, best_epoch: int | None = None) -> Figure:
    """Loss, accuracy and learning rate against the epoch, training and validation together.

    Args:
        history: A row an epoch: `epoch` and any of `train/loss`, `val/loss`, `train/acc`, `val/acc`, `lr`.
        best_epoch: The epoch whose weights were kept; marked.
    """
    from matplotlib.ticker import MaxNLocator

    panels = [name for name in ("loss", "acc") if {f"train/{name}", f"val/{name}"} & set(history.columns)]
    panels += ["lr"] if "lr" in history.columns else []
    figure = blank(4.2 * max(1, len(panels)), 3.2)
    for place, name in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        if name == "lr":
            axes.plot(history["epoch"], history["lr"], color=BLUE, markersize=3, marker="o")
        for split, style in _STYLES.items():
            if f"{split}/{name}" in history.columns:
                axes.plot(history["epoch"], history[f"{split}/{name}"], markersize=3, label=split, **style)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle=":", label=f"kept: epoch {best_epoch}")
        dress(axes, "epoch", _WORDS.get(name, "learning rate"))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if name != "lr":
            axes.legend(frameon=False, fontsize=8)
    figure.subplots_adjust(wspace=0.3)
    return figure


def reliability(calibration: Calibration, scaled: Calibration | None = None, temperature: float = 1.0) -> Figure:
    """Accuracy against confidence, and how many pictures lie in each bin (Guo et al. 2017, figure 1).

    Args:
        calibration: As the model says it.
        scaled: After temperature scaling, drawn to the right; None: not drawn.
        temperature: By which it was scaled.
    """
    panels = [calibration] if scaled is None else [calibration, scaled]
    figure = blank(4.2 * len(panels), 4.4)
    grid = figure.subplots(2, len(panels), sharex=True, sharey="row", height_ratios=[3, 1], squeeze=False)
    for place, panel in enumerate(panels):
        _reliability_panel(grid[0][place], grid[1][place], panel)
    if scaled is not None:
        titles = ("as it is", f"logits divided by {temperature:.3f}")
        for axes, panel, title in zip(grid[0], panels, titles, strict=True):
            axes.set_title(f"{title} (ECE {panel.error:.3f})", fontsize=10)
    y = f"accuracy (ECE {calibration.error:.3f})" if scaled is None else "accuracy"
    dress(grid[0][0], "", y)
    dress(grid[1][0], "confidence", "pictures")
    for axes, x in zip(grid[:, 1:].flat, ("", "confidence"), strict=False):
        dress(axes, x, "")
    handles, names = grid[0][0].get_legend_handles_labels()
    grid[0][0].legend(
        handles, names, frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1 if scaled is None else 1.09)
    )
    figure.subplots_adjust(hspace=0.12, wspace=0.15)
    return figure


def _reliability_panel(upper: Axes, lower: Axes, calibration: Calibration) -> None:
    bins = len(calibration.count)
    centres = (np.arange(bins) + 0.5) / bins
    upper.bar(centres, np.nan_to_num(calibration.accuracy), width=0.9 / bins, color=BLUE, label="accuracy in the bin")
    upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    marks: dict[str, Any] = {"color": VERMILLION, "markersize": 4, "label": "at its mean confidence"}
    upper.plot(calibration.confidence, calibration.accuracy, "D", **marks)
    lower.bar(centres, calibration.count, width=0.9 / bins, color=GREY)
    lower.set_xlim(0, 1)


def confusion(counts: Ints, classes: Sequence[str]) -> Figure:
    """A confusion matrix with counts; shades are shares of the row.

    Of more than `MOST_CLASSES` classes, those with the most mistakes stand by name and the rest together as one.

    Args:
        counts: int64 [K, K], row actual, column predicted.
        classes: K names.
    """
    counts, names = _most_confused(counts, list(classes))
    size = len(names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    inch = 0.5 if size <= 12 else 0.32
    figure = blank(max(3.0, size * inch), max(3.0, size * inch))
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # the root, so that a rare mistake still shows
    _write_counts(axes, counts, shares, fontsize=8 if size <= 12 else 6)
    labels = _wrapped(names)
    upright = all(len(name) <= 3 for name in names)
    axes.set_xticks(range(size), labels, rotation=0 if upright else 90, fontsize=8, parse_math=False)
    axes.set_yticks(range(size), labels, fontsize=8, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("actual")
    axes.tick_params(length=0)
    return figure


def _most_confused(counts: Ints, names: list[str]) -> tuple[Ints, list[str]]:
    if len(names) <= MOST_CLASSES:
        return counts, names
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    kept = np.sort(np.argsort(-mistakes, kind="stable")[: MOST_CLASSES - 1])
    group = np.full(len(names), len(kept))
    group[kept] = np.arange(len(kept))
    small = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
    np.add.at(small, (group[:, None], group[None, :]), counts)
    return small, [*(names[row] for row in kept), f"the other {len(names) - len(kept)} classes"]


def _write_counts(axes: Axes, counts: Ints, shares: Floats, fontsize: int) -> None:
    for row, column in np.argwhere(counts).tolist():
        colour = "white" if shares[row, column] > 0.4 else "black"
        count = int(counts[row, column])
        text = str(count) if count < 10_000 else f"{count / 1000:.0f}k"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=fontsize)


def _wrapped(names: Sequence[str]) -> list[str]:
    """Names in at most about two lines, whole."""
    width = max(36, max(map(len, names)) // 2 + 8)
    return [textwrap.fill(name, width) or name for name in names]

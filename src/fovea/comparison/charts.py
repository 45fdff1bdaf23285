"""Runs side by side as figures: their curves, their intervals, and the pictures that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fovea.comparison import differences
from fovea.comparison.past import PastRun, labels
from fovea.inspection import sheets
from fovea.inspection.drawing import COLOURS, blank, dress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from fovea.shards import Split

_MARKS = "osD^vPX"


def curves(histories: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> Figure:
    """A panel a column, a line a run, epochs aligned; panels of one kind, as `train/acc` and `val/acc`, share an axis.

    Args:
        histories: By the name of the run, a row an epoch: `epoch` and the columns; a column that is not there, or not
            known in an epoch, is not drawn.
        columns: As in `val/acc`.
    """
    from matplotlib.ticker import MaxNLocator

    figure = blank(4.2 * len(columns), 3.2)
    first: dict[str, Axes] = {}
    lines: dict[str, Line2D] = {}
    for place, column in enumerate(columns):
        kind = column.rpartition("/")[2]
        axes = figure.add_subplot(1, len(columns), place + 1, sharey=first.get(kind))
        first.setdefault(kind, axes)
        for number, (name, history) in enumerate(histories.items()):
            if column in history.columns:
                known = history[["epoch", column]].dropna()
                style: dict[str, Any] = {
                    "color": COLOURS[number % len(COLOURS)],
                    "marker": _MARKS[number % len(_MARKS)],
                }
                (lines[name],) = axes.plot(known["epoch"], known[column], markersize=3, **style)
        dress(axes, "epoch", column)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    named = [(lines[name], name) for name in histories if name in lines]
    if named:
        above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.1, 0.9), "ncols": len(named)}
        figure.legend(*zip(*named, strict=True), frameon=False, fontsize=9, **above)
    figure.subplots_adjust(wspace=0.3)
    return figure


def intervals(runs: Sequence[PastRun], columns: Sequence[str] = ("test/acc",)) -> Figure:
    """A panel a metric, a line a run: the value and its interval.

    Args:
        runs: In the order in which they are to stand, from above.
        columns: Metrics; one that a run has not, or not with an interval, is not drawn for it.
    """
    values = dict(differences.metrics(runs))
    figure = blank(4.2 * len(columns), 1.0 + 0.4 * len(runs))
    grid = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(grid, columns, strict=True):
        for row, value in enumerate(values.get(column, ())):
            if value is None or value.low is None or value.high is None:
                continue
            colour = COLOURS[row % len(COLOURS)]
            axes.plot([value.low, value.high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot(value.value, row, color=colour, marker=_MARKS[row % len(_MARKS)])
        dress(axes, column, "")
    grid[0].set_yticks(range(len(runs)), labels(runs), parse_math=False)
    grid[0].set_ylim(len(runs) - 0.5, -0.5)
    return figure


def changes(table: pd.DataFrame, split: Split, most: int = 9) -> Figure:
    """Pictures that two runs take for different things, each over what it is and what they said, and how surely.

    Args:
        table: `Pairing.lost` or `Pairing.won`, with at least one row.
        split: The pictures that the runs were tested on.
        most: Pictures, the first of the table.
    """
    rows = {name: row for row, name in enumerate(split.ids)}
    shown = table.head(most)
    says = shown[["label", "first", "first_probability", "second", "second_probability"]]
    captions = [
        f"is {label}\n{first} ({sure:.2f}) → {second} ({surer:.2f})"
        for label, first, sure, second, surer in says.itertuples(index=False, name=None)
    ]
    return sheets.captioned([split.image(rows[name]) for name in shown["id"]], captions)

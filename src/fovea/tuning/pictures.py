"""Pictures of a search: its course, what mattered, and which values went with which result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fovea.config.schema.tuning import ChoicesConfig, RangeConfig
from fovea.inspection.drawing import BLUE, GREY, VERMILLION, blank, dress
from fovea.tuning.rows import Row, best_of, best_so_far
from fovea.tuning.space import Parameter, Space, choices_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "complete": ("complete", {"color": BLUE, "marker": "o"}),
    "pruned": ("ended early, at its last epoch", {"color": GREY, "marker": "x"}),
}


def history(rows: Sequence[Row], metric: str, direction: str) -> Figure:
    """The value of every trial, and the best up to it.

    Args:
        rows: The trials.
        metric: Its name.
        direction: `maximize` or `minimize`.
    """
    from matplotlib.ticker import MaxNLocator

    figure = blank(6.4, 3.6)
    axes = figure.add_subplot()
    for state, (label, style) in _MARKS.items():
        points = [(row.number, row.value) for row in rows if row.state == state and row.value is not None]
        if points:
            numbers, values = zip(*points, strict=True)
            axes.scatter(numbers, values, s=22, label=label, zorder=3, **style)
    best = best_so_far(rows, direction)
    if best:
        axes.step(*zip(*best, strict=True), where="post", color=VERMILLION, label="best so far")
    dress(axes, "trial", metric)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="lower right" if direction == "maximize" else "upper right")
    return figure


def importances(found: Mapping[str, float], metric: str) -> Figure:
    """How much of the variation of the metric each parameter explains.

    Args:
        found: Shares by parameter, most first; not empty.
        metric: Its name.
    """
    names = list(found)[::-1]
    figure = blank(6.0, 0.9 + 0.34 * len(names))
    axes = figure.add_subplot()
    bars = axes.barh(names, [found[name] for name in names], color=BLUE, height=0.62)
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.set_xlim(0, max(1.0, *found.values()) * 1.08)
    dress(axes, f"share of the variation of {metric} that it explains", "")
    axes.grid(visible=False, axis="y")
    return figure


def parallel(rows: Sequence[Row], space: Space) -> Figure:
    """A line for each complete trial through its values and its result; the colour is that of the result.

    Args:
        rows: The trials; at least one is complete.
        space: What was searched.
    """
    import numpy as np
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    metric, direction = space.config.metric, space.config.direction
    complete = [row for row in rows if row.state == "complete" and row.value is not None]
    best = best_of(complete, direction)
    values = [float(row.value or 0.0) for row in complete]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 1e-3, high + 1e-3
    colours = colormaps["viridis" if direction == "maximize" else "viridis_r"]
    room = 0.12 * (high - low)  # the colours of the best end are lost on white
    shade = Normalize(low, high + room) if direction == "maximize" else Normalize(low - room, high)
    keys = list(space.parameters)
    figure = blank(max(5.5, 1.75 * (len(keys) + 1)), 4.2)
    axes = figure.add_subplot()
    for row, value in sorted(zip(complete, values, strict=True), key=lambda pair: pair[0] is best):
        heights = [place_of(space.parameters[key], row.point[key]) for key in keys]
        heights.append((value - low) / (high - low))
        width = 2.6 if row is best else 1.1
        axes.plot(
            np.arange(len(heights)),
            heights,
            color=VERMILLION if row is best else colours(shade(value)),
            linewidth=width,
        )
    for position, key in enumerate(keys):
        _scale(axes, position, ticks_of(space.parameters[key]))
    _scale(axes, len(keys), [(share, f"{low + share * (high - low):.4g}") for share in (0, 0.25, 0.5, 0.75, 1)])
    axes.set_xticks(range(len(keys) + 1), [*keys, metric], fontsize=8)
    axes.set_xlim(-0.15, len(keys) + 0.45)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    bar = figure.colorbar(ScalarMappable(shade, colours), ax=axes, fraction=0.03, pad=0.01)
    bar.ax.set_ylim(low, high)
    bar.set_label(f"{metric} (the best trial in orange)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _scale(axes: Axes, position: int, ticks: Sequence[tuple[float, str]]) -> None:
    axes.axvline(position, color=GREY, linewidth=0.8, zorder=0)
    for height, label in ticks:
        axes.plot([position - 0.02, position + 0.02], [height, height], color=GREY, linewidth=0.8)
        box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
        axes.text(position + 0.04, height, label, fontsize=7, va="center", parse_math=False, bbox=box)


def place_of(parameter: Parameter, value: str | float) -> float:
    """How high a value lies between the least (0) and the greatest (1) of its parameter."""
    if isinstance(parameter, ChoicesConfig):
        texts = choices_of(parameter)
        return texts.index(str(value)) / (len(texts) - 1)
    low, high, here = (_scaled(parameter, one) for one in (parameter.low, parameter.high, float(value)))
    return (here - low) / (high - low)


def ticks_of(parameter: Parameter) -> list[tuple[float, str]]:
    """Heights and labels: every choice; of a range its ends, and between them the powers of ten or three numbers."""
    if isinstance(parameter, ChoicesConfig):
        return [(place_of(parameter, text), text) for text in choices_of(parameter)]
    ends = [parameter.low, parameter.high]
    if parameter.log:
        powers = range(math.floor(math.log10(parameter.low)) + 1, math.ceil(math.log10(parameter.high)))
        between = [10.0**power for power in powers]
    else:
        between = [parameter.low + share * (parameter.high - parameter.low) for share in (0.25, 0.5, 0.75)]
    if parameter.is_whole:
        between = [one for one in sorted({round(one) for one in between}) if parameter.low < one < parameter.high]
    # A number that stands close to an end would be written over it.
    kept = [one for one in between if 0.06 < place_of(parameter, one) < 0.94]
    return [(place_of(parameter, one), f"{one:g}") for one in (ends[0], *kept, ends[1])]


def _scaled(parameter: RangeConfig, value: float) -> float:
    return math.log(value) if parameter.log else float(value)

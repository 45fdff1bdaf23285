"""Charts as markup: SVG histograms and bars in a table. Sharp at any size, light or dark as the page is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from fovea.core.html import shown
from fovea.datasets.samples import SPLITS
from fovea.inspection.survey import Histogram

MOST_CLASSES = 40  # shown one by one
_STYLES = dict(zip(SPLITS, ("first", "second", "third"), strict=True))
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 420, 170, 48, 34, 10


def legend() -> str:
    """Which colour stands for which split."""
    keys = "".join(f'<span class="key {style}"></span>{name}' for name, style in _STYLES.items())
    return f'<p class="soft">{keys}</p>'


def class_table(counts: Mapping[str, NDArray[np.int64]], classes: Sequence[str], rows: Sequence[int]) -> str:
    """A row a class: its name, a bar with a part for each split, and the numbers.

    Args:
        counts: int64 [K] for every column; those of the splits are drawn.
        classes: K names.
        rows: The classes to show.
    """
    kept = np.sum([counts[split] for split in SPLITS], axis=0)
    longest = max(1, int(kept.max(initial=0)))
    names = list(counts)
    head = "".join(f'<th class="number">{escape(name.replace("_", " "))}</th>' for name in names)
    lines = []
    for row in rows:
        parts = "".join(
            f'<span class="{style}" style="width:{100 * int(counts[split][row]) / longest:.2f}%"></span>'
            for split, style in _STYLES.items()
        )
        cells = "".join(f'<td class="number">{shown(int(counts[name][row]))}</td>' for name in names)
        lines.append(f'<tr><td>{escape(classes[row])}</td><td><div class="bar">{parts}</div></td>{cells}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr><th>class</th><th>kept</th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def ends(counts: Mapping[str, NDArray[np.int64]]) -> tuple[list[int], list[int]]:
    """The classes with the most pictures and those with the fewest, `MOST_CLASSES` in all."""
    kept = np.sum([counts[split] for split in SPLITS], axis=0)
    order = np.argsort(-kept, kind="stable").tolist()
    half = MOST_CLASSES // 2
    return order[:half], order[-half:]


def histogram(bins: Histogram, title: str, unit: str) -> str:
    """Bars over an axis, with the exact range and count of each as its tooltip."""
    low, high = _position(bins, bins.edges[0]), _position(bins, bins.edges[-1])
    inner, tallest = _WIDTH - _LEFT - 12, max(1, int(bins.counts.max()))
    floor, room = _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM - _TOP

    def x(value: float) -> float:
        return _LEFT + inner * (_position(bins, value) - low) / (high - low)

    bars = []
    for left, right, count in zip(bins.edges[:-1], bins.edges[1:], bins.counts.tolist(), strict=True):
        tall = max(room * count / tallest, 1.0) if count else 0.0
        bars.append(
            f'<rect class="first" x="{x(left) + 0.5:.1f}" y="{floor - tall:.1f}" '
            f'width="{max(x(right) - x(left) - 1, 0.5):.1f}" height="{tall:.1f}">'
            f"<title>{_short(left)} to {_short(right)} {escape(unit)}: {count:,}</title></rect>"
        )
    marks = "".join(
        f'<text x="{x(tick):.1f}" y="{floor + 15}" text-anchor="middle">{_short(tick)}</text>' for tick in _ticks(bins)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(bars)}'
        f'<line x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{floor}" y2="{floor}" stroke="var(--line)"/>{marks}'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" text-anchor="end">{tallest:,}</text>'
        f'<text x="{_LEFT - 6}" y="{floor}" text-anchor="end">0</text>'
        f'<text x="{_LEFT + inner / 2:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">{escape(title)}'
        f"{escape(f' ({unit})' if unit else '')}</text></svg>"
    )


def _position(bins: Histogram, value: float) -> float:
    return math.log10(value) if bins.log else float(value)


def _ticks(bins: Histogram) -> Iterator[float]:
    """Round values of the axis: 1, 2 and 5 times powers of ten; on a linear axis steps of such a size."""
    low, high = float(bins.edges[0]), float(bins.edges[-1])
    if bins.log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        factors = (1, 2, 5) if len(powers) <= 4 else (1,)
        ticks = [factor * 10.0**power for power in powers for factor in factors]
    else:
        rough = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        step = max(step, 1.0) if high - low > 1 else step
        ticks = [step * count for count in range(math.ceil(low / step), math.floor(high / step) + 1)]
    yield from (tick for tick in ticks if low <= tick <= high)


def _short(value: float) -> str:
    """A number in few signs: 12,000 as 12k."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit and not (limit == 1e3 and abs(value) < 1e4):
            return f"{value / limit:.3g}{letter}"
    return f"{value:.4g}"

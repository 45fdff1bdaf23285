"""What part of the picture the numbers of a tensor come from: receptive field and stride, without torch.

Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks" (Distill 2019): the field of an
output is an interval along height and along width, which every layer widens at both ends, and which neighbouring
outputs have moved by the stride. Where branches meet, the interval is the hull of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from fovea.models.arithmetic import output_size
from fovea.models.axes import HEIGHT, MIXED, WIDTH, Axis, Piece, broadcast, joined, length, taken

Pair: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """How a kernel slides along one axis.

    Attributes:
        kernel: Its side.
        stride: Its step.
        padding: Pixels added on each side.
        dilation: Distance between its taps.
        ceil: Whether the number of outputs is rounded up.
        outputs: That number; None: by `output_size`.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    ceil: bool = False
    outputs: int | None = None

    def over(self, size: int) -> int:
        """The side of the output."""
        if self.outputs is not None:
            return self.outputs
        return output_size(
            size, self.kernel, stride=self.stride, padding=self.padding, dilation=self.dilation, ceil=self.ceil
        )


@dataclass(frozen=True)
class Trail:
    """Where the numbers of a tensor come from. Pairs are of height and width, in pixels of the picture.

    Attributes:
        axes: What each axis of the tensor is made of.
        low: First pixel that the first output sees; negative where it sees padding.
        high: Last one.
        stride: Distance of neighbouring outputs.
        span: Distance of the first output from the last; 0 where there is one, or where all see everything.
        whole: Whether all outputs see everything already, so that nothing widens their field further.
    """

    axes: tuple[Axis, ...]
    low: Pair = (0, 0)
    high: Pair = (0, 0)
    stride: Pair = (1, 1)
    span: Pair = (0, 0)
    whole: tuple[bool, bool] = (False, False)

    @classmethod
    def of_picture(cls, shape: Sequence[int]) -> Trail:
        """The beginning: a tensor [B, C, H, W], each pixel of which sees itself."""
        batch, channels, height, width = shape
        axes = ((Piece(batch),), (Piece(channels),), (Piece(height, HEIGHT, 1),), (Piece(width, WIDTH, 1),))
        return cls(axes, span=(height - 1, width - 1))

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(map(length, self.axes))

    @property
    def field(self) -> Pair:
        """The receptive field."""
        return (self.high[0] - self.low[0] + 1, self.high[1] - self.low[1] + 1)

    def with_axes(self, axes: Iterable[Axis]) -> Trail:
        """The same numbers, otherwise arranged; stride and span are those of the new axes."""
        axes = tuple(axes)
        pieces = [piece for axis in axes for piece in axis]
        lost = any(piece.along == MIXED for piece in pieces)
        stride, span = list(self.stride), list(self.span)
        for along in (HEIGHT, WIDTH):
            mine = [piece for piece in pieces if piece.along == along]
            if mine:
                stride[along] = min(piece.step for piece in mine)
            if not lost:
                span[along] = sum((piece.extent - 1) * piece.step for piece in mine)
            if self.whole[along]:
                span[along] = 0
        return replace(self, axes=axes, stride=_pair(stride), span=_pair(span))

    def with_axis(self, place: int, axis: Axis) -> Trail:
        """The same with another axis at `place`."""
        place %= len(self.axes)
        return self.with_axes([*self.axes[:place], axis, *self.axes[place + 1 :]])

    def moved(self, along: int, low: int, high: int) -> Trail:
        """The field of each output with its ends moved; unchanged where it is the whole picture."""
        if self.whole[along]:
            return self
        ends = [list(self.low), list(self.high)]
        ends[0][along] += low
        ends[1][along] += high
        return replace(self, low=_pair(ends[0]), high=_pair(ends[1]))

    def slid(self, place: int, window: Window) -> Trail:
        """After a kernel that slides along the axis `place`: size, field and stride by their formulas."""
        axis = self.axes[place]
        outputs = window.over(length(axis))
        runs = [piece for piece in axis if piece.along is not None]
        if len(runs) != 1 or len(axis) != 1 or runs[0].along == MIXED:
            # Along channels nothing is seen but the same places; along mixed places, more than is followed.
            return (self.seen_along(place) if runs else self).with_axis(place, (Piece(outputs),))
        along, step = int(runs[0].along or 0), runs[0].step
        begin = -window.padding * step
        end = begin + window.dilation * (window.kernel - 1) * step
        return self.moved(along, begin, end).with_axis(place, (Piece(outputs, along, step * window.stride),))

    def padded(self, place: int, before: int, after: int) -> Trail:
        """After padding (or, below zero, cutting) an axis."""
        axis = self.axes[place]
        if len(axis) != 1 or axis[0].along in (None, MIXED):
            return self.resized(place, length(axis) + before + after)
        piece = axis[0]
        shift = -before * piece.step
        moved = self.moved(int(piece.along or 0), shift, shift)
        return moved.with_axis(place, (piece._replace(extent=piece.extent + before + after),))

    def thinned(self, place: int, start: int, step: int, extent: int) -> Trail:
        """A slice: every `step`-th place from `start` on, `extent` of them."""
        axis = self.axes[place]
        if extent == length(axis):
            return self
        if len(axis) != 1 or axis[0].along in (None, MIXED):
            return self.resized(place, extent)
        along, distance = int(axis[0].along or 0), axis[0].step
        moved = self.moved(along, start * distance, start * distance)
        return moved.with_axis(place, (Piece(extent, along, distance * step),))

    def resized(self, place: int, extent: int) -> Trail:
        """An axis of another length, of which places of the picture are not followed further."""
        runs = any(piece.along is not None for piece in self.axes[place])
        return self.with_axis(place, (Piece(extent, MIXED if runs else None),))

    def seen_along(self, place: int) -> Trail:
        """Every output sees all that lies along an axis, which stays: a kernel as long as the axis."""
        return self._looked(self.axes[place])

    def summed(self, places: Iterable[int], *, keep: bool = False) -> Trail:
        """Some axes added up, averaged, or put into a linear layer: a kernel as large as they are.

        Args:
            places: The axes.
            keep: Whether they stay with length 1.
        """
        gone = {place % len(self.axes) for place in places}
        pieces = [piece for place in gone for piece in self.axes[place]]
        left = [(place, () if place in gone else axis) for place, axis in enumerate(self.axes)]
        after = self._looked(pieces).with_axes(axis for place, axis in left if keep or place not in gone)
        remaining = {piece.along for axis in after.axes for piece in axis}
        seen = {piece.along for piece in pieces} - remaining
        if MIXED in seen:
            seen |= {HEIGHT, WIDTH}
        whole = (after.whole[0] or HEIGHT in seen, after.whole[1] or WIDTH in seen)
        return replace(after, whole=whole).with_axes(after.axes)

    def everywhere(self) -> Trail:
        """After every output has seen every other, as in attention."""
        high = (self.high[0] + self.span[0], self.high[1] + self.span[1])
        return replace(self, high=high, span=(0, 0), whole=(True, True))

    def _looked(self, pieces: Iterable[Piece]) -> Trail:
        more = [0, 0]
        for piece in pieces:
            if piece.along == MIXED:
                more = list(self.span)
            elif piece.along is not None:
                more[piece.along] += (piece.extent - 1) * piece.step
        high = [end + min(wider, room) for end, wider, room in zip(self.high, more, self.span, strict=True)]
        span = [room - min(wider, room) for wider, room in zip(more, self.span, strict=True)]
        return replace(self, high=_pair(high), span=_pair(span))

    def permuted(self, order: Sequence[int]) -> Trail:
        """Axes in another order."""
        return self.with_axes(self.axes[place] for place in order)

    def reshaped(self, shape: Sequence[int]) -> Trail:
        """The same numbers in another shape; every new axis gets the factors that it is made of."""
        waiting = joined(piece for axis in self.axes for piece in axis if piece.extent > 1)
        axes: list[Axis] = []
        for size in shape:
            axis = taken(waiting, size)
            if axis is None:  # the factors do not part at this place
                runs = any(piece.along is not None for old in self.axes for piece in old)
                return self.with_axes((Piece(n, MIXED if runs and n > 1 else None),) for n in shape)
            axes.append(axis)
        return self.with_axes(axes)


def met(trails: Sequence[Trail], shape: Sequence[int]) -> Trail:
    """Where tensors meet, as in an addition: the hull of their fields.

    Args:
        trails: At least one; their shapes are broadcast to `shape`.
        shape: That of the result.
    """
    axes = broadcast([trail.axes for trail in trails], shape)
    if len(trails) == 1:
        return trails[0] if trails[0].axes == axes else trails[0].with_axes(axes)
    whole = [any(trail.whole[along] for trail in trails) for along in (HEIGHT, WIDTH)]
    ends = [
        [end + (room if all_seen else 0) for end, room, all_seen in zip(trail.high, trail.span, whole, strict=True)]
        for trail in trails
    ]
    together = Trail(
        axes,
        low=_pair([min(trail.low[along] for trail in trails) for along in (HEIGHT, WIDTH)]),
        high=_pair([max(end[along] for end in ends) for along in (HEIGHT, WIDTH)]),
        stride=_pair([max(trail.stride[along] for trail in trails) for along in (HEIGHT, WIDTH)]),
        span=_pair([max(trail.span[along] for trail in trails) for along in (HEIGHT, WIDTH)]),
        whole=(whole[0], whole[1]),
    )
    return together.with_axes(axes)


def _pair(values: Sequence[int]) -> Pair:
    return (values[0], values[1])

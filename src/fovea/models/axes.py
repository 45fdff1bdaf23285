"""What the axes of a tensor are made of, as reshaping and broadcasting take them apart and put them together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

HEIGHT, WIDTH, MIXED = 0, 1, 2
"""What a piece runs along; mixed: both, or one of them in a way that is not followed further."""


class Piece(NamedTuple):
    """A factor of the length of a tensor's axis, as reshaping makes them: an axis of 196 tokens is 14 by 14 places.

    Attributes:
        extent: Its length.
        along: HEIGHT, WIDTH or MIXED of the picture; None: channels or batch.
        step: Distance of neighbours, in pixels of the picture.
    """

    extent: int
    along: int | None = None
    step: int = 0


Axis: TypeAlias = tuple[Piece, ...]


def length(axis: Axis) -> int:
    """The length of an axis."""
    return math.prod(piece.extent for piece in axis)


def broadcast(tensors: Sequence[tuple[Axis, ...]], shape: Sequence[int]) -> tuple[Axis, ...]:
    """The axes of a tensor that others were broadcast to; of those that fit, one of the picture if there is one."""
    found: list[Axis | None] = []
    for place, size in enumerate(shape, -len(shape)):
        fitting = [axes[place] for axes in tensors if len(axes) >= -place and length(axes[place]) == size]
        found.append(next(iter([axis for axis in fitting if _directions([axis])] or fitting), None))
    lost = _directions(axis for axes in tensors for axis in axes) - _directions(axis for axis in found if axis)
    rest = [Piece(n, MIXED if lost and n > 1 else None) for n in shape]
    return tuple((piece,) if axis is None else axis for axis, piece in zip(found, rest, strict=True))


def _directions(axes: Iterable[Axis]) -> set[int]:
    return {piece.along for axis in axes for piece in axis if piece.along is not None and piece.extent > 1}


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """Neighbouring pieces of channels made one, so that they can be parted anew."""
    result: list[Piece] = []
    for piece in pieces:
        if result and piece.along == result[-1].along and piece.along in (None, MIXED):
            result[-1] = result[-1]._replace(extent=result[-1].extent * piece.extent)
        else:
            result.append(piece)
    return result


def taken(waiting: list[Piece], size: int) -> Axis | None:
    """Takes pieces off the front that make up `size`, parting the last; None if they do not."""
    taken: list[Piece] = []
    while size > 1:
        if not waiting:
            return None
        piece = waiting.pop(0)
        if size % piece.extent == 0:
            taken.append(piece)
            size //= piece.extent
        elif piece.extent % size == 0:
            inner = piece.extent // size
            taken.append(Piece(size, piece.along, piece.step * inner))
            waiting.insert(0, piece._replace(extent=inner))
            size = 1
        else:
            return None
    return tuple(taken)

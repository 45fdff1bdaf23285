"""Small versions of pictures for a page, from shards and from what the quarantine kept."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.core import html

log = logging.getLogger("fovea.inspection")

SIDE = 96
_QUALITY = 85
# A damaged file may claim any size; a progressive JPEG takes six bytes a pixel while it is read.
_MOST_PIXELS = 20_000_000
_OPEN = 8  # shards at a time


@dataclass(frozen=True)
class Thumbnail:
    """A PNG or JPEG, and the size in pixels at which it is shown."""

    data: bytes
    width: int
    height: int

    def markup(self, alt: str) -> str:
        """The picture for a page; small ones stay sharp."""
        kind = "photo pixels" if self.data.startswith(b"\x89PNG") else "photo"
        return html.image(self.data, alt, kind, (self.width, self.height))


def thumbnail(image: NDArray[np.uint8], side: int = SIDE) -> Thumbnail:
    """A picture whose longer side is shown at no more than `side` pixels.

    Args:
        image: uint8 [H, W, C], C 1 or 3.
        side: In pixels.
    """
    import cv2

    height, width = image.shape[:2]
    longest = max(height, width)
    picture = np.ascontiguousarray(image[:, :, ::-1] if image.shape[2] == 3 else image)
    if longest <= side:
        factor = side // longest
        _, data = cv2.imencode(".png", picture)
        return Thumbnail(data.tobytes(), width * factor, height * factor)
    shape = max(1, round(width * side / longest)), max(1, round(height * side / longest))
    small = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Thumbnail(data.tobytes(), *shape)


class Shards:
    """Pictures by shard and row, also those that no split holds.

    Args:
        folder: The folder of the prepared data.
        channels: 1 or 3.
        raw: Whether the shards hold pixels instead of picture files.
    """

    def __init__(self, folder: Path, channels: int, *, raw: bool) -> None:
        self._folder = folder
        self._channels = channels
        self._raw = raw
        self._batches = lru_cache(_OPEN)(self._read)

    def thumbnail(self, shard: str, row: int, side: int = SIDE) -> Thumbnail | None:
        """A picture in small; None if it cannot be shown."""
        try:
            return thumbnail(self._image(shard, row, side), side)
        except (OSError, ValueError, IndexError, pa.ArrowException) as error:
            log.warning("row %d of %s cannot be shown: %s", row, shard, error)
            return None

    def _image(self, shard: str, row: int, side: int) -> NDArray[np.uint8]:
        reader, starts = self._batches(shard)
        number = int(np.searchsorted(starts, row, side="right")) - 1
        batch, at = reader.get_batch(number), row - int(starts[number])
        data = np.frombuffer(batch.column("image")[at].as_buffer(), np.uint8)
        if self._raw:
            height, width = (batch.column(name)[at].as_py() for name in ("height", "width"))
            return data.reshape(height, width, self._channels)
        from fovea.pictures.decode import decode

        return decode(data, self._channels, turn=int(batch.column("turn")[at].as_py()), least_side=side)

    def _read(self, shard: str) -> tuple[Any, NDArray[np.int64]]:
        reader = pa.ipc.open_file(pa.memory_map(str(self._folder / shard)))
        sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        return reader, np.cumsum([0, *sizes[:-1]]).astype(np.int64)


def damaged(data: bytes, side: int = SIDE) -> Thumbnail | None:
    """What can be seen of a JPEG that is not whole; None for everything else.

    Nothing but the kind of file that decoders know to stop early in is tried, and never one that claims to be large.
    """
    if not data.startswith(b"\xff\xd8"):
        return None
    import simplejpeg

    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=False)
        if height * width > _MOST_PIXELS:
            return None
        image = simplejpeg.decode_jpeg(data, "RGB", min_height=side, min_width=side, strict=False)
    except (ValueError, KeyError):  # the second: colours stored in a way that it has no name for
        return None
    return thumbnail(image, side)


def dump(data: bytes, count: int = 40) -> str:
    """The first bytes as numbers and letters, 8 a line."""
    lines = []
    for start in range(0, min(count, len(data)), 8):
        part = data[start : start + 8]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{part.hex(' '):23}  {letters}")
    return "\n".join(lines) or "no bytes"


def spaced(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the rows, evenly from the first to the last."""
    if len(rows) <= count:
        return rows
    return rows[[math.floor(place * len(rows) / count) for place in range(count)]]

"""Many pictures of different sizes in one file of pixels, memory-mapped."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]

# Magic, pictures, channels, where the pixels end. The pixels follow it, then the index: sizes, ends of the pictures.
_HEADER = struct.Struct("<8sQQQ")
_MAGIC = b"FOVEAPX1"
_ALIGN = 64


class PixelStore:
    """Reads such a file. Pickled, it carries the path alone.

    Args:
        path: The file.

    Raises:
        ValueError: It is no such file, or not whole.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        with Path(path).open("rb") as stream:
            if os.fstat(stream.fileno()).st_size < _HEADER.size:
                raise ValueError(f"'{path}' is no whole file of pixels")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        magic, count, channels, end = _HEADER.unpack_from(mapped)
        index = _aligned(end)
        if magic != _MAGIC or len(mapped) != index + count * 16:
            raise ValueError(f"'{path}' is no whole file of pixels")
        self._channels = int(channels)
        self._pixels: Image = np.frombuffer(mapped, np.uint8, end)
        self._sizes = np.frombuffer(mapped, np.int32, count * 2, index).reshape(-1, 2)
        self._ends = np.frombuffer(mapped, np.int64, count, index + count * 8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> Image:
        """uint8 [H, W, C], a read-only view of the file."""
        height, width = self._sizes[row].tolist()
        end = int(self._ends[row])
        size = height * width * self._channels
        return self._pixels[end - size : end].reshape(height, width, self._channels)

    def stacked(self) -> Image | None:
        """All of them at once, uint8 [N, H, W, C], a read-only view; None if they differ in size."""
        if not len(self) or (self._sizes != self._sizes[0]).any():
            return None
        height, width = self._sizes[0].tolist()
        return self._pixels[_ALIGN:].reshape(len(self), height, width, self._channels)

    def __reduce__(self) -> tuple[type[PixelStore], tuple[Path | str]]:
        return PixelStore, (self._path,)


def write_pixels(stream: IO[bytes], pictures: Iterable[tuple[Shape, bytes]], channels: int) -> None:
    """Writes such a file, the header last, so that a file cut short is never taken for a whole one.

    Args:
        stream: At its beginning, and able to go back there.
        pictures: Shape [H, W, C] and pixels of each, in order.
        channels: Of every picture.
    """
    stream.write(bytes(_ALIGN))
    sizes, ends, end = [], [], _ALIGN
    for (height, width, _), pixels in pictures:
        stream.write(pixels)
        end += len(pixels)
        sizes += [height, width]
        ends.append(end)
    stream.write(bytes(_aligned(end) - end))
    stream.write(np.asarray(sizes, np.int32).tobytes())
    stream.write(np.asarray(ends, np.int64).tobytes())
    stream.seek(0)
    stream.write(_HEADER.pack(_MAGIC, len(ends), channels, end))
    stream.flush()


def _aligned(position: int) -> int:
    return -(-position // _ALIGN) * _ALIGN

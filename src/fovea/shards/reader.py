"""Reads a split out of shards: memory-mapped, so that opening costs little and processes share the pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.samples import SPLITS, SplitName
from fovea.shards.ids import Ids
from fovea.shards.meta import Meta
from fovea.shards.shardfile import WAY_OUT, ShardFile


class Split:
    """The pictures of one split, in the order of the source; an index in numpy, the pictures where they are.

    Attributes:
        name: train, val or test.
        encoded: Whether the shards hold picture files; else they hold pixels, all of one size.
        labels: int64 of shape [N].
        keys: uint64 of shape [N], the stable identity of each picture.
        sizes: int32 of shape [N, 2], height and width in pixels after the EXIF turn.
        ids: The names of the pictures, read when they are asked for.
    """

    def __init__(self, folder: Path, meta: Meta, name: SplitName) -> None:
        self._arguments = folder, meta.only(name), name
        self.name = name
        self.encoded = meta.encoding == "encoded"
        self._channels = meta.channels
        self._files = [ShardFile.open(folder / info.name, info) for info in meta.shards]
        chosen = _chosen(self._files, meta, name)
        starts = np.cumsum([0, *(len(file.columns["label"]) for file in self._files)])

        def gather(column: str, kind: type[np.generic]) -> NDArray[np.generic]:
            parts = [file.columns[column][rows] for file, rows in zip(self._files, chosen, strict=True)]
            return np.concatenate([np.empty(0, kind), *parts])

        self.labels: NDArray[np.int64] = gather("label", np.int64).astype(np.int64)
        self.keys: NDArray[np.uint64] = gather("key", np.uint64).astype(np.uint64)
        self.sizes = np.stack([gather("height", np.int32), gather("width", np.int32)], axis=1).astype(np.int32)
        self._turns = gather("turn", np.int8)
        self._begins = gather("begin", np.int64).astype(np.int64)
        self._bytes = gather("size", np.int64).astype(np.int64)
        self._file = np.repeat(np.arange(len(chosen), dtype=np.int32), [len(rows) for rows in chosen])
        rows = [part + start for part, start in zip(chosen, starts, strict=False)]
        self.ids: Sequence[str] = Ids(
            [chunk for file in self._files for chunk in file.ids], np.concatenate([np.empty(0, np.int64), *rows])
        )
        # A mapped column is needed no longer than this; a million rows of it would be kept twice.
        self._data = [file.data for file in self._files]
        del self._files
        self._images: NDArray[np.uint8] | None = None
        if not self.encoded:
            self._shape = _one_shape(folder, meta, self.sizes, self._bytes, self._file)

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process maps the files itself.
        return Split, self._arguments

    @property
    def parts(self) -> list[Part]:
        """The splits that it is made of and for each its rows: this one, all of them; see `Selection`."""
        return [(self, np.arange(len(self), dtype=np.int64))]

    def file(self, row: int) -> NDArray[np.uint8]:
        """The bytes of the picture at a row as they are in the shard, a read-only view.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        begin = int(self._begins[row])
        return self._data[int(self._file[row])][begin : begin + int(self._bytes[row])]

    def image(self, row: int, *, least_side: int | None = None, fast: bool = False) -> NDArray[np.uint8]:
        """The picture at a row: uint8 of shape [H, W, C], upright. Raw pictures are read-only views of the file.

        Args:
            row: Its number.
            least_side: Pixels; a JPEG whose short side is larger may be decoded at a half, a quarter or an eighth of
                its size, as long as the short side keeps this many.
            fast: Decode a little less exactly and faster.

        Raises:
            IndexError: There is no such row.
            RunError: The picture cannot be decoded.
        """
        data = self.file(row)
        if not self.encoded:
            return data.reshape(self._shape)
        from fovea.pictures.decode import decode

        try:
            return decode(data, self._channels, turn=int(self._turns[row]), least_side=least_side, fast=fast)
        except ValueError as error:
            raise RunError(f"picture '{self.ids[row]}' cannot be read ({error}); {WAY_OUT}") from error

    def images(self) -> NDArray[np.uint8] | None:
        """All pictures at once: uint8 of shape [N, H, W, C], or None when they are not stored as raw pixels.

        A read-only view of the file, without a copy, where the split lies in one piece; else copied together once.
        """
        if self.encoded:
            return None
        if self._images is None:
            self._images = self._whole()
        return self._images

    def _whole(self) -> NDArray[np.uint8]:
        count, step = len(self), int(np.prod(self._shape))
        if count and self._file[0] == self._file[-1] and np.all(np.diff(self._begins) == step):
            first = int(self._begins[0])
            return self._data[int(self._file[0])][first : first + count * step].reshape(count, *self._shape)
        copy = np.empty((count, *self._shape), np.uint8)
        for row in range(count):
            copy[row] = self.image(row)
        return copy


Part = tuple[Split, NDArray[np.int64]]
"""A split, and some of its rows."""


def _chosen(files: list[ShardFile], meta: Meta, name: SplitName) -> list[NDArray[np.int64]]:
    """For each shard the rows of the split that are not left out."""
    code = SPLITS.index(name)
    rows = [np.flatnonzero(file.columns["split"] == code) for file in files]
    kept = np.ones(sum(map(len, rows)), np.bool_)
    left_out = np.asarray(meta.left_out.get(name, []), np.int64)
    if len(left_out) and not 0 <= int(left_out.min()) <= int(left_out.max()) < len(kept):
        raise RunError(f"the note of '{meta.name}' leaves out rows that the shards do not have; {WAY_OUT}")
    kept[left_out] = False
    ends = np.cumsum([len(part) for part in rows])
    return [part[kept[end - len(part) : end]] for part, end in zip(rows, ends.tolist(), strict=True)]


def _one_shape(
    folder: Path, meta: Meta, sizes: NDArray[np.int32], stored: NDArray[np.int64], shards: NDArray[np.int32]
) -> tuple[int, int, int]:
    """The shape that all raw pictures have."""
    side = meta.image_size or 0
    shape = side, side, meta.channels
    wrong = np.flatnonzero(np.any(sizes != side, axis=1) | (stored != int(np.prod(shape))))
    if len(wrong):
        path = folder / meta.shards[int(shards[wrong[0]])].name
        raise RunError(f"shard '{path}' is damaged (its images are not {shape}); {WAY_OUT}")
    return shape

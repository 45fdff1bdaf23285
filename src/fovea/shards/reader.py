"""Reads shards: memory-mapped, so that opening costs nothing and processes share the pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.samples import SplitName
from fovea.shards.codec import decode
from fovea.shards.meta import FileInfo, Meta
from fovea.shards.writer import SCHEMA

_WAY_OUT = "remove the folder and run `kedro run --pipeline prepare`"


class Ids(Sequence[str]):
    """The ids of a split, taken out of the shards as they are asked for."""

    def __init__(self, columns: Sequence[Any]) -> None:
        self._column = pa.chunked_array(columns, pa.string())

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        text: str = self._column[int(at)].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        for chunk in self._column.chunks:
            yield from chunk.to_pylist()


class Split:
    """The pictures of one split.

    Attributes:
        name: train, val or test.
        labels: int64 of shape [N].
        keys: uint64 of shape [N], the stable identity of each picture.
        ids: The same as text.
    """

    def __init__(self, folder: Path, meta: Meta, name: SplitName) -> None:
        self._arguments = folder, meta, name
        self.name = name
        self._channels = meta.channels
        self._raw = meta.encoding == "raw"
        self._shape = (meta.image_size, meta.image_size, meta.channels)
        shards = [
            _Shard(folder / info.name, info, self._shape if self._raw else None)
            for info in meta.shards
            if info.split == name
        ]
        self._shards = shards
        self._starts = np.cumsum([0, *(len(shard.labels) for shard in shards)])
        self.labels: NDArray[np.int64] = np.concatenate([np.empty(0, np.int64), *(shard.labels for shard in shards)])
        self.keys: NDArray[np.uint64] = np.concatenate([np.empty(0, np.uint64), *(shard.keys for shard in shards)])
        self.ids = Ids([shard.ids for shard in shards])
        self._images: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __reduce__(self) -> tuple[type[Split], tuple[Path, Meta, SplitName]]:
        # A worker process maps the files itself.
        return Split, self._arguments

    def image(self, row: int) -> NDArray[np.uint8]:
        """The picture at a row: uint8 of shape [H, W, C]. Raw pictures are read-only views of the file.

        Raises:
            IndexError: There is no such row.
            RunError: The picture cannot be decoded.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        data = self._shards[number].image(row - int(self._starts[number]))
        if self._raw:
            return data.reshape(self._shape)
        try:
            return decode(data, self._channels)
        except ValueError as error:
            raise RunError(f"picture '{self.ids[row]}' cannot be read ({error}); {_WAY_OUT}") from error

    def images(self) -> NDArray[np.uint8] | None:
        """All pictures at once: uint8 of shape [N, H, W, C], or None when they are not stored as raw pixels.

        A read-only view of the file, without a copy, where the split lies in one shard; else copied together once.
        """
        if not self._raw:
            return None
        if self._images is None:
            parts = [shard.data.reshape(-1, *self._shape) for shard in self._shards]
            empty: NDArray[np.uint8] = np.empty((0, *self._shape), np.uint8)
            self._images = parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])
        return self._images


class _Shard:
    """One Arrow file: `labels`, `keys`, `ids`, and the bytes of all images (`data`) with where each begins."""

    def __init__(self, path: Path, info: FileInfo, shape: tuple[int, int, int] | None) -> None:
        try:
            batch = _batch(path, info)
            image = batch.column("image")
            _, offsets, data = image.buffers()
            # Not `to_numpy`, which imports pandas.
            self.labels = np.from_dlpack(batch.column("label")).astype(np.int64)
            self.keys = np.from_dlpack(batch.column("key"))
            self.ids = batch.column("id")
            self._offsets: NDArray[np.int32] = np.frombuffer(offsets, np.int32)[: len(batch) + 1]
            self.data: NDArray[np.uint8] = np.frombuffer(data, np.uint8)[: int(self._offsets[-1])]
            step = int(np.prod(shape)) if shape else None
            if step is not None and not np.array_equal(self._offsets, np.arange(len(batch) + 1) * step):
                raise ValueError(f"its images are not {shape}")
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise RunError(f"shard '{path}' is damaged ({error}); {_WAY_OUT}") from error

    def image(self, row: int) -> NDArray[np.uint8]:
        return self.data[self._offsets[row] : self._offsets[row + 1]]


def _batch(path: Path, info: FileInfo) -> Any:
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    if not file.schema.equals(SCHEMA) or file.num_record_batches != 1:
        raise ValueError("its columns are not those of a shard")
    batch = file.get_batch(0)
    batch.validate(full=True)
    if len(batch) != info.rows or any(column.null_count for column in batch.columns):
        raise ValueError(f"it has {len(batch):,} rows instead of {info.rows:,}, or rows without a value")
    return batch

"""Writes the pictures of one shard into an Arrow IPC file as they come, the same bytes for the same pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.datasets.samples import SPLITS
from fovea.shards import columns

_BATCH = 4_000_000  # bytes of images that are held back until they are written together


class Row(NamedTuple):
    """One picture of a shard; `split` is an index into `SPLITS`, `turn` an EXIF orientation."""

    id: str
    key: int
    label: int
    split: int
    height: int
    width: int
    turn: int
    image: bytes


@dataclass
class ShardWriter:
    """Collects rows and writes a record batch whenever a few megabytes are together. A context manager.

    Attributes:
        path: The file.
        rows: How many rows it has so far.
    """

    path: Path
    rows: int = 0
    _pending: list[Row] = field(default_factory=list)
    _used: int = 0

    def __enter__(self) -> Self:
        self._file = pa.OSFile(str(self.path), "wb")  # twice as fast as a file of Python's
        self._writer = new_file(self._file, columns.SHARD.with_metadata({"encoding": "encoded"}))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._flush()
                self._writer.close()
        finally:
            self._file.close()

    def append(self, row: Row) -> int:
        """Takes a row in.

        Returns:
            Its number in the shard.

        Raises:
            OSError: Writing failed.
        """
        self._pending.append(row)
        self._used += len(row.image)
        self.rows += 1
        if self._used >= _BATCH:
            self._flush()
        return self.rows - 1

    def _flush(self) -> None:
        if self._pending:
            image = pa.array([row.image for row in self._pending], pa.binary())
            self._writer.write_batch(_batch(self._pending, image))
        self._pending, self._used = [], 0


def write_raw(path: Path, rows: Sequence[Row], images: NDArray[np.uint8]) -> None:
    """Writes pictures of one size in one piece, so that a reader can map them as an array.

    Args:
        path: The file.
        rows: Their facts; the images in them are not looked at.
        images: uint8 of shape [N, H, W, C].

    Raises:
        OSError: Writing failed.
    """
    names = ("height", "width", "channels")
    facts = {name: str(size) for name, size in zip(names, images.shape[1:], strict=True)}
    with (
        path.open("wb") as file,
        new_file(file, columns.SHARD.with_metadata({"encoding": "raw", **facts})) as writer,
    ):
        writer.write_batch(_batch(rows, _pixels(images)))


def new_file(file: Any, schema: Any) -> Any:
    """A writer of Arrow IPC record batches, without compression, so that what is written can be mapped."""
    options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V5)
    return pa.ipc.new_file(file, schema, options=options)


def write_table(path: Path, schema: Any, values: Mapping[str, Any]) -> None:
    """Writes a small table of plain columns as an Arrow IPC file.

    Raises:
        OSError: Writing failed.
    """
    batch = pa.record_batch([pa.array(values[entry.name], entry.type) for entry in schema], schema=schema)
    with path.open("wb") as file, new_file(file, schema) as writer:
        writer.write_batch(batch)


def _batch(rows: Sequence[Row], image: Any) -> Any:
    return pa.record_batch(
        [
            pa.array([row.id for row in rows], pa.string()),
            pa.array([row.key for row in rows], pa.uint64()),
            pa.array([row.label for row in rows], pa.int32()),
            pa.array([SPLITS[row.split] for row in rows], pa.string()),
            pa.array([row.height for row in rows], pa.int32()),
            pa.array([row.width for row in rows], pa.int32()),
            pa.array([row.turn for row in rows], pa.int8()),
            image,
        ],
        schema=columns.SHARD,
    )


def _pixels(images: NDArray[np.uint8]) -> Any:
    """A binary column over equally large pictures, uint8 of shape [N, H, W, C], without a copy."""
    count, content = len(images), np.ascontiguousarray(images).reshape(-1)
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(content.size // max(count, 1))
    return pa.BinaryArray.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(content)])

"""Writes the pictures of one split into Arrow IPC files, the same bytes for the same pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.core.files import require_space
from fovea.datasets.samples import Encoding, SplitName

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("image", pa.binary(), nullable=False),
    ]
)
_MOST = 2_000_000_000  # offsets of a binary column are 32 bits
_ROW = 64  # bytes a row takes beside its image, about


@dataclass(frozen=True)
class Rows:
    """Pictures to be written: ids, keys (uint64), labels (int64), and images as raw uint8 [N, H, W, C] or as files."""

    ids: Sequence[str]
    keys: NDArray[np.uint64]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8] | Sequence[bytes]

    def __getitem__(self, part: slice) -> Rows:
        return Rows(self.ids[part], self.keys[part], self.labels[part], self.images[part])

    def sizes(self) -> list[int]:
        """Bytes of each image."""
        if isinstance(self.images, np.ndarray):
            return [int(np.prod(self.images.shape[1:]))] * len(self.ids)
        return [len(image) for image in self.images]


@dataclass
class SplitWriter:
    """Collects rows and writes a shard file whenever `limit` bytes of images are together.

    Attributes:
        folder: Where the files go, as ``<split>-00000.arrow``.
        split: The split of all rows.
        encoding: Of the images.
        limit: Bytes of images in one shard; a larger single image has a shard of its own.
    """

    folder: Path
    split: SplitName
    encoding: Encoding
    limit: int
    paths: list[Path] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    _pending: list[Rows] = field(default_factory=list)
    _used: int = 0
    _rows: int = 0

    def append(self, rows: Rows) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Takes rows in.

        Returns:
            For each, the number of its shard within the split and its row in that shard.

        Raises:
            RunError: The disk has no room for the next shard.
            OSError: Writing failed.
        """
        shards, numbers = np.empty(len(rows.ids), np.int32), np.empty(len(rows.ids), np.int32)
        limit, begin = min(self.limit, _MOST), 0
        for at, size in enumerate(rows.sizes()):
            if self._rows and self._used + size > limit:
                self._pending.append(rows[begin:at])
                self._flush()
                begin = at
            shards[at], numbers[at] = len(self.paths), self._rows
            self._used += size
            self._rows += 1
        if len(rows.ids) > begin:
            self._pending.append(rows[begin:])
        return shards, numbers

    def finish(self) -> None:
        """Writes what is left."""
        if self._rows:
            self._flush()

    def _flush(self) -> None:
        require_space(self.folder.parent, self._used + _ROW * self._rows, f"the {self.split} shards")
        batch = self._batch([rows for rows in self._pending if rows.ids])
        path = self.folder / f"{self.split}-{len(self.paths):05d}.arrow"
        options = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V5)
        with path.open("wb") as file:
            with pa.ipc.new_file(file, batch.schema, options=options) as writer:
                writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        self.paths.append(path)
        self.counts.append(self._rows)
        self._pending, self._used, self._rows = [], 0, 0

    def _batch(self, pending: list[Rows]) -> Any:
        ids = [name for rows in pending for name in rows.ids]
        facts: dict[str, str] = {"encoding": self.encoding}
        images = [rows.images for rows in pending]
        if self.encoding == "raw":
            merged: NDArray[np.uint8] = np.concatenate(images) if len(images) > 1 else np.asarray(images[0])
            facts |= {
                name: str(size) for name, size in zip(("height", "width", "channels"), merged.shape[1:], strict=True)
            }
            image = _pixels(merged)
        else:
            image = pa.array([file for part in images for file in part], pa.binary())
        return pa.record_batch(
            [
                pa.array(ids, pa.string()),
                pa.array(np.concatenate([rows.keys for rows in pending]), pa.uint64()),
                pa.array(np.concatenate([rows.labels for rows in pending]), pa.int32()),
                pa.array([self.split] * len(ids), pa.string()),
                image,
            ],
            schema=SCHEMA.with_metadata(facts),
        )


def _pixels(images: NDArray[np.uint8]) -> Any:
    """A binary column over equally large pictures, uint8 of shape [N, H, W, C], without a copy."""
    count, content = len(images), np.ascontiguousarray(images).reshape(-1)
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(content.size // count)
    return pa.BinaryArray.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(content)])

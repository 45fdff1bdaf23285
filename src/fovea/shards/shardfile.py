"""One shard file, memory-mapped: its columns in numpy, its ids where they are, its images as ranges of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.core.errors import RunError
from fovea.datasets.samples import SPLITS
from fovea.shards import columns
from fovea.shards.meta import FileInfo

WAY_OUT = "remove the folder and run `kedro run --pipelines=prepare`"
_NUMBERS = {"key": np.uint64, "label": np.int64, "height": np.int32, "width": np.int32, "turn": np.int8}


@dataclass(frozen=True)
class ShardFile:
    """The rows of a shard, over all its record batches.

    Attributes:
        data: The whole file, uint8, a read-only view of the mapped pages.
        ids: The ids, an Arrow array for each record batch.
        columns: `key` uint64, `label` int64, `height` and `width` int32, `turn` int8, `split` int8 (index into
            `SPLITS`), `begin` int64 (first byte of the image in `data`) and `size` int64 (its bytes), each [N].
    """

    data: NDArray[np.uint8]
    ids: tuple[Any, ...]
    columns: dict[str, NDArray[Any]]

    @classmethod
    def open(cls, path: Path, info: FileInfo) -> ShardFile:
        """Maps a shard.

        Raises:
            RunError: It is not what `info` says, or damaged in a way that can be seen without reading the images.
        """
        try:
            with pa.memory_map(str(path)) as file:
                buffer = file.read_buffer()  # keeps the pages; no file stays open for it
            reader = pa.ipc.open_file(pa.BufferReader(buffer))
            if not reader.schema.equals(columns.SHARD):
                raise ValueError("its columns are not those of a shard")
            batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
            parts = [_checked(batch, buffer) for batch in batches]
            joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else _none()
            if len(joined["label"]) != info.rows:
                raise ValueError(f"it has {len(joined['label']):,} rows instead of {info.rows:,}")
            return cls(np.frombuffer(buffer, np.uint8), tuple(batch.column("id") for batch in batches), joined)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise RunError(f"shard '{path}' is damaged ({error}); {WAY_OUT}") from error

    def image(self, row: int) -> NDArray[np.uint8]:
        """The bytes of the image at a row."""
        begin = int(self.columns["begin"][row])
        return self.data[begin : begin + int(self.columns["size"][row])]


def _checked(batch: Any, buffer: Any) -> dict[str, NDArray[Any]]:
    batch.validate(full=True)
    if any(column.null_count for column in batch.columns):
        raise ValueError("rows without a value")
    # Not `to_numpy`, which imports pandas.
    found = {name: np.from_dlpack(batch.column(name)).astype(kind) for name, kind in _NUMBERS.items()}
    splits = batch.column("split").dictionary_encode()
    codes = np.array([SPLITS.index(name) for name in splits.dictionary.to_pylist()], np.int8)
    found["split"] = codes[np.from_dlpack(splits.indices)]
    _, offsets, data = batch.column("image").buffers()
    bounds = np.frombuffer(offsets, np.int32)[: len(batch) + 1].astype(np.int64)
    if data is not None:
        bounds += data.address - buffer.address
    if np.any(np.diff(bounds) < 0) or bounds[0] < 0 or bounds[-1] > buffer.size:
        raise ValueError("its images lie outside of the file")
    return found | {"begin": bounds[:-1], "size": np.diff(bounds)}


def _none() -> dict[str, NDArray[Any]]:
    kinds = _NUMBERS | {"split": np.int8, "begin": np.int64, "size": np.int64}
    return {name: np.empty(0, kind) for name, kind in kinds.items()}

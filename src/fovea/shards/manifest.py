"""The manifest: one row for each picture of the source, in Parquet, for pandas, DuckDB or anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.datasets.samples import SPLITS, Samples

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("member", pa.string()),
        ("label", pa.int32()),
        ("split", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("mode", pa.string()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int32()),
    ]
)
_REPEATING = ["label", "split", "status", "reason", "width", "height", "mode", "bytes", "shard"]


@dataclass(frozen=True)
class ManifestPart:
    """What is known of some pictures; every array and list has one value a picture.

    Attributes:
        samples: The pictures.
        splits: Indices into `SPLITS`.
        widths: In pixels.
        heights: In pixels.
        sizes: Bytes in the source.
        digests: sha256 of the pixels.
        shards: Number of the shard within the split.
        rows: Row in that shard.
    """

    samples: Samples
    splits: NDArray[np.int8]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    sizes: NDArray[np.int64]
    digests: Sequence[bytes]
    shards: NDArray[np.int32]
    rows: NDArray[np.int32]


def write_manifest(
    path: Path, parts: Sequence[ManifestPart], shard_names: Sequence[Sequence[str]], channels: int
) -> None:
    """Writes the manifest, the same bytes for the same content.

    Args:
        path: The file.
        parts: The pictures in the order of the source.
        shard_names: For each split, the file names of its shards.
        channels: 1 or 3.

    Raises:
        OSError: Writing failed.
    """
    import pyarrow.parquet as pq

    table = pa.Table.from_batches([_batch(part, shard_names, channels) for part in parts], SCHEMA)
    with path.open("wb") as file:
        pq.write_table(table.combine_chunks(), file, compression="zstd", use_dictionary=_REPEATING, version="2.6")


def read_manifest(path: Path) -> Any:
    """The manifest as a pandas DataFrame."""
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        return pq.read_table(file).to_pandas()


def _batch(part: ManifestPart, shard_names: Sequence[Sequence[str]], channels: int) -> Any:
    count = len(part.samples)
    placed = zip(part.splits.tolist(), part.shards.tolist(), strict=True)
    return pa.record_batch(
        [
            pa.array(part.samples.ids, pa.string()),
            pa.array(part.samples.members, pa.string()),
            pa.array(part.samples.labels, pa.int32()),
            pa.array([SPLITS[split] for split in part.splits.tolist()], pa.string()),
            pa.array(["kept"] * count, pa.string()),
            pa.nulls(count, pa.string()),
            pa.array(part.widths, pa.int32()),
            pa.array(part.heights, pa.int32()),
            pa.array(["L" if channels == 1 else "RGB"] * count, pa.string()),
            pa.array(part.sizes, pa.int64()),
            pa.array([digest.hex() for digest in part.digests], pa.string()),
            pa.array([shard_names[split][shard] for split, shard in placed], pa.string()),
            pa.array(part.rows, pa.int32()),
        ],
        schema=SCHEMA,
    )

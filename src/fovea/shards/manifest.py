"""The manifest: one row for each picture of the source, in Parquet, for pandas, DuckDB or anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fovea.datasets.samples import SPLITS
from fovea.shards import columns
from fovea.shards.collect import Collected
from fovea.shards.judge import Verdict

_ROWS = 2048  # that are put together and checked at a time, so that the memory does not grow with the manifest
_REPEATING = [
    *("label", "class_name", "split", "status", "reason", "format", "named_as", "mode", "width", "height", "turn"),
    *("converted", "similarity", "shard"),
]


def write_manifest(path: Path, rows: Iterator[Any], check: Callable[[Any], None]) -> None:
    """Writes the manifest, the same bytes for the same content.

    Args:
        path: The file.
        rows: Its parts, as `manifest_rows` gives them.
        check: Called with each part before it is written.

    Raises:
        OSError: Writing failed.
    """
    import pyarrow.parquet as pq

    with (
        path.open("wb") as file,
        pq.ParquetWriter(
            file, columns.MANIFEST, compression="zstd", use_dictionary=_REPEATING, version="2.6"
        ) as writer,
    ):
        for part in rows:
            check(part)
            writer.write_table(part)


def manifest_rows(
    collected: Collected, verdict: Verdict, classes: Sequence[str], shards: Sequence[str]
) -> Iterator[Any]:
    """The manifest in parts, Arrow tables with the columns of `columns.MANIFEST`.

    Args:
        collected: The pictures.
        verdict: Which of them are left out.
        classes: The names of the classes.
        shards: The final names of the shards.
    """
    for begin in range(0, len(collected), _ROWS):
        yield _part(collected, verdict, classes, shards, slice(begin, min(begin + _ROWS, len(collected))))


def _part(collected: Collected, verdict: Verdict, classes: Sequence[str], shards: Sequence[str], part: slice) -> Any:
    facts = collected.facts.slice(part.start, part.stop - part.start).combine_chunks()
    found = {name: facts[name].combine_chunks() for name in facts.column_names}
    splits = np.asarray(found["split"].to_numpy(zero_copy_only=False))
    usable = splits >= 0
    left_out = verdict.left_out[part]
    kept = usable & ~left_out
    status = np.where(kept, 0, np.where(left_out, 1, 2))
    reasons = [verdict.why(row) for row in range(part.start, part.stop)]
    ids = collected.facts["id"]
    similar = np.where(verdict.near[part], 1, 0)
    values = {
        **{name: found[name] for name in found if name in columns.MANIFEST.names},
        "class_name": pa.array(classes, pa.string()).take(found["label"]),
        "split": _words(SPLITS, splits, kept),
        "status": _words(columns.STATUSES, status, np.ones(len(status), np.bool_)),
        "reason": pa.array([own or why for own, why in zip(found["reason"].to_pylist(), reasons, strict=True)]),
        "sha256": pa.array([digest and digest.hex() for digest in found["sha256"].to_pylist()], pa.string()),
        **{name: pa.array(_hex(found["phash"], found[name]), pa.string()) for name in ("phash", "dhash")},
        "duplicate_of": _others(ids, verdict.duplicate_of[part]),
        "similarity": _words(("exact", "near"), similar, verdict.duplicate_of[part] >= 0),
        "conflict_with": _others(ids, verdict.conflict_with[part]),
        "leaks": _others(ids, verdict.leaks[part]),
        "shard": _words(shards, collected.shard[part], usable),
    }
    arrays = [values[entry.name].cast(entry.type) for entry in columns.MANIFEST]
    return pa.Table.from_arrays(arrays, schema=columns.MANIFEST)


def _words(known: Sequence[str], codes: NDArray[Any], there: NDArray[np.bool_]) -> Any:
    return pa.array(known, pa.string()).take(pa.array(codes.astype(np.int64), mask=~there))


def _hex(phash: Any, hashes: Any) -> list[str | None]:
    """16 hexadecimal digits; None where the picture shows nothing that a hash could tell."""
    return [
        f"{value:016x}" if first else None for first, value in zip(phash.to_pylist(), hashes.to_pylist(), strict=True)
    ]


def _others(ids: Any, rows: NDArray[np.int64]) -> Any:
    """The ids of other pictures; null where a row is -1."""
    wanted = rows[rows >= 0]
    found = np.full(len(rows), None, object)
    if len(wanted):
        found[rows >= 0] = ids.take(pa.array(wanted)).to_pylist()
    return pa.array(found.tolist(), pa.string())

"""The pictures that could not be used, with their first bytes, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from fovea.shards import columns
from fovea.shards.writer import new_file

_TOGETHER = 64_000_000  # bytes


def write_quarantine(path: Path, parts: Sequence[Path]) -> int:
    """Joins the files of the tasks; when the bytes have grown too many, the rest is named without them.

    Args:
        path: The file.
        parts: The files, in the order of the source.

    Returns:
        How many rows it has.

    Raises:
        OSError: Reading or writing failed.
    """
    rows, used = 0, 0
    with path.open("wb") as file, new_file(file, columns.QUARANTINE) as writer:
        for part in parts:
            with part.open("rb") as stream:
                table = pa.ipc.open_file(stream).read_all()
            image = table["image"].combine_chunks()
            used += image.nbytes
            if used > _TOGETHER:
                image = pa.nulls(len(table), pa.binary())
            writer.write_table(table.set_column(table.schema.get_field_index("image"), _field(), image))
            rows += len(table)
    return rows


def _field() -> Any:
    return columns.QUARANTINE.field("image")

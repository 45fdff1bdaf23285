"""Arrow columns from lists and arrays. Built from buffers: `pyarrow.array` would import pandas, 0.3 s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def numbers(values: NDArray[Any], kind: type[np.number[Any]]) -> Any:
    """A column of numbers of a numpy type."""
    content = np.ascontiguousarray(values, kind)
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(content), [None, pa.py_buffer(content)])


def strings(values: Sequence[str]) -> Any:
    """A column of text."""
    return _joined([value.encode() for value in values], pa.string())


def files(values: Sequence[bytes]) -> Any:
    """A binary column."""
    return _joined(values, pa.binary())


def pixels(images: NDArray[np.uint8]) -> Any:
    """A binary column over equally large pictures, uint8 of shape [N, H, W, C], without a copy."""
    offsets = np.arange(len(images) + 1, dtype=np.int64) * int(np.prod(images.shape[1:]))
    return _column(offsets, np.ascontiguousarray(images).reshape(-1), pa.binary())


def _joined(values: Sequence[bytes], kind: Any) -> Any:
    lengths = np.fromiter((len(value) for value in values), np.int64, len(values))
    return _column(np.concatenate([[0], np.cumsum(lengths)]), b"".join(values), kind)


def _column(offsets: NDArray[np.int64], content: Any, kind: Any) -> Any:
    if offsets[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"{offsets[-1]:,} bytes are too many for one column")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(content)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)
